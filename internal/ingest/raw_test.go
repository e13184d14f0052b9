package ingest_test

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// What is archived is what came, byte for byte, and it is there before anything
// looks at it.
func TestRawBytes(t *testing.T) {
	l := newLab(t)
	d := l.def("raw", nil)
	body := []byte("\xef\xbb\xbfa.example\r\n\r\n# x\r\nb.example")
	l.srv.Set("/raw", body)
	run := l.want(d, intel.RunOK, "")
	if want := "raw/raw/2026/03/01/120000-" + run.SHA256[:16] + ".zst"; run.Raw != want {
		t.Errorf("key %s, want %s", run.Raw, want)
	}
	packed, _, err := blob.Read(t.Context(), l.store, run.Raw)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, body) {
		t.Errorf("archived %q, %v", got, err)
	}
	if run.Bytes != int64(len(body)) {
		t.Errorf("%d bytes, want %d", run.Bytes, len(body))
	}
	left, err := filepath.Glob(filepath.Join(t.TempDir(), "..", "*", "tmp", "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files left: %v, %v", left, err)
	}
}

func TestRetentionOfRawBytes(t *testing.T) {
	l := newLab(t)
	l.keep = 7 * 24 * time.Hour
	l.open()
	d := l.def("keep", nil)
	var raws []string
	for i := range 20 { // one version a day
		l.serve("keep", append(names("a", 10), fmt.Sprintf("day%d.example", i))...)
		raws = append(raws, l.want(d, intel.RunOK, "").Raw)
		l.advance(24 * time.Hour)
	}
	kept := l.keys("raw/keep/2")
	if !slices.Equal(kept, raws[12:]) {
		t.Errorf("kept %v, want the last 8 of %v", kept, raws)
	}
	l.verify() // what was deleted by age is no problem

	// A run that waits for a decision, and what is current, outlive the retention.
	l.srv.SetString("/keep", "<html>")
	held := l.want(d, intel.RunQuarantined, "html")
	l.srv.Fail("/keep", feedserver.NotFound, 0)
	for range 30 {
		l.advance(24 * time.Hour)
		l.want(d, intel.RunFailed, "status")
	}
	if kept, want := l.keys("raw/keep/2"), []string{raws[19], held.Raw}; !slices.Equal(kept, want) {
		t.Errorf("kept %v, want %v", kept, want)
	}
	l.verify()

	if err := l.store.Delete(t.Context(), raws[19]); err != nil {
		t.Fatal(err)
	}
	if found := problems(t, l.store); len(found) != 0 {
		// raws[19] is older than the marker, so its loss cannot be told from its age.
		t.Logf("reported: %v", found)
	}
	if err := l.store.Delete(t.Context(), held.Raw); err != nil {
		t.Fatal(err)
	}
}
