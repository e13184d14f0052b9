package ingest_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// presenceCase is what absence means to a feed, and when something that a good
// run left out ends: days after that run; negative: never.
type presenceCase struct {
	name string
	def  map[string]any
	ends int
}

func presenceCases() []presenceCase {
	kinds := map[string]any{"domain": "3d", "ipv4": "1h", "default": "200d"}
	return []presenceCase{
		{"snapshot", map[string]any{"presence": "snapshot"}, 0},
		{"rolling", map[string]any{"presence": "rolling"}, 0},
		{"rolling-ttl", map[string]any{"presence": "rolling", "ttl": kinds}, 2}, // 3 days after it was there
		{"append", map[string]any{"presence": "append"}, -1},
		{"append-ttl", map[string]any{"presence": "append", "ttl": kinds}, 2},
	}
}

// badRun makes a run that fails, or is quarantined.
type badRun struct {
	name string
	do   func(l *lab, d *feed.Definition) intel.Run
}

// fetchCodes are all that a download can fail with.
func fetchCodes() []string {
	return []string{fetch.CodeURL, fetch.CodeBlocked, fetch.CodeDNS, fetch.CodeRefused, fetch.CodeReset, fetch.CodeTimeout, fetch.CodeSlow, fetch.CodeTLS,
		fetch.CodeProtocol, fetch.CodeStatus, fetch.CodeRateLimited, fetch.CodeRedirect, fetch.CodeTooLarge, fetch.CodeRatio, fetch.CodeTruncated, fetch.CodeCorrupt,
		fetch.CodeEncrypted, fetch.CodeUnsupported, fetch.CodeNested, fetch.CodeNoEntry, fetch.CodeDisk, fetch.CodeCanceled}
}

// refusing is a Fetcher whose downloads fail with its code.
type refusing string

func (r refusing) Do(context.Context, fetch.Request) (*fetch.Result, error) {
	return nil, &fetch.Error{Code: string(r), Detail: "the test says so"}
}

// badRuns are all that can go wrong with a run: every fault of a publisher, every
// way a download fails, every guard, and input that is not there.
func badRuns() (out []badRun) {
	for _, f := range feedserver.Faults() {
		switch f {
		case feedserver.Blackhole, feedserver.Stall, feedserver.Trickle, feedserver.Endless, feedserver.RedirectHTTP:
			continue // take the fetcher's whole patience; its own tests have them
		case feedserver.UTF16, feedserver.FakeGzip, feedserver.FrozenETag, feedserver.NotModified, feedserver.Flapping:
			continue // good runs in the end
		}
		out = append(out, badRun{string(f), func(l *lab, d *feed.Definition) intel.Run {
			if f == feedserver.ShortLength {
				l.serve(d.ID, names("stays", 17)...) // half of that is less than half of before; from half on nobody could tell
			}
			l.srv.Fail("/"+d.ID, f, 0)
			defer l.srv.Heal("/" + d.ID)
			return l.run(d)
		}})
	}
	for _, code := range fetchCodes() {
		out = append(out, badRun{"fetch " + code, func(l *lab, d *feed.Definition) intel.Run {
			r := ingest.New(ingest.Config{Store: l.store, Corpus: l.corpus, Fetch: refusing(code), Now: l.now, TempDir: l.t.TempDir()})
			run, err := r.Run(l.t.Context(), feed.Job{Def: d, Trigger: "schedule"})
			if err != nil || run.Code != code {
				l.t.Errorf("%s: %+v %v", code, run, err)
			}
			return run
		}})
	}
	for name, body := range map[string]string{
		"guard empty": "# nothing today\n", "guard html": "<!DOCTYPE html><html>Just a moment</html>", "guard error": `{"error": "limit"}`, "guard binary": "\x00\x01\x02\x7fELF\x00\x00\x01",
		"guard content": "!?\n??\n", "guard rejects": strings.Join(names("n", 18), "\n") + "\n?\n?\n?\n?\n?\n?\n?\n",
		"guard small": strings.Join(names("n", 12), "\n"), "guard shrink": strings.Join(names("n", 9), "\n"), "guard growth": strings.Join(names("n", 101), "\n"),
		"guard large": strings.Join(names("n", 95), "\n"),
	} {
		out = append(out, badRun{name, func(l *lab, d *feed.Definition) intel.Run {
			tight := *d
			switch name {
			case "guard small":
				tight.ExpectMin = 15
			case "guard large":
				tight.ExpectMax = 50
			}
			l.srv.SetString("/"+d.ID, body)
			return l.run(&tight)
		}})
	}
	return append(out,
		badRun{"no file", func(l *lab, d *feed.Definition) intel.Run { return l.job(feed.Job{Def: d, File: "no/such/file"}) }},
		badRun{"broken file", func(l *lab, d *feed.Definition) intel.Run {
			return l.job(feed.Job{Def: d, Open: func() (io.ReadCloser, error) { return io.NopCloser(&failingReader{}), nil }})
		}},
		badRun{"corrupt", func(l *lab, d *feed.Definition) intel.Run {
			l.srv.Set("/"+d.ID, append([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), "no deflate data"...))
			return l.run(d)
		}},
		badRun{"no key", func(l *lab, d *feed.Definition) intel.Run {
			keyed := *d
			keyed.Auth = &feed.Auth{Secret: "NOT_THERE", In: feed.InBearer}
			return l.run(&keyed)
		}},
		badRun{"rejected", func(l *lab, d *feed.Definition) intel.Run {
			l.serve(d.ID, names("n", 8)...)
			run := l.run(d)
			if decided, err := l.runner.Decide(l.t.Context(), d, run.ID, false, "somebody", "no"); err != nil || decided.Status == intel.RunOK {
				l.t.Errorf("rejecting %s: %+v %v", run.ID, decided, err)
			}
			return run
		}})
}

