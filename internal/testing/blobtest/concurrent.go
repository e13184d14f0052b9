package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// pattern is size bytes that are cheap to make and not the same in any two places near each other.
type pattern struct{ at, size int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.at == p.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), p.size-p.at))
	for i := range n {
		at := p.at + int64(i)
		b[i] = byte(at ^ at>>8 ^ at>>16)
	}
	p.at += int64(n)
	return n, nil
}

func testLarge(t *testing.T, s blob.Store) {
	const size = 40<<20 + 7
	wanted := sha256.New()
	if _, err := io.Copy(wanted, &pattern{size: size}); err != nil {
		t.Fatal(err)
	}
	info, err := s.Put(t.Context(), "large", &pattern{size: size}, blob.Cond{IfAbsent: true})
	if err != nil || info.Size != size {
		t.Fatalf("put: %+v, %v", info, err)
	}
	r, got, err := s.Get(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	if err != nil || n != size || !bytes.Equal(sum.Sum(nil), wanted.Sum(nil)) {
		t.Errorf("got %d bytes, %v", n, err)
	}
	if got.Size != size || got.ETag != info.ETag {
		t.Errorf("get says %+v, put %+v", got, info)
	}
	// Another content: some stores have the same tag for the same bytes.
	_, err = s.Put(t.Context(), "large", &pattern{size: size + 1}, blob.Cond{IfMatch: info.ETag})
	if err != nil {
		t.Errorf("conditional put of a large object: %v", err)
	}
	_, err = s.Put(t.Context(), "large", &pattern{size: size}, blob.Cond{IfMatch: info.ETag})
	wantConflict(t, err)
	_, err = s.Put(t.Context(), "large", &pattern{size: size}, blob.Cond{IfAbsent: true})
	wantConflict(t, err)
	if r, got, err = s.Get(t.Context(), "large"); err != nil || got.Size != size+1 {
		t.Fatalf("after two lost puts: %+v, %v", got, err)
	}
	_ = r.Close()
}

func testOneCreator(t *testing.T, s blob.Store) {
	for round := range 10 {
		key := fmt.Sprintf("claims/%d", round)
		var won, lost atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				me := strconv.Itoa(i)
				_, err := blob.Write(t.Context(), s, key, []byte(me), blob.Cond{IfAbsent: true})
				switch {
				case err == nil:
					won.Add(1)
					winner.Store(me)
				case errors.Is(err, blob.ErrConflict):
					lost.Add(1)
				default:
					t.Errorf("put: %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != 15 {
			t.Fatalf("%d won, %d lost", won.Load(), lost.Load())
		}
		want(t, s, key, winner.Load().(string))
	}
}

// addLine appends a line of a log, as the run ledger does. No line may get lost.
func addLine(ctx context.Context, s blob.Store, key, line string) error {
	return blob.Update(ctx, s, key, func(old []byte) ([]byte, error) {
		return fmt.Appendf(bytes.Clone(old), "%s\n", line), nil
	})
}

// checkLines wants every line of every writer once, in its writer's order.
func checkLines(t *testing.T, s blob.Store, key string, writers, lines int) {
	t.Helper()
	data, _, err := blob.Read(t.Context(), s, key)
	if err != nil {
		t.Fatal(err)
	}
	next := map[string]int{}
	for line := range strings.Lines(string(data)) {
		who, n, _ := strings.Cut(strings.TrimSpace(line), " ")
		if i, err := strconv.Atoi(n); err != nil || i != next[who] {
			t.Fatalf("line %q, want %s's number %d", line, who, next[who])
		}
		next[who]++
	}
	if len(next) != writers {
		t.Errorf("%d writers, want %d", len(next), writers)
	}
	for who, n := range next {
		if n != lines {
			t.Errorf("%s: %d lines, want %d", who, n, lines)
		}
	}
}

func testConcurrentUpdates(t *testing.T, s blob.Store) {
	const writers, lines = 12, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range lines {
				if err := addLine(t.Context(), s, "runs/feed/log", fmt.Sprintf("w%d %d", w, i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	checkLines(t, s, "runs/feed/log", writers, lines)
}

// testWholeObjects: a reader sees one of the contents that were written, whole.
func testWholeObjects(t *testing.T, s blob.Store) {
	content := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 1000*(i%37+1)) }
	put(t, s, "k", content(0))
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for i := range 200 {
			if _, err := blob.Write(t.Context(), s, "k", []byte(content(i)), blob.Cond{}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 3 {
		wg.Go(func() {
			for reading := true; reading; {
				select {
				case <-done:
					reading = false
				default:
				}
				data, info, err := blob.Read(t.Context(), s, "k")
				if err != nil || int64(len(data)) != info.Size || len(data)%1000 != 0 || bytes.Count(data, data[:1]) != len(data) {
					t.Errorf("read %d bytes, %+v, %v", len(data), info, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// The environment of a process that Processes starts.
const (
	envStore  = "BLOBTEST_STORE"
	envWriter = "BLOBTEST_WRITER"
	envLines  = "BLOBTEST_LINES"
	logKey    = "runs/feed/log"
)

// Main is the body of TestMain in a test that calls Processes; open opens the
// store that location names. It returns the exit code.
func Main(m *testing.M, open func(location string) (blob.Store, error)) int {
	location, ok := os.LookupEnv(envStore)
	if !ok {
		return m.Run()
	}
	s, err := open(location)
	if err == nil {
		err = writeLines(s, os.Getenv(envWriter), os.Getenv(envLines))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func writeLines(s blob.Store, who, lines string) error {
	n, err := strconv.Atoi(lines)
	if err != nil {
		return err
	}
	for i := range n {
		if err := addLine(context.Background(), s, logKey, fmt.Sprintf("%s %d", who, i)); err != nil {
			return err
		}
	}
	return nil
}

// Processes lets several processes change one object at the same time. The
// test binary, which must call [Main], is started as each of them.
func Processes(t *testing.T, s blob.Store, location string) {
	t.Helper()
	const writers, lines = 6, 30
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range writers {
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^$")
		cmd.Env = append(os.Environ(), envStore+"="+location, fmt.Sprintf("%s=p%d", envWriter, w), fmt.Sprintf("%s=%d", envLines, lines))
		wg.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("writer %d: %v: %s", w, err, out)
			}
		})
	}
	wg.Wait()
	checkLines(t, s, logKey, writers, lines)
}
