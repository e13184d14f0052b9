package local

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/enrich/facts"
)

// put writes an object.
func put(t *testing.T, s blob.Store, key, data string) {
	t.Helper()
	if _, err := blob.Write(context.Background(), s, key, []byte(data), blob.Cond{}); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s blob.Store, key string) string {
	t.Helper()
	b, _, err := blob.Read(context.Background(), s, key)
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return string(b)
}

func head(version int) string {
	return fmt.Sprintf(`{"format":1,"feed":"a","version":%d,"segments":[{"name":"%d","key":"segments/a/%d.seg"}]}`, version, version, version)
}

// sample is a store with one feed in its given version.
func sample(t *testing.T) *blob.Dir {
	t.Helper()
	s, err := blob.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{
		"store.json": `{"format":1}`, "heads/a.json": head(1), "segments/a/1.seg": "one", "segments/a/0.seg": "left over",
		"runs/a/2026-11-24.ndjson": "run 1\n", "state/a.json": "{}", "unfinished/a.json": "{}", "raw/a/2026/11/24/x.zst": "raw", "keys.json": "[]",
		"runs/never/2026-11-24.ndjson": "failed\n", "serve.lock": "1\n", "index.lock": "", "settings/feeds.json": "{}",
	} {
		put(t, s, k, v)
	}
	return s
}

func backUp(t *testing.T, s blob.Store, o BackupOptions) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	if _, err := Backup(context.Background(), s, &b, o); err != nil {
		t.Fatal(err)
	}
	return &b
}