// TestBadRunsEndNothing: between two good runs everything goes wrong that can, for
// longer than any time to live. What the good runs list is listed all the time, in one
// interval; what the first of them left out before ends when its presence says.
func TestBadRunsEndNothing(t *testing.T) {
	bad := badRuns()
	for _, p := range presenceCases() {
		t.Run(p.name, func(t *testing.T) {
			l := newLab(t)
			def := maps.Clone(p.def)
			d := l.def("feed", def)
			stays := names("stays", 20)
			l.serve("feed", append(slices.Clone(stays), "left.example")...)
			l.want(d, intel.RunOK, "")
			l.advance(24 * time.Hour)
			l.serve("feed", stays...)
			l.want(d, intel.RunOK, "")
			good := l.now()
			codes := map[string]bool{}
			for _, b := range bad {
				l.advance(12 * time.Hour)
				run := b.do(l, d)
				if run.Status != intel.RunFailed && run.Status != intel.RunQuarantined {
					t.Fatalf("%s: the run is %s %s: %s", b.name, run.Status, run.Code, run.Reason)
				}
				codes[run.Code] = true
				if open := l.listed(d, time.Time{}, stays...); len(open) != len(stays) {
					t.Fatalf("%s ended %d listings", b.name, len(stays)-len(open))
				}
				if x := l.listing(d, stays[0]); !x.LastSeen.Equal(good) || len(x.Intervals) != 1 {
					t.Fatalf("%s: seen %v, %v", b.name, x.LastSeen, x.Intervals)
				}
			}
			for _, code := range []string{"empty", "html", "error", "binary", "content", "rejects", "small", "large", "shrink", "growth", "status", "rate_limited", "blocked", "corrupt", "file"} {
				if !codes[code] {
					t.Errorf("no run had the code %s, only %v", code, slices.Sorted(maps.Keys(codes)))
				}
			}
			l.leftEnds(d, good, p.ends)
			l.serve("feed", stays...)
			l.advance(time.Hour)
			if run := l.run(d); run.Status != intel.RunOK && run.Status != intel.RunUnchanged {
				t.Fatalf("good again: %+v", run)
			}
			for _, name := range stays {
				if x := l.listing(d, name); !x.Listed || len(x.Intervals) != 1 || !x.Intervals[0].From.Equal(day0) || !x.LastSeen.Equal(l.now()) {
					t.Errorf("%s: %+v", name, x)
				}
			}
			l.leftEnds(d, good, p.ends)
			l.verify()
		})
	}
}

// leftEnds checks when what the run at an instant left out has ended.
func (l *lab) leftEnds(d *feed.Definition, left time.Time, days int) {
	l.t.Helper()
	x := l.listing(d, "left.example")
	got := fmt.Sprint(x.Listed, " ", len(x.Intervals), " ", x.Intervals[0].To)
	want := fmt.Sprint(true, " ", 1, " ", (*time.Time)(nil))
	if days >= 0 {
		to := left.AddDate(0, 0, days)
		want = fmt.Sprint(false, " ", 1, " ", &to)
	}
	if got != want || !x.LastSeen.Equal(day0) {
		l.t.Errorf("what was left out: %s, want %s; seen %v", got, want, x.LastSeen)
	}
}
