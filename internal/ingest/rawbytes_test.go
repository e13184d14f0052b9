package ingest_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// overwrite puts other bytes in place of an archived download.
func (l *lab) overwrite(key string, data []byte) {
	l.t.Helper()
	if _, err := blob.Write(l.t.Context(), l.store, key, data, blob.Cond{}); err != nil {
		l.t.Fatal(err)
	}
}

// ledgerProblems are what VerifyLedger reports.
func (l *lab) ledgerProblems() []string {
	l.t.Helper()
	var got []string
	report := func(p corpus.Problem) { got = append(got, p.Key+": "+p.Detail) }
	if err := ingest.VerifyLedger(l.t.Context(), l.store, report); err != nil {
		l.t.Fatal(err)
	}
	return got
}

func packed(t *testing.T, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A person approves the bytes that were held back and no others.
func TestDecide_ApprovesTheVeryBytes(t *testing.T) {
	l := newLab(t)
	d := l.def("a", nil)
	names := make([]string, 40)
	for i := range names {
		names[i] = fmt.Sprintf("n%d.example", i)
	}
	l.serve("a", names...)
	l.want(d, intel.RunOK, "")
	l.serve("a", names[0])
	held := l.want(d, intel.RunQuarantined, ingest.CodeShrink)
	l.overwrite(held.Raw, packed(t, "planted.example\n"))
	_, err := l.runner.Decide(t.Context(), d, held.ID, true, "alice", "")
	if err == nil || !strings.Contains(err.Error(), held.Raw) || !strings.Contains(err.Error(), "other bytes") {
		t.Errorf("approving planted bytes: %v, want a refusal that names %s", err, held.Raw)
	}
	if h, _, err := l.corpus.Head(t.Context(), "a"); err != nil || h.Open() != len(names) {
		t.Errorf("head %+v, %v: want the %d listings of before", h, err, len(names))
	}
}

func TestVerifyLedger_ReadsRawBytes(t *testing.T) {
	l := newLab(t)
	d := l.def("a", nil)
	l.serve("a", "one.example", "two.example")
	run := l.want(d, intel.RunOK, "")
	if got := l.ledgerProblems(); len(got) > 0 {
		t.Fatalf("problems of a whole store: %q", got)
	}
	good, _, err := blob.Read(t.Context(), l.store, run.Raw)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for what, data := range map[string][]byte{"a flipped bit": flipped, "a cut": good[:len(good)-3], "other bytes": packed(t, "planted.example\n")} {
		l.overwrite(run.Raw, data)
		if got := l.ledgerProblems(); len(got) != 1 || !strings.HasPrefix(got[0], run.Raw) {
			t.Errorf("%s: problems %q, want one of %s", what, got, run.Raw)
		}
	}
}

// The hash in a row is that of what was received; what is archived without the
// secret has its own.
func TestVerifyLedger_BlackenedBytesAreWhole(t *testing.T) {
	l := newLab(t)
	l.secrets["K"] = "canary-secret-42"
	d := l.def("a", map[string]any{"auth": map[string]any{"secret": "K", "in": "header", "name": "X-Key"}})
	l.serve("a", "# for canary-secret-42", "one.example")
	run := l.want(d, intel.RunOK, "")
	if !strings.Contains(run.Reason, "blackened") {
		t.Fatalf("run %+v: nothing was blackened, so this proves nothing", run)
	}
	if got := l.ledgerProblems(); len(got) > 0 {
		t.Errorf("problems %q", got)
	}
	l.overwrite(run.Raw, packed(t, "planted.example\n"))
	if got := l.ledgerProblems(); len(got) != 1 {
		t.Errorf("problems of planted bytes: %q", got)
	}
}
