package deploy

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// Options say what is deployed where.
type Options struct {
	Env     string         // name of the environment: CheckEnv
	Region  string         // "" for what the credentials' configuration says
	Work    string         // folder of all environments on this machine
	Files   fs.FS          // the Terraform configuration
	Vars    map[string]any // values of its variables, without prefix, zip and architecture; nil for the default again
	Code    Code           // where the functions come from
	Environ []string       // NAME=VALUE
	Now     func() time.Time
	Say     func(format string, a ...any) // progress, a line each
}

// Session is an environment that is being deployed, looked at or destroyed.
type Session struct {
	Account *Account
	Runner  *Runner
	State   Backend
	o       Options
	keep    map[string][]byte // what Bind made and the state bucket is to hold, by name
}

// Main is the environment whose resources are named elasticintel-…
const Main = "main"

// Prefix is what the names of an environment's resources begin with.
func Prefix(env string) string {
	if env == Main {
		return "elasticintel"
	}
	return "ei-" + env
}

// few is a quota of Lambda below which look-ups and feeds are in each other's way.
// New accounts may have 10.
const few = 50

// Open checks what a deployment needs before anything is made: the tool, the
// credentials, the region.
func Open(ctx context.Context, o Options) (*Session, error) {
	if err := CheckEnv(o.Env); err != nil {
		return nil, err
	}
	tool, err := FindTool(ctx, o.Environ)
	if err != nil {
		return nil, err
	}
	account, err := OpenAccount(ctx, o.Region, o.Now)
	if err != nil {
		return nil, err
	}
	work, err := OpenWork(o.Work, account.ID+"-"+account.Region+"-"+o.Env)
	if err != nil {
		return nil, err
	}
	from, err := tool.Prepare(work.Dir)
	if err != nil {
		return nil, err
	}
	tool.environ = setenv(tool.environ, account.Environ()...)
	o.Say("Account %s (%s), region %s.", account.ID, account.ARN, account.Region)
	o.Say("%s %s, providers %s. Work folder %s.", tool.Name, tool.Version, from, work.Dir)
	s := &Session{Account: account, Runner: &Runner{Tool: tool, Work: work}, State: account.State(o.Env), o: o}
	s.Runner.Step = s.step
	return s, nil
}

// Quota says what of the account's limits will be in the way; "" for nothing.
func (s *Session) Quota(ctx context.Context) (string, error) {
	n, err := s.Account.Concurrency(ctx)
	if err != nil {
		return "", Explain("the quotas of Lambda", err)
	}
	if n >= few {
		return "", nil
	}
	return fmt.Sprintf("The account may run %d functions at a time, which look-ups and feeds share: ask for more under Service Quotas, AWS Lambda, \"Concurrent executions\".", n), nil
}

// Bind makes the state bucket and writes everything that Terraform needs into
// the work folder.
func (s *Session) Bind(ctx context.Context) error {
	made, err := s.Account.EnsureBucket(ctx, s.State.Bucket)
	if err != nil {
		return err
	}
	if made {
		s.o.Say("Made the state bucket %s.", s.State.Bucket)
	}
	packed, err := Pack(ctx, s.o.Code)
	if err != nil {
		return err
	}
	// The path comes into the state. It is relative, so that it is the same on every machine.
	const zip = "bootstrap.zip"
	if err := WriteFile(filepath.Join(s.Runner.Work.Terraform(), zip), packed.Zip); err != nil {
		return fmt.Errorf("the functions' zip: %w", err)
	}
	s.o.Say("Functions: %.1f MB, sha256 %s, %s.", float64(len(packed.Zip))/1e6, packed.SHA256[:12], packed.From)
	vars, err := s.variables(ctx)
	if err != nil {
		return err
	}
	if err := s.write(vars, packed.Zip); err != nil {
		return err
	}
	return s.init(ctx)
}

// Attach binds the work folder to what is deployed already, to look at it or to
// end it, with the variables and the code that it was deployed with.
func (s *Session) Attach(ctx context.Context) error {
	has, err := s.Account.HasState(ctx, s.State)
	if err != nil {
		return err
	}
	if !has {
		return s.Account.notDeployed(s.o.Env)
	}
	vars, err := s.saved(ctx)
	if err != nil {
		return err
	}
	zip, err := s.Account.Object(ctx, s.State.Bucket, s.State.beside(zipName))
	if err != nil {
		return err
	}
	if vars == nil || zip == nil {
		return fmt.Errorf("environment %q: %s and %s are not beside its state in %s; `elasticintel deploy --env %s` puts them there again", s.o.Env, variablesName, zipName, s.State.Bucket, s.o.Env)
	}
	if err := s.write(vars, zip); err != nil {
		return err
	}
	return s.init(ctx)
}

