package ingest_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

func TestFailures(t *testing.T) {
	l := newLab(t)
	d := l.def("fail", nil)
	l.serve("fail", names("a", 3)...)
	l.want(d, intel.RunOK, "")
	l.advance(time.Hour)

	l.srv.Fail("/fail", feedserver.RateLimited, 0)
	run := l.want(d, intel.RunFailed, "rate_limited")
	if st := l.state("fail"); st.Failures != 1 || !st.NotBefore.Equal(l.now().Add(24*time.Hour)) || st.LastGood.After(day0) {
		t.Errorf("state %+v", st)
	}
	if run.HTTPStatus != 429 || run.Raw != "" {
		t.Errorf("run %+v", run)
	}
	l.srv.Fail("/fail", feedserver.NotFound, 0)
	run = l.want(d, intel.RunFailed, "status")
	if st := l.state("fail"); st.Failures != 2 || !st.NotBefore.IsZero() || run.HTTPStatus != 404 {
		t.Errorf("state %+v", st)
	}
	l.srv.Fail("/fail", feedserver.RedirectInside, 0)
	l.want(d, intel.RunFailed, "blocked")
	l.srv.Heal("/fail")
	l.wantListed(d, time.Time{}, names("a", 3), names("a", 3))
	l.want(d, intel.RunUnchanged, "")
	if st := l.state("fail"); st.Failures != 0 || !st.LastGood.Equal(l.now()) {
		t.Errorf("state %+v", st)
	}

	if run := l.job(feed.Job{Def: d, File: "no/such/file"}); run.Status != intel.RunFailed || run.Code != "file" {
		t.Errorf("missing file: %+v", run)
	}
	broken := func() (io.ReadCloser, error) { return io.NopCloser(&failingReader{}), nil }
	if run := l.job(feed.Job{Def: d, Open: broken}); run.Status != intel.RunFailed || !strings.Contains(run.Reason, "wire cut") {
		t.Errorf("broken reader: %+v", run)
	}
	l.srv.Set("/fail", append([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), "no deflate data"...))
	run = l.want(d, intel.RunFailed, "corrupt")
	if run.Raw == "" {
		t.Error("bytes that could not be unpacked were not kept")
	}
	l.want(d, intel.RunFailed, "corrupt")
	if raws := l.keys("raw/fail/"); len(raws) != 2 {
		t.Errorf("archived the same damaged bytes again: %v", raws)
	}
	l.verify()
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("wire cut") }

// Every fault of the publisher: the process lives, the data stays, the reason
// stands in the ledger, and the next good pull works.
func TestEveryFault(t *testing.T) {
	for _, f := range feedserver.Faults() {
		switch f {
		case feedserver.Blackhole, feedserver.Stall, feedserver.Trickle, feedserver.Endless, feedserver.RedirectHTTP:
			continue // take the fetcher's whole patience; its own tests have them
		}
		t.Run(string(f), func(t *testing.T) {
			l := newLab(t)
			d := l.def("feed", nil)
			good := names("a", 20)
			l.serve("feed", good...)
			l.want(d, intel.RunOK, "")
			l.serve("feed", append(good, "b.example")...)
			if f == feedserver.ShortLength {
				l.serve("feed", good[:17]...) // half of that is less than half of before; from half on nobody could tell
			}
			l.srv.Fail("/feed", f, 0)
			l.advance(time.Hour)
			run := l.run(d)
			switch f {
			case feedserver.UTF16, feedserver.FakeGzip, feedserver.FrozenETag:
				wantRun(t, run, intel.RunOK, "")
			case feedserver.NotModified:
				wantRun(t, run, intel.RunUnchanged, "")
			case feedserver.Flapping:
				if run.Status != intel.RunOK {
					t.Errorf("retries did not help: %+v", run)
				}
			default:
				if run.Status != intel.RunFailed && run.Status != intel.RunQuarantined {
					t.Errorf("run is %s (%s)", run.Status, run.Reason)
				}
				if run.Code == "" || run.Reason == "" {
					t.Errorf("no code or reason: %+v", run)
				}
				l.wantListed(d, time.Time{}, good, good)
			}
			l.srv.Heal("/feed")
			l.serve("feed", append(good, "c.example")...)
			l.advance(time.Hour)
			l.want(d, intel.RunOK, "")
			l.verify()
		})
	}
}
