// Command bench measures the program and SQLite side by side, on the same data
// in one run, and prints a Markdown table for docs/benchmarks.md.
//
//	cd bench && go run . [-binary ../bin/elasticintel] [-rounds 3]
//	cd bench && go run . peers [-listings 1000000] [-feeds 40]   beside more peers (peers.go)
//	cd bench && go run . goals [-listings 5000000] [-feeds 180]   against our own goals (goals.go)
//	cd bench && go run . opensearch -url URL [-listings 1000000]  the engine over OpenSearch beside the embedded one (opensearch.go)
//
// With EI_SAMPLES (a folder with feeds/INDEX.tsv) the values are those of real
// feeds; without it they are generated, and the table says so.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) > 1 {
		command := map[string]func([]string) error{"peers": peersCommand, "goals": goalsCommand, "opensearch": opensearchCommand}[os.Args[1]]
		if command != nil {
			if err := command(os.Args[2:]); err != nil {
				log.Fatal(err)
			}
			return
		}
	}
	binary := flag.String("binary", "../bin/elasticintel", "the built program, for the process rows; empty leaves them out")
	rounds := flag.Int("rounds", 3, "runs of each measurement; the table shows medians")
	one := flag.Int("one", 500_000, "lines of the single feed")
	many := flag.Int("many", 1_000_000, "listings over 40 feeds")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, options{*binary, *rounds, *one, *many}); err != nil {
		log.Fatal(err)
	}
}

type options struct {
	binary            string
	rounds, one, many int
}

// row is one line of the table: the same thing measured on both.
type row struct{ what, ours, sqlite, ratio string }

func run(ctx context.Context, w io.Writer, o options) error {
	values, source, err := loadValues(max(o.one, o.many))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s, %s/%s, %d CPUs, %s; medians of %d; values: %s.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), o.rounds, source)
	var rows []row
	for _, part := range []func(context.Context, options, []string) ([]row, error){ingestRows, lookupRows, processRows} {
		more, err := part(ctx, o, values)
		if err != nil {
			return err
		}
		rows = append(rows, more...)
		debug.FreeOSMemory()
	}
	fmt.Fprintln(w, "| what | ElasticIntel | SQLite | ratio |\n|---|--:|--:|--:|")
	for _, r := range rows {
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", r.what, r.ours, r.sqlite, r.ratio)
	}
	return nil
}

func median[T int64 | float64 | time.Duration](v []T) T {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// perSecond prints n things in d as a rate.
func perSecond(n int, d time.Duration) string {
	r := float64(n) / d.Seconds()
	switch {
	case r >= 1e6:
		return fmt.Sprintf("%.2f M/s", r/1e6)
	case r >= 1e3:
		return fmt.Sprintf("%.0f k/s", r/1e3)
	}
	return fmt.Sprintf("%.0f /s", r)
}

func times(a, b float64) string { return fmt.Sprintf("%.1f×", a/b) }

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
