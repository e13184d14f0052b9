package deploy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
)

// Runner runs Terraform in a work folder. One at a time.
type Runner struct {
	Tool *Tool
	Work *Work
	Step func(Step) // progress; nil for none
}

// Step is something that Terraform did or does with a resource.
type Step struct {
	Address string
	Action  string // create, update, delete, read; "" for a step of the whole
	Phase   string // start, progress, done, failed
	Seconds int    // since its start
}

// Backend is where the state lies.
type Backend struct {
	Bucket, Key, Region string
}

// InterruptedError is that Terraform was stopped in between. What was done is in
// the state: the next run goes on from there.
type InterruptedError struct{ What string }

func (e *InterruptedError) Error() string {
	return e.What + " was interrupted; what was done is kept, and the same command goes on from there"
}

// Unwrap makes it a context.Canceled.
func (e *InterruptedError) Unwrap() error { return context.Canceled }

// Init fetches providers and binds the work folder to its state.
func (r *Runner) Init(ctx context.Context, b Backend) error {
	backend := map[string]any{"bucket": b.Bucket, "key": b.Key, "region": b.Region, "use_lockfile": true, "encrypt": true}
	text, err := json.MarshalIndent(map[string]any{"terraform": map[string]any{"backend": map[string]any{"s3": backend}}}, "", "  ")
	if err == nil {
		err = WriteFile(filepath.Join(r.Work.Terraform(), "backend_override.tf.json"), text)
	}
	if err != nil {
		return fmt.Errorf("writing the backend: %w", err)
	}
	_, err = r.plain(ctx, "init", "-input=false", "-no-color", "-reconfigure")
	return err
}

// Variables writes the values of the configuration's variables.
func (r *Runner) Variables(vars map[string]any) error {
	text, err := json.MarshalIndent(vars, "", "  ")
	if err == nil {
		err = WriteFile(filepath.Join(r.Work.Terraform(), "elasticintel.auto.tfvars.json"), text)
	}
	if err != nil {
		return fmt.Errorf("writing the variables: %w", err)
	}
	return nil
}

func (r *Runner) planFile() string { return filepath.Join(r.Work.Dir, "tfplan") }

// Plan plans to a file in the work folder and reads it.
func (r *Runner) Plan(ctx context.Context, destroy bool) (*Plan, error) {
	args := []string{"plan", "-json", "-input=false", "-out=" + r.planFile()}
	if destroy {
		args = append(args, "-destroy")
	}
	if err := r.lines(ctx, args...); err != nil {
		return nil, err
	}
	out, err := r.plain(ctx, "show", "-json", r.planFile())
	if err != nil {
		return nil, err
	}
	return ReadPlan(out)
}

// Drift plans without taking the lock or keeping the plan: what differs now from
// what the configuration says.
func (r *Runner) Drift(ctx context.Context) (Summary, error) {
	file := filepath.Join(r.Work.Dir, "tfplan-drift")
	if err := r.lines(ctx, "plan", "-json", "-input=false", "-lock=false", "-out="+file); err != nil {
		return Summary{}, err
	}
	out, err := r.plain(ctx, "show", "-json", file)
	if err != nil {
		return Summary{}, err
	}
	p, err := ReadPlan(out)
	if err != nil {
		return Summary{}, err
	}
	return p.Summary(), nil
}

// Apply carries out exactly the plan that Plan wrote; a state that has moved on
// since then is refused by Terraform.
func (r *Runner) Apply(ctx context.Context) error {
	return r.lines(ctx, "apply", "-json", "-input=false", r.planFile())
}

// Outputs reads the outputs of what is deployed; none where nothing is.
func (r *Runner) Outputs(ctx context.Context) (map[string]any, error) {
	out, err := r.plain(ctx, "output", "-json")
	if err != nil {
		return nil, err
	}
	var raw map[string]struct {
		Value any `json:"value"`
	}
	if err := json.Unmarshal(out, &raw); err != nil {
		return nil, fmt.Errorf("reading the outputs: %w", err)
	}
	values := map[string]any{}
	for name, o := range raw {
		values[name] = o.Value
	}
	return values, nil
}

// command is Terraform in the work folder. An end of ctx interrupts it as Ctrl-C
// does: it finishes what is under way and writes its state. It is waited for,
// however long that takes, and gets no signal of the terminal's by itself: a
// second one would make it drop everything.
func (r *Runner) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.Tool.Path, args...)
	cmd.Dir = r.Work.Terraform()
	cmd.Env = setenv(r.Tool.environ, "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1")
	ownGroup(cmd)
	cmd.Cancel = func() error { return interrupt(cmd.Process) }
	return cmd
}

// plain runs a command that speaks plain text and returns its stdout.
func (r *Runner) plain(ctx context.Context, args ...string) ([]byte, error) {
	cmd := r.command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err == nil {
		return stdout.Bytes(), nil
	}
	text := stderr.String()
	if strings.TrimSpace(text) == "" {
		text = lastLines(stdout.String(), 10)
	}
	return nil, r.failed(ctx, args[0], err, []Diagnostic{{Summary: unframe(text)}})
}

// lines runs a command with -json, passing on its progress.
func (r *Runner) lines(ctx context.Context, args ...string) error {
	cmd := r.command(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.Tool.Name, args[0], err)
	}
	found, read := r.follow(out)
	err = cmd.Wait()
	if err == nil {
		err = read
	}
	if err == nil {
		return nil
	}
	if len(found) == 0 {
		found = []Diagnostic{{Summary: unframe(stderr.String())}}
	}
	return r.failed(ctx, args[0], err, found)
}

func (r *Runner) failed(ctx context.Context, what string, err error, found []Diagnostic) error {
	if ctx.Err() != nil {
		return &InterruptedError{What: r.Tool.Name + " " + what}
	}
	return &TerraformError{What: r.Tool.Name + " " + what, Found: found, Err: err}
}

// message is a line of the output of -json. Source:
// https://developer.hashicorp.com/terraform/internals/machine-readable-ui
type message struct {
	Type string `json:"type"`
	Hook struct {
		Resource struct {
			Addr string `json:"addr"`
		} `json:"resource"`
		Action  string `json:"action"`
		Elapsed int    `json:"elapsed_seconds"`
	} `json:"hook"`
	Diagnostic *Diagnostic `json:"diagnostic"`
}

// follow reads the lines until their end and returns the errors among them.
func (r *Runner) follow(in io.Reader) (found []Diagnostic, err error) {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		var m message
		if json.Unmarshal(line, &m) == nil {
			if m.Diagnostic != nil && m.Diagnostic.Severity == "error" {
				found = append(found, *m.Diagnostic)
			}
			r.step(&m)
		}
		if errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return found, err
		}
	}
}

func (r *Runner) step(m *message) {
	phase := map[string]string{"apply_start": "start", "apply_progress": "progress", "apply_complete": "done", "apply_errored": "failed"}[m.Type]
	if r.Step != nil && phase != "" {
		r.Step(Step{Address: m.Hook.Resource.Addr, Action: m.Hook.Action, Phase: phase, Seconds: m.Hook.Elapsed})
	}
}

// unframe takes Terraform's box off its messages for people.
func unframe(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.Trim(line, " \n│╷╵\t"); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " ")
}
