package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/elasticintel/elasticintel/internal/config"
)

func TestSecrets_VariableWinsOverFile(t *testing.T) {
	root := t.TempDir()
	s := NewSecrets(root, map[string]config.Secret{"ABUSE_CH": "from-env"})
	for _, n := range []string{"abuse_ch", "otx"} {
		if err := s.Set(n, config.Secret(" from-file\n")); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"abuse_ch": "from-env", "otx": "from-file", "none": ""} {
		if got, ok := s.Get(name); got != want || ok != (want != "") {
			t.Errorf("Get(%s) = %q, %v; want %q", name, got, ok, want)
		}
	}
	names, err := s.Names()
	if err != nil || strings.Join(names, " ") != "abuse_ch otx" {
		t.Errorf("Names = %v, %v", names, err)
	}
}

func TestSecrets_FilesAreTheOwnersAlone(t *testing.T) {
	root := t.TempDir()
	s := NewSecrets(root, nil)
	if err := s.Set("otx", "x"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "secrets", "otx")
	st, err := os.Stat(file)
	if err != nil || (exposed(0o644) && st.Mode().Perm() != 0o600) {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if bad, err := s.Exposed(); err != nil || len(bad) != 0 {
		t.Errorf("exposed %v, %v", bad, err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if bad, err := s.Exposed(); err != nil || (exposed(0o644) && len(bad) != 1) {
		t.Errorf("exposed %v, %v; want the file", bad, err)
	}
}

func TestSecrets_RefuseBadNamesAndValues(t *testing.T) {
	s := NewSecrets(t.TempDir(), nil)
	for _, name := range []string{"", "../x", "a/b", ".hidden", strings.Repeat("x", 65)} {
		if err := s.Set(name, "v"); err == nil {
			t.Errorf("Set(%q) succeeded", name)
		}
	}
	for _, v := range []config.Secret{"", "  ", "two\nlines", "nul\x00"} {
		err := s.Set("ok", v)
		if err == nil {
			t.Errorf("Set of %d bytes succeeded", len(v))
		} else if v.Reveal() != "" && strings.TrimSpace(v.Reveal()) != "" && strings.Contains(err.Error(), v.Reveal()) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

func TestLockServe_SecondIsToldTheFirst(t *testing.T) {
	root := t.TempDir()
	if pid, running := ServerPID(root); running {
		t.Errorf("process %d serves an unused folder", pid)
	}
	release, err := LockServe(root)
	if err != nil {
		t.Fatal(err)
	}
	var busy *BusyError
	if _, err := LockServe(root); !errors.As(err, &busy) || busy.PID != os.Getpid() {
		t.Errorf("second lock: %v", err)
	}
	if pid, running := ServerPID(root); !running || pid != os.Getpid() {
		t.Errorf("ServerPID = %d, %v", pid, running)
	}
	release()
	again, err := LockServe(root)
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	again()
}

const oneFeed = `{"feeds":[{"feed_name":"NAME","feed_type":"txt","indicator_type":"domain","feed_url":"https://feeds.example.net/NAME","field_mapping":{"source":[],"destination":[]}}]}`

func writeFeed(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(strings.ReplaceAll(oneFeed, "NAME", name)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCatalogue_FollowsItsFiles(t *testing.T) {
	dir := t.TempDir()
	writeFeed(t, dir, "one")
	c, err := OpenCatalogue(dir, nil)
	if err != nil || len(c.Current().All()) != 1 {
		t.Fatalf("catalogue %v, %v", c, err)
	}
	if changed, err := c.Reload(); changed || err != nil {
		t.Errorf("nothing changed: %v, %v", changed, err)
	}
	writeFeed(t, dir, "two")
	if changed, err := c.Reload(); !changed || err != nil || c.Current().Get("two") == nil {
		t.Errorf("a new file: %v, %v", changed, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bad.json"), []byte(`{"feeds":[{"feed_nam":"x"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	changed, err := c.Reload()
	if !changed || err == nil || !strings.Contains(err.Error(), "bad.json") || len(c.Current().All()) != 2 {
		t.Errorf("a broken file: %v, %v, %d feeds", changed, err, len(c.Current().All()))
	}
	if changed, err := c.Reload(); changed || err != nil {
		t.Errorf("a broken file is reported once: %v, %v", changed, err)
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "bad.json")), os.Remove(filepath.Join(dir, "one.json"))); err != nil {
		t.Fatal(err)
	}
	if changed, err := c.Reload(); !changed || err != nil || c.Current().Get("one") != nil {
		t.Errorf("a removed file: %v, %v", changed, err)
	}
}

func TestOpenCatalogue_SaysWhatIsMissing(t *testing.T) {
	empty := t.TempDir()
	file := filepath.Join(empty, "file.json")
	if c, err := OpenCatalogue(filepath.Join(empty, "no"), nil); c != nil || err == nil || !strings.Contains(err.Error(), "feeds folder") {
		t.Errorf("OpenCatalogue of nothing = %v, %v", c, err)
	}
	c, err := OpenCatalogue(empty, nil)
	if c == nil || err == nil || !strings.Contains(err.Error(), "no feed definitions") {
		t.Fatalf("OpenCatalogue of an empty folder = %v, %v", c, err)
	}
	writeFeed(t, empty, "first")
	if changed, err := c.Reload(); !changed || err != nil || c.Current().Get("first") == nil {
		t.Errorf("the first definition in an empty folder: %v, %v", changed, err)
	}
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := OpenCatalogue(file, nil); c != nil || err == nil || !strings.Contains(err.Error(), "is a file") {
		t.Errorf("OpenCatalogue(file) = %v, %v", c, err)
	}
	var builtin fs.FS = fstest.MapFS{"a.json": {Data: []byte(strings.ReplaceAll(oneFeed, "NAME", "a"))}}
	if c, err := OpenCatalogue("", builtin); err != nil || c.Current().Get("a") == nil {
		t.Errorf("the built-in catalogue: %v, %v", c, err)
	}
}
