package crashtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// mutants are the stores that are wrong on purpose, by the prefix that is
// written behind: what each makes of the pipeline, and how late it writes. A
// head must come after the ledger row and the state to be behind at all.
var mutants = map[string]struct {
	what  string
	delay time.Duration
}{
	"heads/":    {"acknowledges before it commits", 50 * time.Millisecond},
	"segments/": {"commits the head before the segment", 30 * time.Millisecond},
	"runs/":     {"acknowledges before the ledger row stands", 3 * time.Millisecond},
}

// Child ingests the scripts' feeds into the folder, step by step from the given
// ones on, in turn and without end, and prints a line for each step when it is
// acknowledged. It ends by being killed, or with the error of a step.
func Child(ctx context.Context, dir, mutant string, scripts []Script, next []int, out io.Writer) error {
	d, err := blob.NewDir(dir)
	if err != nil {
		return err
	}
	var store blob.Store = d
	if mutant != "" {
		store = &Behind{Store: d, Prefix: mutant, Delay: mutants[mutant].delay}
	}
	c, err := corpus.Open(ctx, store, manySegments())
	if err != nil {
		return err
	}
	r := ingest.New(ingest.Config{Store: store, Corpus: c, TempDir: dir + "/.tmp"})
	if err := r.Repair(ctx); err != nil {
		return err
	}
	fmt.Fprintln(out, "ready")
	for {
		for i, s := range scripts {
			run, err := s.Do(ctx, r, next[i])
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "ack %s %d %s %s\n", s.Feed, next[i], run.ID, run.Status)
			next[i]++
			if err := r.Tidy(ctx, s.Feed); err != nil {
				return err
			}
		}
		if next[0]%7 == 0 { // what a server does beside
			if _, err := c.Refresh(ctx); err != nil {
				return err
			}
			if err := c.Sweep(ctx, time.Now(), time.Minute); err != nil {
				return err
			}
		}
	}
}

// manySegments are limits so small that shards are cut, deltas folded and old
// listings moved all the time.
func manySegments() corpus.Options {
	return corpus.Options{ShardSize: 400, Small: 10, Live: 100 * time.Millisecond}
}

// ReadAcks takes over what a child printed. A last line that was cut off is no
// acknowledgement.
func ReadAcks(out io.Reader, acks map[string]*Acks) error {
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		f := strings.Fields(line)
		if len(f) != 5 || f[0] != "ack" {
			continue
		}
		a := acks[f[1]]
		step, err := strconv.Atoi(f[2])
		if err != nil || a == nil {
			return fmt.Errorf("odd line %q", line)
		}
		a.Step = step
		a.Runs[f[3]] = intel.RunStatus(f[4])
	}
}
