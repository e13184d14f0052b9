package elasticintel_test

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A README that lies is worse than none, so its tour is executed: every block
// fenced with ```console is typed into one shell, command by command, and what
// comes out must be what stands below the command. In an expected line "…"
// stands for any text, and a line that is only "…" for any lines. The command
// that starts the server runs in the background, as in a terminal of its own.
const (
	goRun  = "go run ./cmd/elasticintel"
	serve  = goRun + " serve"
	listen = "127.0.0.1:7331"
)

// step is one command of the tour and what it must print.
type step struct {
	line    int
	command string
	want    []string
}

func TestREADMETour(t *testing.T) { tour(t, "README.md") }

// The commands of docs/search.md and docs/history.md are executed in the same way.
func TestSearchGuide(t *testing.T) { tour(t, "docs/search.md") }

func TestHistoryGuide(t *testing.T) { tour(t, "docs/history.md") }

func tour(t *testing.T, file string) {
	if runtime.GOOS == "windows" {
		t.Skip("the tour is written for a POSIX shell")
	}
	steps := readTour(t, file)
	if len(steps) < 10 {
		t.Fatalf("found only %d commands in %s; the console blocks are not read", len(steps), file)
	}
	bin := filepath.Join(t.TempDir(), "elasticintel")
	if out, err := exec.Command("go", "build", "-o", bin, "./cmd/elasticintel").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	sh := newShell(t, t.TempDir(), filepath.Dir(bin))
	for _, s := range steps {
		cmd := strings.ReplaceAll(s.command, goRun, "elasticintel")
		if strings.HasPrefix(s.command, serve) {
			sh.background(t, cmd)
			continue
		}
		got := sh.run(t, cmd)
		if !matches(s.want, got) {
			t.Errorf("%s:%d: $ %s\nprints\n%s\nbut it says\n%s", file, s.line, s.command, strings.Join(got, "\n"), strings.Join(s.want, "\n"))
		}
	}
}

func readTour(t *testing.T, file string) []step {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var steps []step
	in := false
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		switch {
		case line == "```console":
			in = true
		case strings.HasPrefix(line, "```"):
			in = false
		case in && strings.HasPrefix(line, "$ "):
			steps = append(steps, step{line: n, command: line[2:]})
		case in && len(steps) > 0:
			last := &steps[len(steps)-1]
			last.want = append(last.want, line)
		}
	}
	return steps
}

// matches compares line by line; a want line of only "…" matches any number of lines.
func matches(want, got []string) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	if strings.TrimSpace(want[0]) == "…" {
		for skip := 0; skip <= len(got); skip++ {
			if matches(want[1:], got[skip:]) {
				return true
			}
		}
		return false
	}
	if len(got) == 0 || !lineMatches(want[0], got[0]) {
		return false
	}
	return matches(want[1:], got[1:])
}

func lineMatches(want, got string) bool {
	parts := strings.Split(strings.TrimRight(want, " "), "…")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return regexp.MustCompile(`^` + strings.Join(parts, `.*`) + `\s*$`).MatchString(got)
}

func TestTourMatcherCanFail(t *testing.T) {
	for _, c := range []struct {
		want, got string
		ok        bool
	}{
		{"a … c", "a b c", true},
		{"a … c", "a b d", false},
		{"a\n…\nz", "a\nb\nc\nz", true},
		{"a\n…\nz", "a\nb\nc", false},
		{"", "x", false},
		{"x", "x\ny", false},
	} {
		if ok := matches(splitLines(c.want), splitLines(c.got)); ok != c.ok {
			t.Errorf("matches(%q, %q) = %v", c.want, c.got, ok)
		}
	}
}

func splitLines(s string) []string {
	if s = strings.TrimRight(s, "\n"); s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// shell is one bash that lives through the tour, so that $? and variables do.
type shell struct {
	dir, path string
	in        *os.File
	out       *bufio.Reader
}

const mark = "@@ end of command @@"

func newShell(t *testing.T, dir, bin string) *shell {
	t.Helper()
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "--norc")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "NO_COLOR=1", "HOME="+dir, "EI_ENRICH=off")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inR, outW, outW
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	inR.Close()
	outW.Close()
	t.Cleanup(func() { inW.Close(); _ = cmd.Wait(); outR.Close() })
	return &shell{dir: dir, path: bin, in: inW, out: bufio.NewReader(outR)}
}

func (s *shell) run(t *testing.T, command string) []string {
	t.Helper()
	// The status of the command survives for a following "echo $?".
	if _, err := s.in.WriteString(command + "\nei_status=$?; echo; echo '" + mark + "'; (exit $ei_status)\n"); err != nil {
		t.Fatalf("$ %s: the shell is gone: %v", command, err)
	}
	var got []string
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			t.Fatalf("$ %s: the shell is gone: %v; so far:\n%s", command, err, strings.Join(got, "\n"))
		}
		if line = strings.TrimRight(line, "\n"); line == mark {
			break
		}
		got = append(got, line)
	}
	if n := len(got); n > 0 && got[n-1] == "" {
		got = got[:n-1] // the echo that separates the mark from a last line without newline
	}
	return got
}

// background starts the server and waits until it says that it listens.
func (s *shell) background(t *testing.T, command string) {
	t.Helper()
	args := strings.Fields(command)
	cmd := exec.Command(filepath.Join(s.path, args[0]), args[1:]...)
	cmd.Dir = s.dir
	var talk bytes.Buffer
	cmd.Stderr = &talk
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		done := make(chan struct{})
		go func() { _ = cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			t.Errorf("the server did not stop within 20 s of SIGTERM")
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "http://"+listen {
		t.Fatalf("$ %s: first line %q (%v), want http://%s; it said:\n%s", command, line, err, listen, talk.String())
	}
	s.run(t, "for i in $(seq 100); do curl -sf http://"+listen+"/readyz >/dev/null && break; sleep 0.1; done")
}
