package opensearch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/opensearch"
)

// role is one of deploy/opensearch/roles.yml.
type role struct {
	Cluster []string    `json:"cluster_permissions"`
	Index   []indexRole `json:"index_permissions"`
}

type indexRole struct {
	Patterns []string `json:"index_patterns"`
	Actions  []string `json:"allowed_actions"`
}

// roleOf reads a role of the file, which has one quoted text a line.
func roleOf(t *testing.T, name string) (r role) {
	t.Helper()
	b, err := os.ReadFile("../../deploy/opensearch/roles.yml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(b), "\n"+name+":\n")
	if !found {
		t.Fatalf("no role %s", name)
	}
	r.Index = make([]indexRole, 1)
	into := (*[]string)(nil)
	for line := range strings.SplitSeq(rest, "\n") {
		parts := strings.Split(line, `"`)
		switch {
		case line != "" && line[0] != ' ':
			return r
		case len(parts) == 3:
			*into = append(*into, parts[1])
		case strings.Contains(line, "cluster_permissions:"):
			into = &r.Cluster
		case strings.Contains(line, "index_patterns:"):
			into = &r.Index[0].Patterns
		case strings.Contains(line, "allowed_actions:"):
			into = &r.Index[0].Actions
		}
	}
	return r
}

// without is the role without one of its permissions, of the cluster or of the index.
func (r role) without(action string) role {
	is := func(a string) bool { return a == action }
	return role{slices.DeleteFunc(slices.Clone(r.Cluster), is),
		[]indexRole{{r.Index[0].Patterns, slices.DeleteFunc(slices.Clone(r.Index[0].Actions), is)}}}
}

// each gives a user the role without one permission after the other, and asks do
// what comes of it: every one is needed, and what lacks is named.
func (s *secured) each(t *testing.T, name string, do func(s *secured, lacks string) error) {
	t.Helper()
	admin, password := s.User, s.Password
	r := roleOf(t, name)
	if len(r.Cluster) < 2 || len(r.Index[0].Patterns) != 2 || len(r.Index[0].Actions) < 3 {
		t.Fatalf("%+v", r)
	}
	for i, action := range slices.Concat([]string{""}, r.Cluster, r.Index[0].Actions) {
		b, err := json.Marshal(r.without(action))
		if err != nil {
			t.Fatal(err)
		}
		s.must(t, "PUT", "/_plugins/_security/api/roles/trimmed", string(b))
		s.must(t, "PUT", "/_plugins/_security/api/rolesmapping/trimmed", `{"users":["nobody"]}`)
		s.as("nobody")
		err = do(s, action)
		s.User, s.Password = admin, password
		if i == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "permission") && !strings.Contains(err.Error(), "403") {
			t.Errorf("%s without %s: %v", name, action, err)
		}
	}
	s.must(t, "DELETE", "/_plugins/_security/api/rolesmapping/trimmed", "")
	s.must(t, "DELETE", "/_plugins/_security/api/roles/trimmed", "")
}

// trimmed: what `migrate` tries before it fills finds any right that the writer
// lacks, and with EI_SOAK each right of the reader is needed by some command. It leaves no index.
func (s *secured) trimmed(t *testing.T, w *privileged) {
	now := func() time.Time { return began }
	s.must(t, "DELETE", "/_plugins/_security/api/rolesmapping/own_index", "") // everybody has it, and may send bulks by it
	s.each(t, "elasticintel_writer", func(s *secured, _ string) error {
		cl, err := opensearch.New(s.options())
		if err != nil {
			return err
		}
		defer cl.Close()
		return tryCluster(t.Context(), cl, opensearch.NewEngine(cl, opensearch.EngineOptions{Now: now}))
	})
	s.must(t, "DELETE", "/elasticintel-listings-v1-*", "")
	if !soaking() {
		return // the reader's take long
	}
	if err := w.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.each(t, "elasticintel_reader", func(s *secured, _ string) error {
		return s.reads(t, w)
	})
	s.must(t, "DELETE", "/elasticintel-listings-v1-*", "")
}

// tryCluster is what `migrate` asks before it fills.
func tryCluster(ctx context.Context, cl *opensearch.Client, e *opensearch.Engine) error {
	_, err := cl.Check(ctx)
	_, err2 := cl.Health(ctx)
	return errors.Join(err, err2, e.TryFill(ctx))
}

// reads does all that commands do which only ask, as the user of the moment, and
// holds it against what w says. No point in time is left open.
func (s *secured) reads(t *testing.T, w *privileged) (err error) {
	ctx := t.Context()
	open := w.openPoints()
	if open < 0 {
		return errors.New("the points in time cannot be counted")
	}
	r := s.engine(t, w.corpus)
	cl, e := opensearch.New(s.options())
	if e != nil {
		return e
	}
	defer cl.Close()
	failed := func(what string, e error) {
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", what, e))
		}
	}
	_, e = cl.Check(ctx)
	failed("check", e)
	_, e = cl.Health(ctx)
	failed("health", e)
	for what, ask := range questions {
		want, e := ask(ctx, w.engine)
		failed(what+" as the writer", e)
		got, e := ask(ctx, r)
		if failed(what, e); e == nil && got != want {
			failed(what, errors.New("another answer"))
		}
	}
	_, e = r.Feeds(ctx)
	failed("feeds", e)
	_, e = r.Current(ctx)
	failed("current", e)
	found := 0
	qs := asked(t, "198.51.0.7", "203.0.113.1", "198.51.0.8")
	failed("find many", r.FindMany(ctx, qs, time.Time{}, func(_ int, ls []intel.Listing, err error) error { found += len(ls); return err }))
	if found != 2 {
		failed("find many", fmt.Errorf("%d listings", found))
	}
	_, e = r.Verify(ctx, view{w.corpus.View(), w.corpus}, opensearch.VerifyOptions{})
	failed("verify", e)
	if n := w.openPoints() - open; n > 0 {
		failed("points in time", fmt.Errorf("%d left open, no permission to end them", n))
	}
	return err
}

// privileged is an engine whose user may ask for statistics.
type privileged struct {
	*engine
	ask func(method, path, body string) (int, string)
}

// by makes the engine as the user of the moment, who stays that of it.
func (s *secured) by(t *testing.T, c *corpus.Corpus) *privileged {
	user, password := s.User, s.Password
	return &privileged{s.engine(t, c), func(method, path, body string) (int, string) {
		was, before := s.User, s.Password
		s.User, s.Password = user, password
		defer func() { s.User, s.Password = was, before }()
		return s.ask(t, method, path, body)
	}}
}

// openPoints counts the points in time of the index; -1 where that cannot be asked.
func (p *privileged) openPoints() int {
	var got struct {
		All struct {
			Total struct {
				Search struct {
					Points int `json:"point_in_time_current"`
				} `json:"search"`
			} `json:"total"`
		} `json:"_all"`
	}
	code, body := p.ask("GET", "/elasticintel-listings/_stats/search", "")
	if code != 200 || json.Unmarshal([]byte(body), &got) != nil {
		return -1
	}
	return got.All.Total.Search.Points
}
