package aws

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/awstest"
)

// day0 is when everything in these tests starts.
var day0 = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// openCorpus opens a bucket's corpus as a process with this folder does.
func openCorpus(t *testing.T, url, folder string) *corpus.Corpus {
	t.Helper()
	c, err := corpus.Open(t.Context(), newCached(t, newStore(t, url), folder, 0, time.Now), corpus.Options{Now: func() time.Time { return day0 }})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

// merge makes a head in which a feed lists these names, and commits it.
func merge(t *testing.T, c *corpus.Corpus, feed string, names ...string) error {
	t.Helper()
	var entries []intel.Entry
	for _, name := range names {
		entries = append(entries, intel.Entry{Indicator: intel.Indicator{Kind: intel.Domain, Value: name}})
	}
	prev, etag, err := c.Head(t.Context(), feed)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Merge(t.Context(), prev, entries, corpus.MergeOptions{Feed: feed, Info: intel.FeedInfo{ID: feed}, Now: day0})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Commit(t.Context(), m.Next, etag)
	return err
}

// answers wants a corpus to find each of the names, and says so in an error.
func answers(t *testing.T, c *corpus.Corpus, names ...string) error {
	t.Helper()
	for _, name := range names {
		got, err := c.Find(t.Context(), intel.Ask(intel.Indicator{Kind: intel.Domain, Value: name}), time.Time{}, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if len(got) != 1 || got[0].Canonical != name {
			return fmt.Errorf("%s: %d listings", name, len(got))
		}
	}
	return nil
}

func many(family string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%s%05d.example", family, i))
	}
	return names
}

// segmentGets counts the requests for segments among what was asked.
func segmentGets(asked []string) (n int) {
	for _, r := range asked {
		if strings.HasPrefix(r, "GET /bucket/segments/") {
			n++
		}
	}
	return n
}

// TestCorpusInBucket: a corpus in a bucket is committed to by many and read by all:
// of two writers of one head one wins, a reader with nothing in its folder answers,
// and one that has copies fetches nothing twice.
func TestCorpusInBucket(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	url, folder := newBucket(t, "bucket"), t.TempDir()
	p := before(t)
	for range 2 {
		if err := corpus.Init(t.Context(), newStore(t, url)); err != nil {
			t.Fatal(err)
		}
	}
	one, two := openCorpus(t, url, t.TempDir()), openCorpus(t, url, t.TempDir())
	if one.ID() != two.ID() {
		t.Error("one bucket, two stores")
	}
	stale, _, err := two.Head(t.Context(), "feed")
	if err != nil || stale != nil {
		t.Fatal(stale, err)
	}
	m, err := two.Merge(t.Context(), nil, nil, corpus.MergeOptions{Feed: "feed", Info: intel.FeedInfo{ID: "feed"}, Now: day0})
	if err != nil {
		t.Fatal(err)
	}
	if err := merge(t, one, "feed", "bad.example", "worse.example"); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Commit(t.Context(), m.Next, ""); !errors.Is(err, blob.ErrConflict) {
		t.Errorf("the second of two writers: %v", err)
	}
	if err := merge(t, two, "feed", "bad.example", "third.example"); err != nil {
		t.Fatal(err)
	}
	p.then(nil)
	if err := answers(t, openCorpus(t, url, folder), "bad.example", "third.example"); err != nil {
		t.Error(err)
	}
	if n := segmentGets(p.seen()); n == 0 {
		t.Error("no segment was fetched: ", p.seen())
	}
	p.then(nil)
	reader := openCorpus(t, url, folder) // the next process on this machine
	if n := segmentGets(p.seen()); n != 0 {
		t.Error("segments were fetched again: ", p.seen())
	}
	if err := merge(t, one, "other", many("x", 3)...); err != nil {
		t.Fatal(err)
	}
	if changed, err := reader.Refresh(t.Context()); err != nil || !changed {
		t.Error(changed, err)
	}
	if err := answers(t, reader, "bad.example", "third.example", "x00002.example"); err != nil {
		t.Error(err)
	}
}

// TestDamagedCopy: a copy of a segment that is damaged is thrown away and fetched
// again, whether that shows when it is opened or when it is read.
func TestDamagedCopy(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	url, folder := newBucket(t, "bucket"), t.TempDir()
	p := before(t)
	if err := corpus.Init(t.Context(), newStore(t, url)); err != nil {
		t.Fatal(err)
	}
	names := many("name", 2000)
	if err := merge(t, openCorpus(t, url, t.TempDir()), "feed", names...); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(data []byte) []byte{
		"other content": func([]byte) []byte { return []byte("damaged") },
		"empty":         func([]byte) []byte { return nil },
		"cut":           func(data []byte) []byte { return data[:len(data)/2] },
		"end":           func(data []byte) []byte { data[len(data)-40] ^= 1; return data },
	} {
		if err := answers(t, openCorpus(t, url, folder), names[0]); err != nil {
			t.Fatal(err)
		}
		harm(t, folder, damage)
		p.then(nil)
		if err := answers(t, openCorpus(t, url, folder), names...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if segmentGets(p.seen()) == 0 {
			t.Errorf("%s: not fetched again", name)
		}
	}
	// What is in the heap is compared when it is read: that look-up is an error, and
	// never a wrong answer; whoever opens the segment next has a good copy.
	harm(t, folder, func(data []byte) []byte { data[100] ^= 0x40; return data })
	c := openCorpus(t, url, folder)
	err := answers(t, c, names...)
	if !errors.Is(err, corpus.ErrCorrupt) {
		t.Errorf("a damaged heap: %v", err)
	}
	if err := answers(t, openCorpus(t, url, folder), names...); err != nil {
		t.Errorf("another process after a damaged heap: %v", err)
	}
	if changed, err := c.Refresh(t.Context()); err != nil || !changed {
		t.Errorf("the next look for new data: %v, %v", changed, err)
	}
	if err := answers(t, c, names...); err != nil {
		t.Errorf("the same process after that: %v", err)
	}
}

// harm replaces every copy in a folder; whoever has one mapped keeps what it has.
func harm(t *testing.T, folder string, damage func([]byte) []byte) {
	t.Helper()
	files, err := filepath.Glob(folder + "/*")
	if err != nil || len(files) == 0 {
		t.Fatal("no copies", err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err == nil {
			err = os.Remove(f)
		}
		if err == nil {
			err = os.WriteFile(f, damage(data), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestCommitFaults: a commit whose answer was lost has won, one that S3 says no to has not.
func TestCommitFaults(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	url := newBucket(t, "bucket")
	p := before(t)
	if err := corpus.Init(t.Context(), newStore(t, url)); err != nil {
		t.Fatal(err)
	}
	c := openCorpus(t, url, t.TempDir())
	headFault := func(f func(http.ResponseWriter, *http.Request)) {
		done := false
		p.then(func(w http.ResponseWriter, r *http.Request) bool {
			if done || r.Method != http.MethodPut || !strings.HasPrefix(r.URL.Path, "/bucket/heads/") {
				return false
			}
			done = true
			f(w, r)
			return true
		})
	}
	for i, f := range []struct {
		fault func(http.ResponseWriter, *http.Request)
		want  error
	}{
		{p.lost(nil), nil}, {reset, nil}, {says(503, "SlowDown"), nil}, {says(500, "InternalError"), nil}, {says(429, "TooManyRequests"), nil},
		{says(409, "ConditionalRequestConflict"), nil}, {says(412, "PreconditionFailed"), blob.ErrConflict},
	} {
		name := fmt.Sprintf("n%d.example", i)
		headFault(f.fault)
		if err := merge(t, c, "feed", name); !errors.Is(err, f.want) || (err == nil) != (f.want == nil) {
			t.Errorf("%d: %v, want %v", i, err, f.want)
		}
		p.then(nil)
		if err := answers(t, openCorpus(t, url, t.TempDir()), name); (err == nil) != (f.want == nil) {
			t.Errorf("%d: committed: %v, want an error of the commit %v", i, err, f.want)
		}
	}
}