func keys(t *testing.T, s blob.Store) string {
	t.Helper()
	list, err := s.List(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range list {
		names = append(names, o.Key)
	}
	return strings.Join(names, " ")
}

func TestBackup_HoldsWhatIsCurrentAndNothingElse(t *testing.T) {
	s := sample(t)
	for _, plain := range []bool{false, true} {
		root := filepath.Join(t.TempDir(), "new")
		n, err := Restore(context.Background(), root, backUp(t, s, BackupOptions{Plain: plain, Now: time.Unix(1e9, 0)}), nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := blob.OpenDir(root)
		if err != nil {
			t.Fatal(err)
		}
		want := "heads/a.json keys.json raw/a/2026/11/24/x.zst runs/a/2026-11-24.ndjson runs/never/2026-11-24.ndjson segments/a/1.seg settings/feeds.json state/a.json store.json"
		if got := keys(t, r); got != want || n.Objects != 9 {
			t.Errorf("%d objects restored:\n%s\nwant\n%s", n.Objects, got, want)
		}
		if got := get(t, r, "segments/a/1.seg"); got != "one" {
			t.Errorf("segment %q", got)
		}
	}
}

// moving is a store whose feed moves on to its next version when a key is read:
// as a server's run of the feed would do it in the middle of a backup.
type moving struct {
	*blob.Dir
	t     *testing.T
	at    string
	moves int // how often it still does
	now   int
}

func (m *moving) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	if key == m.at && m.moves > 0 {
		m.moves--
		m.now++
		put(m.t, m.Dir, fmt.Sprintf("segments/a/%d.seg", m.now), fmt.Sprint("version ", m.now))
		put(m.t, m.Dir, "heads/a.json", head(m.now))
		put(m.t, m.Dir, "runs/a/2026-11-24.ndjson", fmt.Sprintf("run %d\n", m.now))
		if err := m.Delete(ctx, fmt.Sprintf("segments/a/%d.seg", m.now-1)); err != nil {
			m.t.Error(err)
		}
	}
	return m.Dir.Get(ctx, key)
}

func TestBackup_OfOneInstantWhileTheFeedMoves(t *testing.T) {
	for _, at := range []string{"runs/a/2026-11-24.ndjson", "state/a.json", "segments/a/1.seg"} {
		m := &moving{Dir: sample(t), t: t, at: at, moves: 1, now: 1}
		root := t.TempDir()
		if _, err := Restore(context.Background(), root, backUp(t, m, BackupOptions{}), nil); err != nil {
			t.Fatalf("moving at %s: %v", at, err)
		}
		r, err := blob.OpenDir(root)
		if err != nil {
			t.Fatal(err)
		}
		if get(t, r, "heads/a.json") != head(2) || get(t, r, "segments/a/2.seg") != "version 2" || get(t, r, "runs/a/2026-11-24.ndjson") != "run 2\n" {
			t.Errorf("moving at %s: a mixture was copied: %s", at, keys(t, r))
		}
	}
}

// TestBackup_FirstRunDuringTheCopy: a feed that had no head when its ledger was
// read has one when the copy ends.
func TestBackup_FirstRunDuringTheCopy(t *testing.T) {
	m := &moving{Dir: sample(t), t: t, at: "state/a.json", moves: 1, now: 1}
	if err := m.Delete(context.Background(), "heads/a.json"); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if _, err := Restore(context.Background(), root, backUp(t, m, BackupOptions{}), nil); err != nil {
		t.Fatal(err)
	}
	r, err := blob.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	if get(t, r, "heads/a.json") != head(2) || get(t, r, "segments/a/2.seg") != "version 2" {
		t.Errorf("copied: %s", keys(t, r))
	}
}

func TestBackup_GivesUpOnAFeedThatNeverRests(t *testing.T) {
	m := &moving{Dir: sample(t), t: t, at: "state/a.json", moves: 1 << 20, now: 1}
	if _, err := Backup(context.Background(), m, io.Discard, BackupOptions{}); err == nil || !strings.Contains(err.Error(), "feed a") {
		t.Errorf("error %v", err)
	}
}

func TestBackup_SecretsOnlyWhenAsked(t *testing.T) {
	s := sample(t)
	if err := NewSecrets(s.Root(), nil).Set("otx", "hunter2"); err != nil {
		t.Fatal(err)
	}
	if b := backUp(t, s, BackupOptions{Plain: true}); bytes.Contains(b.Bytes(), []byte("hunter2")) || bytes.Contains(b.Bytes(), []byte("secrets/")) {
		t.Error("a secret stands in the backup")
	}
	root := t.TempDir()
	if _, err := Restore(context.Background(), root, backUp(t, s, BackupOptions{Secrets: NewSecrets(s.Root(), nil)}), nil); err != nil {
		t.Fatal(err)
	}
	if v, ok := NewSecrets(root, nil).Get("otx"); !ok || v != "hunter2" {
		t.Errorf("restored secret %q", v)
	}
}

// archive makes a backup by hand: pairs of name and content.
func archive(t *testing.T, members ...string) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		h := &tar.Header{Name: members[i], Size: int64(len(members[i+1])), Typeflag: tar.TypeReg, Mode: 0o600}
		if h.Name == "link" {
			h = &tar.Header{Name: "heads/link.json", Linkname: members[i+1], Typeflag: tar.TypeSymlink}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, members[i+1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestRestore_Refuses(t *testing.T) {
	const info = `{"format":1}`
	for name, tc := range map[string]struct {
		in   *bytes.Buffer
		want string
	}{
		"text":             {bytes.NewBufferString("hello"), "not a backup"},
		"nothing":          {&bytes.Buffer{}, "not a backup"},
		"another archive":  {archive(t, "x", "y"), "not a backup"},
		"a newer format":   {archive(t, "backup.json", `{"format":99}`), "use a newer elasticintel"},
		"no last object":   {archive(t, "backup.json", info, "heads/a.json", "{}"), "cut off"},
		"a way out":        {archive(t, "backup.json", info, "../x", "y", "store.json", "{}"), `"../x"`},
		"an absolute path": {archive(t, "backup.json", info, "/etc/x", "y", "store.json", "{}"), `"/etc/x"`},
		"a hidden file":    {archive(t, "backup.json", info, ".lock", "y", "store.json", "{}"), `".lock"`},
		"a link":           {archive(t, "backup.json", info, "link", "/etc/passwd", "store.json", "{}"), "no ordinary file"},
		"a secret's path":  {archive(t, "backup.json", info, "secrets/../../x", "y", "store.json", "{}"), "secret name"},
		"a lock":           {archive(t, "backup.json", info, "serve.lock", "1", "store.json", "{}"), "serve.lock"},
	} {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "new")
			_, err := Restore(context.Background(), root, tc.in, nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
			if _, err := os.Stat(filepath.Join(root, "store.json")); err == nil {
				t.Error("a half-restored folder looks like a store")
			}
		})
	}
}

func TestRestore_OnlyIntoAnEmptyFolder(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(context.Background(), root, archive(t), nil); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("error %v", err)
	}
}

