package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// envRead makes this test binary the second process: it opens the folder
// read-only and answers the values on stdin as of the given time.
const envRead = "EI_E2E_READ"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envRead); dir != "" {
		if err := answerAll(context.Background(), dir, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// answerAll prints an answer for each line "TIME VALUE".
func answerAll(ctx context.Context, dir string, in io.Reader, out io.Writer) error {
	store, err := blob.OpenDir(dir)
	if err != nil {
		return err
	}
	var now time.Time
	clock := func() time.Time { return now }
	c, err := corpus.Open(ctx, store, corpus.Options{Now: clock})
	if err != nil {
		return err
	}
	service := lookup.New(c, clock)
	w := bufio.NewWriter(out)
	for s := bufio.NewScanner(in); s.Scan(); {
		at, value, _ := strings.Cut(s.Text(), " ")
		if now, err = time.Parse(time.RFC3339, at); err != nil {
			return err
		}
		if _, err := c.Refresh(ctx); err != nil {
			return err
		}
		a, err := service.Answer(ctx, value, lookup.Options{})
		if err != nil {
			return err
		}
		w.Write(append(a.AppendJSON(nil), '\n'))
	}
	return w.Flush()
}

// secondProcess: another process reads while this one writes.
func (w *world) secondProcess(changes []*change) {
	w.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	list := values(changes)
	var in bytes.Buffer
	for _, v := range list {
		fmt.Fprintf(&in, "%s %s\n", w.now.Format(time.RFC3339), v)
	}
	want := w.answers(list)
	cmd := exec.CommandContext(w.t.Context(), exe)
	cmd.Env = append(os.Environ(), envRead+"="+w.dir)
	cmd.Stdin = &in
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	busy, stop := make(chan int), make(chan struct{})
	go func() { busy <- w.churn(stop) }()
	got := bufio.NewScanner(out)
	got.Buffer(nil, 64<<20)
	i := 0
	for ; got.Scan(); i++ {
		if i < len(want) && got.Text() != want[i] {
			w.t.Errorf("%q: here %s, in the other process %s", list[i], want[i], got.Text())
		}
	}
	close(stop)
	n := <-busy
	if err := cmd.Wait(); err != nil || i != len(want) {
		w.t.Errorf("the second process answered %d of %d: %v", i, len(want), err)
	}
	w.t.Logf("a second process answered %d values while %d runs were written", i, n)
}

// churn writes runs of a feed of its own until it is told to stop.
func (w *world) churn(stop <-chan struct{}) (n int) {
	d := definition(w.t, w.srv, "churn.txt", `{"type":"txt","kinds":"domain"}`)
	for {
		body := fmt.Sprintf("churn%d.example\nalways.churn.example\n", n)
		run, err := w.runner.Run(w.t.Context(), feed.Job{Def: d, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }})
		if err != nil || run.Status != intel.RunOK {
			w.t.Errorf("churn: %+v, %v", run, err)
			return n
		}
		n++
		select {
		case <-stop:
			return n
		default:
		}
	}
}
