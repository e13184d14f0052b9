// Package pytools runs the Python programs that scripts/pytools.sh installs:
// servers and libraries of others that our side of a protocol is proven with.
package pytools

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Python returns the interpreter that has the pinned packages. Without it the
// test fails where CI=true, and is skipped elsewhere.
func Python(t testing.TB) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(here), "..", "..", "..", "bin", "pytools")
	python := filepath.Join(dir, "bin", "python")
	if _, err := os.Stat(filepath.Join(dir, "requirements.txt")); err != nil { // the script's last step
		const say = "bin/pytools is missing: run scripts/pytools.sh"
		if os.Getenv("CI") == "true" {
			t.Fatal(say)
		}
		t.Skip(say)
	}
	return python
}

// Run runs a program and returns what it printed; the test fails where it does.
func Run(t testing.TB, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), Python(t), append([]string{"-W", "ignore", "-c", program}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		said := ""
		if e, ok := err.(*exec.ExitError); ok {
			said = string(e.Stderr)
		}
		t.Fatalf("python: %v\n%s", err, said)
	}
	return string(out)
}

// Port returns a TCP port of loopback that was free just now.
func Port(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Serve starts a server that runs until the test ends, and returns when it has
// said ready on stderr.
func Serve(t testing.TB, ready string, args ...string) {
	t.Helper()
	cmd := exec.Command(Python(t), args...)
	cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1")
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	var said strings.Builder
	in := bufio.NewScanner(stderr)
	for in.Scan() {
		fmt.Fprintln(&said, in.Text())
		if strings.Contains(in.Text(), ready) {
			go func() {
				for in.Scan() { // keep the pipe empty
				}
			}()
			return
		}
	}
	t.Fatalf("the server ended: %v\n%s", in.Err(), said.String())
}
