package ingest_test

import (
	"bufio"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/pytools"
)

// mispAttribute is what PyMISP says of an attribute that it wrote.
type mispAttribute struct {
	Event string `json:"event"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// indicator is what we hold of an attribute, "" where that is nothing.
func (a mispAttribute) indicator() string {
	switch a.Type {
	case "link", "comment", "filename":
		return ""
	case "filename|md5":
		return a.Value[strings.IndexByte(a.Value, '|')+1:]
	case "ip-dst|port":
		return strings.Replace(a.Value, "|", ":", 1)
	}
	return a.Value
}

// mispFeed lets PyMISP write events first to last into dir.
func mispFeed(t *testing.T, dir string, first, last, stamp int) (list []mispAttribute) {
	t.Helper()
	program, err := os.ReadFile(filepath.Join("testdata", "mispfeed.py"))
	if err != nil {
		t.Fatal(err)
	}
	out := pytools.Run(t, string(program), dir, strconv.Itoa(first), strconv.Itoa(last), strconv.Itoa(stamp))
	for in := bufio.NewScanner(strings.NewReader(out)); in.Scan(); {
		var a mispAttribute
		if err := json.Unmarshal(in.Bytes(), &a); err != nil {
			t.Fatalf("%s: %v", in.Text(), err)
		}
		list = append(list, a)
	}
	return list
}

// TestPyMISPFeed reads a feed that the MISP project's own library wrote.
func TestPyMISPFeed(t *testing.T) {
	pytools.Python(t)
	const events = 12
	dir := t.TempDir()
	list := mispFeed(t, dir, 1, events, 1_770_000_000)
	hashes, err := os.ReadFile(filepath.Join(dir, "hashes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	l.srv.Mount("/feed/", os.DirFS(dir), false)
	d := l.def("misp", map[string]any{"feed_type": "misp", "indicator_type": "auto", "feed_url": l.srv.URL("/feed/"), "field_mapping": map[string]any{}})
	run := l.want(d, intel.RunOK, "")
	held := 0
	for _, a := range list {
		if a.indicator() != "" {
			held++
		}
	}
	if run.Read != len(list) || run.Accepted != held || run.Suppressed != len(list)-held || held != 10*events {
		t.Errorf("%+v of %d attributes, %d of them held", run.Counts, len(list), held)
	}
	if n := len(l.srv.Log("")); n != events+1 {
		t.Errorf("%d requests for %d events", n, events)
	}
	l.wantAttributes(list, string(hashes))

	// A new event, and one that has changed: two events are fetched.
	asked := len(l.srv.Log(""))
	mispFeed(t, dir, events+1, events+1, 1_770_000_000)
	mispFeed(t, dir, 3, 3, 1_770_100_000)
	l.advance(24 * time.Hour)
	if run := l.want(d, intel.RunOK, ""); run.Accepted != 10*(events+1) || run.Change.New != 10 || !strings.Contains(run.Reason, "11 of 13 items had not changed") {
		t.Errorf("%+v %+v: %s", run.Counts, run.Change, run.Reason)
	}
	if n := len(l.srv.Log("")) - asked; n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
	l.advance(24 * time.Hour)
	l.want(d, intel.RunUnchanged, "")
	if n := len(l.srv.Log("")) - asked; n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
	l.verify()
}

// wantAttributes looks each attribute up, and its hash in the feed's own index.
func (l *lab) wantAttributes(list []mispAttribute, hashes string) {
	l.t.Helper()
	if _, err := l.corpus.Refresh(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	for _, a := range list {
		for half := range strings.SplitSeq(a.Value, "|") {
			if sum := md5.Sum([]byte(half)); a.Type != "comment" && a.Type != "link" && !strings.Contains(hashes, hex.EncodeToString(sum[:])+","+a.Event) {
				l.t.Errorf("hashes.csv lacks %s", half)
			}
		}
		if a.indicator() == "" {
			continue
		}
		i, err := intel.Parse(a.indicator(), intel.AnyKind)
		if err != nil {
			l.t.Errorf("%s: %v", a.Value, err)
			continue
		}
		found := l.corpus.View().Exact(i, time.Time{}, nil)
		if len(found) != 1 || found[0].Malware != "Emotet" || found[0].TLP != "green" {
			l.t.Errorf("%s %s: %+v", a.Type, a.Value, found)
		}
	}
}
