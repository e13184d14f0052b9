package deploy

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// tool is the Terraform of this machine.
func tool(t *testing.T) *Tool {
	t.Helper()
	found, err := FindTool(t.Context(), os.Environ())
	if errors.Is(err, ErrNoTool) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// runner has a configuration of what Terraform has built in, and its state in a file.
func runner(t *testing.T, tf string) *Runner {
	t.Helper()
	w, err := OpenWork(t.TempDir(), "test")
	if err != nil {
		t.Fatal(err)
	}
	r := &Runner{Tool: tool(t), Work: w}
	if _, err := r.Tool.Prepare(w.Dir); err != nil {
		t.Fatal(err)
	}
	write(t, r, tf)
	if _, err := r.plain(t.Context(), "init", "-input=false", "-no-color"); err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t *testing.T, r *Runner, tf string) {
	t.Helper()
	if err := r.Work.Write(fstest.MapFS{"main.tf": {Data: []byte(tf)}}); err != nil {
		t.Fatal(err)
	}
}

// TestRunner: plan, apply of that plan, nothing to do, a change, an end.
func TestRunner(t *testing.T) {
	const tf = `
variable "x" { type = string }
resource "terraform_data" "a" { input = var.x }
resource "terraform_data" "b" { triggers_replace = var.x }
output "out" { value = terraform_data.a.output }
`
	r := runner(t, tf)
	var steps []string
	r.Step = func(s Step) { steps = append(steps, s.Address+" "+s.Action+" "+s.Phase) }
	round := func(x string, destroy bool) Summary {
		t.Helper()
		if err := r.Variables(map[string]any{"x": x}); err != nil {
			t.Fatal(err)
		}
		p, err := r.Plan(t.Context(), destroy)
		if err != nil {
			t.Fatal(err)
		}
		steps = nil
		if err := r.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		return p.Summary()
	}
	if s := round("1", false); len(s.Add) != 2 || s.Nothing() || s.Steps() != 2 || len(steps) != 4 {
		t.Error(s, steps)
	}
	if out, err := r.Outputs(t.Context()); err != nil || out["out"] != "1" {
		t.Error(out, err)
	}
	if d, err := r.Drift(t.Context()); err != nil || !d.Nothing() {
		t.Error(d, err)
	}
	if s := round("1", false); !s.Nothing() {
		t.Error(s)
	}
	if s := round("2", false); strings.Join(s.Change, " ") != "terraform_data.a" || strings.Join(s.Replace, " ") != "terraform_data.b" || s.Steps() != 3 {
		t.Error(s)
	}
	if _, err := r.Plan(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if s := round("2", true); len(s.Destroy) != 2 {
		t.Error(s)
	}
	if err := r.Apply(t.Context()); err == nil || !strings.Contains(err.Error(), "changed between plan and apply") {
		t.Error("an old plan was applied", err)
	}
	write(t, r, tf+"nonsense\n")
	if _, err := r.Plan(t.Context(), false); err == nil || !strings.Contains(err.Error(), "terraform plan: ") && !strings.Contains(err.Error(), "tofu plan: ") {
		t.Error(err)
	}
}

// TestRunnerInterrupted: what was done before the interruption is kept, and the
// next run does the rest.
func TestRunnerInterrupted(t *testing.T) {
	dir := t.TempDir()
	tf := `
resource "terraform_data" "first" { input = 1 }
resource "terraform_data" "slow" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" { command = "test -e ` + dir + `/go || { touch ` + dir + `/begun; exec sleep 600; }" }
}
`
	r := runner(t, tf)
	if _, err := r.Plan(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.Step = func(s Step) {
		if s.Address == "terraform_data.first" && s.Phase == "done" || s.Address == "terraform_data.slow" {
			go func() {
				for ctx.Err() == nil {
					if _, err := os.Stat(filepath.Join(dir, "begun")); err == nil {
						cancel()
					}
				}
			}()
		}
	}
	var stopped *InterruptedError
	if err := r.Apply(ctx); !errors.As(err, &stopped) {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.Step = nil
	p, err := r.Plan(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	s := p.Summary()
	if strings.Join(append(s.Add, s.Replace...), " ") != "terraform_data.slow" || len(s.Change)+len(s.Destroy) > 0 {
		t.Error(s)
	}
	if err := r.Apply(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReadPlan(t *testing.T) {
	p, err := ReadPlan([]byte(`{"format_version":"1.2","resource_changes":[
	 {"address":"b","mode":"managed","type":"aws_s3_bucket","change":{"actions":["delete"]}},
	 {"address":"a","mode":"managed","type":"aws_sqs_queue","change":{"actions":["delete","create"]}},
	 {"address":"d","mode":"data","type":"aws_region","change":{"actions":["read"]}},
	 {"address":"i","mode":"managed","type":"x","change":{"actions":["no-op"]},"importing":{"id":"i"}},
	 {"address":"n","mode":"managed","type":"x","change":{"actions":["no-op"]}}],
	 "output_changes":{"o":{"actions":["no-op"]},"p":{"actions":["update"]}},
	 "planned_values":{"root_module":{"resources":[{"address":"d","mode":"data","type":"aws_region"}],"child_modules":[{"child_modules":[{"resources":[{"address":"m.x","mode":"managed","type":"x"}]}]}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	s := p.Summary()
	if len(s.Destroy) != 1 || len(s.Replace) != 1 || len(s.Import) != 1 || s.Outputs != 1 || len(s.Add)+len(s.Change) > 0 || s.Steps() != 3 {
		t.Errorf("%+v", s)
	}
	if l := p.Losses(); len(l) != 2 || !strings.HasPrefix(l[0], "b: every object") || !strings.HasPrefix(l[1], "a: the jobs") {
		t.Error(l)
	}
	if r := p.Resources(); len(r) != 1 || r[0].Address != "m.x" {
		t.Error(r)
	}
	for _, bad := range []string{"", "{}", `{"format_version":"2.0"}`} {
		if _, err := ReadPlan([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestFindTool: which program is taken, by programs that only say their version.
func TestFindTool(t *testing.T) {
	dir := t.TempDir()
	program := func(name, version string) {
		t.Helper()
		text := "#!/bin/sh\necho '{\"terraform_version\":\"" + version + "\"}'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	environ := []string{"PATH=relative:" + dir + ":/bin:/usr/bin"}
	environ[0] = "PATH=relative:" + dir
	if _, err := FindTool(t.Context(), environ); !errors.Is(err, ErrNoTool) {
		t.Error(err)
	}
	program("terraform", "1.10.9")
	if _, err := FindTool(t.Context(), environ); err == nil || !strings.Contains(err.Error(), "is version 1.10.9, and 1.11.0 or newer is needed") {
		t.Error(err)
	}
	program("tofu", "1.12.6")
	if tl, err := FindTool(t.Context(), environ); err != nil || tl.Name != "tofu" || tl.Version != "1.12.6" {
		t.Error(tl, err)
	}
	program("terraform", "1.11.0-rc1")
	if tl, err := FindTool(t.Context(), environ); err != nil || tl.Name != "terraform" {
		t.Error(tl, err)
	}
}

func TestPrepare(t *testing.T) {
	mirror, dir := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(mirror, "registry.terraform.io/hashicorp/aws/5.100.0"), 0o700); err != nil {
		t.Fatal(err)
	}
	tl := &Tool{Name: "terraform", environ: []string{"EI_TF_MIRROR=" + mirror, "TF_CLI_CONFIG_FILE=/nowhere", "HOME=" + dir}}
	from, err := tl.Prepare(dir)
	file := getenv(tl.environ, "TF_CLI_CONFIG_FILE")
	if text, _ := os.ReadFile(file); err != nil || from != "from "+mirror || !strings.Contains(string(text), `"`+mirror+`"`) {
		t.Error(from, file, string(text), err)
	}
	tl.environ = []string{"EI_TF_MIRROR=" + dir}
	if _, err := tl.Prepare(dir); err == nil {
		t.Error("a mirror without the provider is taken")
	}
	own := filepath.Join(dir, "own.tfrc")
	if err := os.WriteFile(own, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tl.environ = []string{"TF_CLI_CONFIG_FILE=" + own}
	if from, err := tl.Prepare(dir); err != nil || from != "as "+own+" says" || getenv(tl.environ, "TF_CLI_CONFIG_FILE") != own {
		t.Error(from, err)
	}
}
