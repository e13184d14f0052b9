package crashtest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// Environment of the child process, which is this test binary again.
const (
	envDir    = "EI_CRASH_DIR"
	envMutant = "EI_CRASH_MUTANT"
	envNext   = "EI_CRASH_NEXT"
)

func scripts() []Script {
	return []Script{{"tiny", 12}, {"small", 200}, {"medium", 3000}}
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(envDir); dir != "" {
		var next []int
		for s := range strings.SplitSeq(os.Getenv(envNext), ",") {
			n, err := strconv.Atoi(s)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(3)
			}
			next = append(next, n)
		}
		err := Child(context.Background(), dir, os.Getenv(envMutant), scripts(), next, os.Stdout)
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(3)
	}
	os.Exit(m.Run())
}

// victim is a folder in which children ingest and die.
type victim struct {
	t      *testing.T
	dir    string
	mutant string
	acks   map[string]*Acks
}

func newVictim(t *testing.T, mutant string) *victim {
	v := &victim{t: t, dir: t.TempDir(), mutant: mutant, acks: map[string]*Acks{}}
	store, err := blob.NewDir(v.dir)
	if err == nil {
		err = corpus.Init(t.Context(), store)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts() {
		v.acks[s.Feed] = &Acks{Step: -1, Runs: map[string]intel.RunStatus{}}
	}
	return v
}

// moment is when to kill: so long after the child's n-th line, where 0 is the
// start of the process and 1 says that it has opened the store.
type moment struct {
	lines int
	after time.Duration
}

// atRandom hits openings, repairs, and all parts of steps, which take some 10 to 60 ms.
func atRandom(rng *rand.Rand) moment {
	return moment{rng.IntN(6), time.Duration(rng.IntN(60_000)) * time.Microsecond}
}

// kill starts a child, kills it at the moment, and takes over what it was told.
func (v *victim) kill(m moment) {
	v.t.Helper()
	cmd, out, stderr := v.start()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	var seen strings.Builder
	note := func(line string, more bool) bool {
		if more {
			seen.WriteString(line + "\n")
		}
		return more
	}
	for range m.lines {
		if line, more := <-lines; !note(line, more) {
			_ = cmd.Wait()
			v.t.Fatalf("the child ended by itself: %s", stderr.String())
		}
	}
	for timer := time.NewTimer(m.after); ; {
		select {
		case line, more := <-lines:
			if note(line, more) {
				continue
			}
		case <-timer.C:
		}
		break
	}
	_ = cmd.Process.Kill()
	for line := range lines {
		note(line, true)
	}
	_ = cmd.Wait()
	if strings.Contains(stderr.String(), "child:") {
		v.t.Fatalf("the child failed: %s", stderr.String())
	}
	if err := ReadAcks(strings.NewReader(seen.String()), v.acks); err != nil {
		v.t.Fatal(err)
	}
}

// start starts a child at the steps after the acknowledged ones.
func (v *victim) start() (*exec.Cmd, io.Reader, *bytes.Buffer) {
	v.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		v.t.Fatal(err)
	}
	var next []string
	for _, s := range scripts() {
		next = append(next, strconv.Itoa(v.acks[s.Feed].Step+1))
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envDir+"="+v.dir, envMutant+"="+v.mutant, envNext+"="+strings.Join(next, ","))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	return cmd, out, &stderr
}

// check opens the folder as the next process will.
func (v *victim) check() []string {
	v.t.Helper()
	store, err := blob.NewDir(v.dir)
	if err != nil {
		return []string{err.Error()}
	}
	return Check(context.Background(), store, scripts(), v.acks)
}

// tidied returns how many shards and history segments there are.
func (v *victim) tidied() (shards, history int) {
	v.t.Helper()
	store, err := blob.NewDir(v.dir)
	if err != nil {
		v.t.Fatal(err)
	}
	c, err := corpus.Open(v.t.Context(), store, corpus.Options{})
	if err != nil {
		v.t.Fatal(err)
	}
	for _, h := range c.View().Feeds() {
		shards = max(shards, h.Shards)
		for _, s := range h.Segments {
			if s.History {
				history++
			}
		}
	}
	return shards, history
}

// No acknowledged run is lost, every open succeeds and nothing is half-visible,
// at whatever point a process that ingests is killed.
func TestKill(t *testing.T) {
	points := 100
	if os.Getenv("EI_SOAK") != "" {
		points = 1000
	}
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 1))
	v := newVictim(t, "")
	for i := range points {
		v.kill(atRandom(rng))
		if wrong := v.check(); len(wrong) > 0 {
			t.Fatalf("kill %d (seed %d): %d findings:\n%s", i, seed, len(wrong), strings.Join(wrong, "\n"))
		}
	}
	if shards, history := v.tidied(); shards < 2 || history == 0 {
		t.Errorf("%d shards, %d history segments: nothing was folded", shards, history)
	}
	runs, steps := 0, 0
	for _, a := range v.acks {
		runs += len(a.Runs)
		steps += a.Step + 1
	}
	t.Logf("%d kills, %d acknowledged steps of %d feeds, %d runs: 0 lost, 0 failed opens, 0 half-visible", points, steps, len(v.acks), runs)
	if steps < points {
		t.Errorf("only %d steps in %d kills: the children die before they work", steps, points)
	}
}

// mutantKills is how many kills find each mutant with near certainty: a kill hits
// its window with a chance of a tenth and more, also on a slow machine.
const mutantKills = 200

// The test must be able to fail: each of these stores is wrong in a way that a
// careless pipeline would be, and is found out.
func TestKillFindsMutants(t *testing.T) {
	for prefix, m := range mutants {
		t.Run(strings.Trim(prefix, "/"), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2))
			v := newVictim(t, prefix)
			for i := range mutantKills {
				v.kill(atRandom(rng))
				if wrong := v.check(); len(wrong) > 0 {
					t.Logf("a pipeline that %s is found out at kill %d: %s", m.what, i+1, wrong[0])
					return
				}
			}
			t.Errorf("a pipeline that %s passes %d kills", m.what, mutantKills)
		})
	}
}
