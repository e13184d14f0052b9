package deploy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/elasticintel/elasticintel/internal/testing/awstest"
)

// mirrorOrSkip is for tests with the AWS provider, which is not everywhere.
func mirrorOrSkip(t *testing.T, tl *Tool) {
	t.Helper()
	probe := *tl
	from, err := probe.Prepare(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if from == "from the network" && os.Getenv("CI") != "true" {
		t.Skip("no mirror of the AWS provider was found: EI_TF_MIRROR=DIR names one")
	}
}

// options deploy the project's own configuration, with functions that are small.
func options(t *testing.T, say func(string, ...any)) Options {
	t.Helper()
	return Options{Env: "test", Work: t.TempDir(), Files: os.DirFS("../../deploy/terraform"), Vars: map[string]any{"profile": "lite"},
		Code: Code{Arch: ARM64, Source: tree(t, modulePath), Env: os.Environ()}, Environ: os.Environ(), Now: time.Now, Say: say}
}

// TestDeployment deploys lite with the real provider into an emulator, deploys
// again, looks at it from another machine, and takes all of it away.
func TestDeployment(t *testing.T) {
	if os.Getenv("EI_SOAK") == "" {
		t.Skip("minutes long: EI_SOAK=1 runs it")
	}
	mirrorOrSkip(t, tool(t))
	awstest.Ministack(t).Setenv(t)
	ctx := t.Context()
	var said []string
	o := options(t, func(f string, a ...any) { said = append(said, fmt.Sprintf(f, a...)) })
	s, err := Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Attach(ctx); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("what is not deployed is attached to", err)
	}
	if err := s.Bind(ctx); err != nil {
		t.Fatal(err)
	}
	no := func(*Plan) (bool, error) { return false, nil }
	if _, err := s.Deploy(ctx, promised, no); !errors.Is(err, ErrDeclined) {
		t.Fatal(err)
	}
	if out, err := s.Runner.Outputs(ctx); err != nil || len(out) > 0 {
		t.Error("something was made without a yes", out, err)
	}
	var cost float64
	yes := func(p *Plan) (bool, error) {
		e := Cost(p.Resources(), promised)
		if cost = e.Total(); len(e.Unpriced) > 0 {
			t.Error("not counted:", e.Unpriced)
		}
		return true, nil
	}
	start := time.Now()
	if changed, err := s.Deploy(ctx, promised, yes); err != nil || !changed {
		t.Fatal(changed, err, strings.Join(said, "\n"))
	}
	t.Logf("lite was deployed in %s, and is estimated at $%.2f a month", time.Since(start).Round(time.Second), cost)
	if cost < 1 || cost > 1.50 {
		t.Errorf("$%.4f a month", cost)
	}
	again(t, o)

	out, err := s.Runner.Outputs(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if waiting, _, err := s.Account.Depth(ctx, out["dlq_url"].(string)); err != nil || waiting != 0 {
		t.Error(waiting, err)
	}
	said = nil
	if err := s.Destroy(ctx, no); !errors.Is(err, ErrDeclined) {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(said, func(l string) bool {
		return strings.Contains(l, "LOST FOR EVER: module.storage.aws_s3_bucket.data: every object")
	}) {
		t.Error(said)
	}
	if err := s.Destroy(ctx, yes); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Account.s3.ListBuckets(ctx, &s3.ListBucketsInput{}); err != nil || len(list.Buckets) > 0 {
		t.Error("buckets are left", list, err)
	}
}

// again deploys from a machine that has never seen the environment: only gaps of
// the emulator may be changed.
func again(t *testing.T, o Options) {
	t.Helper()
	o.Work = filepath.Join(t.TempDir(), "other")
	s, err := Open(t.Context(), o)
	if err == nil {
		err = s.Bind(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Runner.Drift(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Add)+len(d.Replace)+len(d.Destroy)+d.Outputs > 0 {
		t.Errorf("%+v", d)
	}
	for _, a := range d.Change {
		name, _, _ := strings.Cut(a, "[")
		if gaps[name] == "" {
			t.Errorf("%s would be changed by a second deployment", a)
		}
	}
}

func TestWords(t *testing.T) {
	p := &Plan{}
	if w := Words(p); len(w) != 1 || !strings.HasPrefix(w[0], "Nothing to do") {
		t.Error(w)
	}
	for i, action := range []string{"create", "delete"} {
		for n := range 20 {
			c := ResourceChange{Address: fmt.Sprintf("x.%d%02d", i, n), Mode: "managed", Type: "x"}
			c.Change.Actions = []string{action}
			p.Changes = append(p.Changes, c)
		}
	}
	w := strings.Join(Words(p), "\n")
	if !strings.HasPrefix(w, "Plan: 20 to add, 0 to change, 0 to replace, 20 to destroy.") || strings.Count(w, "\n  add x.") != 12 || strings.Count(w, "\n  DESTROY x.") != 20 || !strings.Contains(w, "add … and 8 more") {
		t.Error(w)
	}
	e := Cost(lite(), promised)
	if w := e.Words(); !strings.HasPrefix(w[0], "About $1.43 a month in us-east-1 for 250k new values a day, 1M look-ups a month and 480 feed runs a day") || len(w) != len(e.Lines)+1 {
		t.Error(w)
	}
	for env, want := range map[string]string{Main: "elasticintel", "dev": "ei-dev"} {
		if got := Prefix(env); got != want {
			t.Error(env, got)
		}
	}
}
