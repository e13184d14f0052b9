package bombs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/parse"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// What a bomb may cost.
const (
	mostTime   = 2 * time.Second // of a processor; asserted in a long run only
	mostMemory = 64 << 20
)

// bomb is one hostile download.
type bomb struct {
	name  string
	spec  parse.Spec
	entry string // of an archive
	open  opener
	// serve takes the place of open where the way over HTTP is meant.
	serve func(*feedserver.Server)
	// want is part of the error that ends it, or of the reason why a record is
	// rejected or suppressed; "" where it is harmless.
	want string
	most int // indicators that may come of it all the same
}

// result is what came of it.
type result struct {
	Err     string
	Said    []string // reasons of rejected records and of suppressed ones
	Shown   []string // values of rejected records
	Entries int
	Seconds float64 // on the clock, of a machine that may be busy
	CPU     float64 // seconds of a processor
	Memory  int64   // by which the process grew, in bytes; -1 where the system does not tell
	Left    []string
}

const bombVar = "EI_BOMB"

// TestMain is the process of one bomb where the variable says so.
func TestMain(m *testing.M) {
	name := os.Getenv(bombVar)
	if name == "" {
		os.Exit(m.Run())
	}
	for _, b := range bombs() {
		if b.name == name {
			if err := json.NewEncoder(os.Stdout).Encode(explode(b)); err != nil {
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(2)
}

// explode does what a run does with a download.
func explode(b bomb) (r result) {
	body, done, err := b.make()
	if err != nil {
		return result{Err: "the bomb cannot be made: " + err.Error()}
	}
	defer done()
	debug.FreeOSMemory() // what making it took
	before := peakMemory(true)
	began, used := time.Now(), processorTime()
	res, err := read(body, b.spec)
	r.Seconds, r.CPU = time.Since(began).Seconds(), (processorTime() - used).Seconds()
	if r.Memory = -1; before >= 0 {
		r.Memory = peakMemory(false) - before
	}
	if err != nil {
		r.Err = err.Error()
	}
	if res != nil {
		r.Entries = len(res.Entries)
		for _, x := range res.Rejects {
			r.Said, r.Shown = append(r.Said, x.Reason), append(r.Shown, x.Value)
		}
		for why := range res.SuppressedFor {
			r.Said = append(r.Said, why)
		}
	}
	return r
}

// make makes the bomb, and says how a run gets at its plain bytes.
func (b bomb) make() (body func() (io.ReadCloser, error), done func(), err error) {
	if b.serve == nil {
		src, err := b.open(".")
		return func() (io.ReadCloser, error) { return fetch.Decode(src, b.entry, fetch.Limits{}) }, func() {}, err
	}
	s := feedserver.New()
	if err := s.Listen("127.0.0.1:0"); err != nil {
		return nil, nil, err
	}
	b.serve(s)
	return func() (io.ReadCloser, error) { return download(s.URL("/a")) }, s.Close, nil
}

// download is the client's way to the plain bytes.
func download(url string) (io.ReadCloser, error) {
	c := fetch.New(fetch.Options{TempDir: ".", Retries: -1})
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	res, err := c.Do(context.Background(), fetch.Request{URL: url, AllowNetworks: loopback})
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{res.Body, res}, nil
}

func read(open func() (io.ReadCloser, error), spec parse.Spec) (*parse.Result, error) {
	body, err := open()
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return parse.Collect(context.Background(), body, spec, parse.Options{})
}

// peakMemory is the most that was resident, in bytes, since the last reset; -1
// where the system does not tell.
func peakMemory(reset bool) int64 {
	if reset {
		if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
			return -1
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			return kb << 10
		}
	}
	return -1
}

// TestBombs runs each in a process and a folder of its own.
func TestBombs(t *testing.T) {
	if raceEnabled {
		t.Skip("bombs are not run under the race detector, which takes ten times the memory; nothing here is concurrent")
	}
	soak := os.Getenv("EI_SOAK") != ""
	list := bombs()
	if len(list) < 40 {
		t.Errorf("only %d bombs", len(list))
	}
	var table strings.Builder
	for _, b := range list {
		r, err := run(t, b)
		if err != nil {
			t.Errorf("%s: %v", b.name, err)
			continue
		}
		said := r.said(b.want)
		switch {
		case b.want == "" && r.Err != "" || said == "":
			t.Errorf("%s: %q %q, want %q", b.name, r.Err, r.Said, b.want)
		case r.Entries > b.most:
			t.Errorf("%s: %d indicators, want at most %d", b.name, r.Entries, b.most)
		case r.Memory > mostMemory:
			t.Errorf("%s: %d MiB of memory", b.name, r.Memory>>20)
		case soak && r.CPU > mostTime.Seconds():
			t.Errorf("%s: %.1f s of a processor", b.name, r.CPU)
		case slices.ContainsFunc(r.Shown, func(v string) bool { return strings.Contains(v, "root:") }): // of /etc/passwd
			t.Errorf("%s: a file of this machine was read: %q", b.name, r.Shown)
		case len(r.Left) > 0:
			t.Errorf("%s: left %q behind", b.name, r.Left)
		}
		fmt.Fprintf(&table, "| %s | %s | %.2f | %.2f | %d |\n", b.name, said, r.Seconds, r.CPU, max(0, r.Memory>>20))
	}
	t.Logf("bombs:\n| bomb | refused with | s | CPU s | MiB |\n|---|---|---|---|---|\n%s", table.String())
}

// said returns the sentence with want in it; what is harmless says how much came
// of it.
func (r result) said(want string) string {
	if want == "" {
		return fmt.Sprintf("(harmless: %d indicators)", r.Entries)
	}
	for _, s := range append([]string{r.Err}, r.Said...) {
		if s != "" && strings.Contains(s, want) {
			s, _, _ = strings.Cut(s, "; trying again")
			return strings.ReplaceAll(s, "|", `\|`)
		}
	}
	return ""
}

// run starts the process of a bomb in an empty folder, and says what it left there.
func run(t *testing.T, b bomb) (r result, err error) {
	dir := t.TempDir()
	work := filepath.Join(dir, "a", "b", "c") // names that lead out of it stay in dir
	if err := os.MkdirAll(work, 0o700); err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Dir = work
	cmd.Env = append(os.Environ(), bombVar+"="+b.name, "GOGC=100", "GOMEMLIMIT=off", "TMPDIR="+work)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil {
		return r, fmt.Errorf("%w\n%s", err, talk.String())
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return r, fmt.Errorf("%w: %s", err, out.String())
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != bombFile {
			r.Left = append(r.Left, path)
		}
		return err
	})
	return r, err
}