func TestRestore_EveryCutIsNoticed(t *testing.T) {
	whole := backUp(t, sample(t), BackupOptions{}).Bytes()
	for n := 0; n < len(whole)-1; n += 1 + len(whole)/97 {
		root := filepath.Join(t.TempDir(), "new")
		if _, err := Restore(context.Background(), root, bytes.NewReader(whole[:n]), nil); err == nil {
			t.Errorf("%d of %d bytes were restored without an error", n, len(whole))
		}
	}
}

// ending is a store in which a run ends, row and then state, right after one
// object of the feed was read; the head does not move, as with a failed run.
type ending struct {
	*blob.Dir
	t  *testing.T
	at string
}

func (e *ending) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	rc, info, err := e.Dir.Get(ctx, key)
	if key == e.at {
		e.at = ""
		put(e.t, e.Dir, "runs/a/2026-11-24.ndjson", "run 1\nrun 2\n")
		put(e.t, e.Dir, "state/a.json", `"run 2"`)
	}
	return rc, info, err
}

// A state never names a run that its ledger lacks, wherever a run ends.
func TestBackup_StateNeverAheadOfItsLedger(t *testing.T) {
	for _, at := range []string{"heads/a.json", "state/a.json", "runs/a/2026-11-24.ndjson", "segments/a/1.seg"} {
		root := t.TempDir()
		if _, err := Restore(context.Background(), root, backUp(t, &ending{sample(t), t, at}, BackupOptions{}), nil); err != nil {
			t.Fatalf("a run that ends at %s: %v", at, err)
		}
		r, err := blob.OpenDir(root)
		if err != nil {
			t.Fatal(err)
		}
		if state, rows := get(t, r, "state/a.json"), get(t, r, "runs/a/2026-11-24.ndjson"); state == `"run 2"` && !strings.Contains(rows, "run 2") {
			t.Errorf("a run that ends at %s: the state is of it, the ledger is %q", at, rows)
		}
	}
}

// TestBackupEnrichment: what registries said is copied as its head names it, and
// nothing that lies beside.
func TestBackupEnrichment(t *testing.T) {
	s := sample(t)
	b, err := facts.Open(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Add(t.Context(), []enrich.Finding{{Subject: enrich.Subject{Domain: "a.com"}, Source: "rdap", Fetched: time.Unix(1e9, 0), Negative: enrich.Unregistered}})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "enrichment/batches/left-over.eifb", "?")
	root := filepath.Join(t.TempDir(), "new")
	if _, err := Restore(t.Context(), root, backUp(t, s, BackupOptions{Now: time.Unix(1e9, 0)}), nil); err != nil {
		t.Fatal(err)
	}
	r, err := blob.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	again, err := facts.Open(t.Context(), r, nil)
	if err != nil || again.Snapshot().ID() != b.Snapshot().ID() {
		t.Errorf("restored is %s, was %s, %v", again.Snapshot().ID(), b.Snapshot().ID(), err)
	}
	if strings.Contains(keys(t, r), "left-over") {
		t.Error("what nobody names was copied")
	}
}
