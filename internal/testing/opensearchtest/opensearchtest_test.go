package opensearchtest

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLacks: what a machine lacks is said in one line, and skips.
func TestLacks(t *testing.T) {
	c := &Cluster{folder: filepath.Join(t.TempDir(), "run")}
	_, err := c.script("start", []string{"VERSION=1.2.3.0"})
	if err == nil || !strings.HasPrefix(err.Error(), "opensearch: no checksums for runner-1.2.3.0") || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(c.folder); err == nil {
		t.Error("it left its folder behind")
	}
}

// TestShared: two tests get the same node, on loopback.
func TestShared(t *testing.T) {
	a, b := Shared(t, V2), Shared(t, V2)
	if len(a.URLs) != 1 || a.URLs[0] != b.URLs[0] {
		t.Errorf("%v, %v", a.URLs, b.URLs)
	}
	if os.Getenv("OPENSEARCH_URL") == "" && !strings.HasPrefix(a.URLs[0], "http://127.0.0.1:") {
		t.Errorf("%v", a.URLs)
	}
	res, err := http.Get(a.URLs[0])
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	_ = res.Body.Close()
}
