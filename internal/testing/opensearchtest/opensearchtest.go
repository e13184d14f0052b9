// Package opensearchtest starts real OpenSearch clusters for tests, by
// scripts/opensearch.sh. Where a machine cannot (no JDK, no Maven), the test is
// skipped with one line; under CI=true it fails.
package opensearchtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Versions that the script has checksums of.
const (
	V2 = "2.19.1.0"
	V3 = "3.8.0.0" // needs a JDK >= 21
)

// Options say what to start.
type Options struct {
	Version  string // V2 where empty
	Nodes    int    // 3, or 1 where 0
	Security bool   // TLS and users, V2 only
}

// Cluster is a running OpenSearch.
type Cluster struct {
	URLs           []string // of its nodes
	CA             []byte   // PEM, with Security
	User, Password string   // with Security

	folder string
}

// Shared returns the single node that all tests of this process share; it ends
// with the process. Where OPENSEARCH_URL is set it is that, with
// OPENSEARCH_CA (a file), OPENSEARCH_USER and OPENSEARCH_PASSWORD, whatever its version.
func Shared(t testing.TB, version string) *Cluster {
	t.Helper()
	if urls := os.Getenv("OPENSEARCH_URL"); urls != "" {
		c := &Cluster{URLs: strings.Split(urls, ","), User: os.Getenv("OPENSEARCH_USER"), Password: os.Getenv("OPENSEARCH_PASSWORD")}
		if file := os.Getenv("OPENSEARCH_CA"); file != "" {
			c.CA = read(t, file)
		}
		return c
	}
	folder := filepath.Join(os.TempDir(), fmt.Sprintf("ei-opensearch-%s-%d", version, os.Getpid()))
	return start(t, Options{Version: version}, folder)
}

// Start returns a cluster of the test's own, which ends with the test.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	folder, err := os.MkdirTemp("", "ei-opensearch-") // not t.TempDir: a user of no name has to get there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o711); err != nil {
		t.Fatal(err)
	}
	c := start(t, o, filepath.Join(folder, "run"))
	t.Cleanup(func() {
		if _, err := c.script("stop", nil); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Kill ends a node, counted from 1, as kill -9 does.
func (c *Cluster) Kill(t testing.TB, node int) { c.must(t, "kill", node) }

// Revive starts a node anew on the data it has. It does not wait for it.
func (c *Cluster) Revive(t testing.TB, node int) { c.must(t, "revive", node) }

// Apply loads a file of the security plug-in in place of what the cluster has of
// that type (roles, rolesmapping), by the plug-in's own tool.
func (c *Cluster) Apply(t testing.TB, file, kind string) {
	t.Helper()
	if _, err := c.script("apply", nil, file, kind); err != nil {
		t.Fatal(err)
	}
}

func (c *Cluster) must(t testing.TB, what string, node int) {
	t.Helper()
	if _, err := c.script(what, nil, fmt.Sprint(node)); err != nil {
		t.Fatal(err)
	}
}

func start(t testing.TB, o Options, folder string) *Cluster {
	t.Helper()
	c := &Cluster{folder: folder}
	env := []string{fmt.Sprintf("PARENT=%d", os.Getpid()), "VERSION=" + o.Version, fmt.Sprintf("NODES=%d", max(o.Nodes, 1)), "SECURITY=0"}
	if o.Version == "" {
		env[1] = "VERSION=" + V2
	}
	if o.Security {
		env[3] = "SECURITY=1"
	}
	if o.Nodes > 1 && os.Getenv("HEAP") == "" {
		env = append(env, "HEAP=384m") // several share the machine
	}
	out, err := c.script("start", env)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.URLs = strings.Split(strings.TrimSpace(out), ",")
	if o.Security {
		c.CA = read(t, filepath.Join(folder, "ca.pem"))
		c.User, c.Password = "admin", strings.TrimSpace(string(read(t, filepath.Join(folder, "password"))))
	}
	return c
}

// script runs the script and returns what it printed; the error has what it said.
func (c *Cluster) script(what string, env []string, args ...string) (string, error) {
	_, here, _, _ := runtime.Caller(0)
	cmd := exec.Command("bash", append([]string{filepath.Join(filepath.Dir(here), "..", "..", "..", "scripts", "opensearch.sh"), what}, args...)...)
	cmd.Env = append(append(os.Environ(), "OPENSEARCH_URL=", "FOLDER="+c.folder), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s (%w)", strings.TrimSpace(stderr.String()), err)
	}
	return string(out), err
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