func (s *Session) init(ctx context.Context) error {
	s.o.Say("Binding to the state in %s/%s …", s.State.Bucket, s.State.Key)
	return s.Runner.Init(ctx, s.State)
}

func awsArch(arch string) string {
	if arch == AMD64 {
		return "x86_64"
	}
	return arch
}

// step says what Terraform makes of resources: each end, and what takes a minute or longer.
func (s *Session) step(st Step) {
	if st.Action == "read" {
		return
	}
	switch st.Phase {
	case "done":
		s.o.Say("  %s %s (%d s)", past(st.Action), st.Address, st.Seconds)
	case "failed":
		s.o.Say("  failed: %s %s (%d s)", st.Action, st.Address, st.Seconds)
	case "progress":
		if st.Seconds >= 60 && st.Seconds%60 < 10 {
			s.o.Say("  still at %s, for %d min", st.Address, st.Seconds/60)
		}
	}
}

func past(action string) string {
	switch action {
	case "create", "update":
		return action + "d"
	case "delete":
		return "deleted"
	}
	return action
}

// maxNamed is how many resources of one kind of change are named, except for
// those that would be destroyed, which all are.
const maxNamed = 12

// Words is a plan as a person reads it.
func Words(p *Plan) []string {
	s := p.Summary()
	if s.Nothing() {
		return []string{"Nothing to do: everything is as it should be."}
	}
	lines := []string{fmt.Sprintf("Plan: %d to add, %d to change, %d to replace, %d to destroy.", len(s.Add), len(s.Change), len(s.Replace), len(s.Destroy))}
	for _, l := range []struct {
		what      string
		addresses []string
		all       bool
	}{{"add", s.Add, false}, {"change", s.Change, false}, {"take over", s.Import, false}, {"REPLACE (destroy and make anew)", s.Replace, true}, {"DESTROY", s.Destroy, true}} {
		for i, a := range l.addresses {
			if i == maxNamed && !l.all {
				lines = append(lines, fmt.Sprintf("  %s … and %d more", l.what, len(l.addresses)-i))
				break
			}
			lines = append(lines, "  "+l.what+" "+a)
		}
	}
	for _, l := range p.Losses() {
		lines = append(lines, "  LOST FOR EVER: "+l)
	}
	return lines
}

// Words is an estimate as a person reads it.
func (e *Estimate) Words() []string {
	lines := []string{fmt.Sprintf("About $%.2f a month in us-east-1 for %s new values a day, %s look-ups a month and %s feed runs a day, list prices without tax:",
		e.Total(), count(e.Usage.ValuesPerDay), count(e.Usage.QueriesPerMonth), count(e.Usage.RunsPerDay))}
	for _, l := range e.Lines {
		lines = append(lines, fmt.Sprintf("  $%6.2f  %-18s %s", l.USD, l.What, l.How))
	}
	if len(e.Unpriced) > 0 {
		lines = append(lines, "  not counted: "+strings.Join(e.Unpriced, ", "))
	}
	return lines
}

// Deploy says what would change and what it costs, asks, and carries it out.
// changed is false where there was nothing to do. ask gets what would be
// destroyed; an answer of false ends with ErrDeclined.
func (s *Session) Deploy(ctx context.Context, u Usage, ask func(p *Plan) (bool, error)) (changed bool, err error) {
	s.o.Say("Planning …")
	p, err := s.Runner.Plan(ctx, false)
	if err != nil {
		return false, err
	}
	for _, l := range Words(p) {
		s.o.Say("%s", l)
	}
	if p.Summary().Nothing() {
		return false, s.save(ctx)
	}
	for _, l := range Cost(p.Resources(), u).Words() {
		s.o.Say("%s", l)
	}
	if yes, err := ask(p); err != nil || !yes {
		return false, declined(err)
	}
	if err := s.save(ctx); err != nil {
		return false, err
	}
	return true, s.apply(ctx, p)
}

func declined(err error) error {
	if err == nil {
		err = ErrDeclined
	}
	return err
}

func (s *Session) apply(ctx context.Context, p *Plan) error {
	s.o.Say("Applying %d steps …", p.Summary().Steps())
	return s.Runner.Apply(ctx)
}
