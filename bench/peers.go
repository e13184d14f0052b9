package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// peersOptions are the flags of "bench peers".
type peersOptions struct {
	listings, feeds, rounds int
	peers                   string
	budget                  time.Duration
	write                   string
}

// peersCommand measures us and the peers on the same data in one run:
//
//	go run . peers -listings 1000000 -feeds 40 [-peers sqlite,bleve] [-write ../docs/benchmarks.md]
func peersCommand(args []string) error {
	var o peersOptions
	f := flag.NewFlagSet("peers", flag.ContinueOnError)
	f.IntVar(&o.listings, "listings", 1_000_000, "listings in all")
	f.IntVar(&o.feeds, "feeds", 40, "feeds they are spread over, sizes falling like 1/rank")
	f.IntVar(&o.rounds, "rounds", 3, "timed rounds of all questions; the table shows medians")
	f.StringVar(&o.peers, "peers", "sqlite,mattn,bleve,redis,postgres,grep", "who is measured beside us")
	f.DurationVar(&o.budget, "budget", 1500*time.Millisecond, "time for one line of the table in one engine and round; slow ones get fewer questions")
	f.StringVar(&o.write, "write", "", "a Markdown file to put the result in, between its peers markers")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.rounds < 1 || o.feeds < 1 || o.listings < 1000 {
		return errors.New("at least 1000 listings, a feed and a round")
	}
	// Servers are stopped on the way out, so an interrupt must not skip that.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	text, err := measurePeers(ctx, o)
	if err != nil {
		return err
	}
	if _, err := fmt.Print(text); err != nil || o.write == "" {
		return err
	}
	return writeBetween(o.write, "peers", text)
}

// openPeer starts one engine.
func openPeer(ctx context.Context, name string) (peer, error) {
	switch name {
	case "sqlite":
		return newSQLitePeer("sqlite", "")
	case "mattn":
		return newMattnPeer()
	case "bleve":
		return newBlevePeer()
	case "redis":
		return newRedisPeer()
	case "postgres":
		return newPostgresPeer(ctx)
	case "grep":
		return newGrepPeer()
	}
	return nil, errors.New("no such peer; there are sqlite, mattn, bleve, redis, postgres and grep")
}

func measurePeers(ctx context.Context, o peersOptions) (text string, err error) {
	progress := func(format string, args ...any) { log.Printf(format, args...) }
	ours, err := newOursPeer(ctx)
	if err != nil {
		return "", err
	}
	peers, without := []peer{ours}, []string(nil)
	defer func() {
		for _, p := range peers {
			err = errors.Join(err, p.close())
		}
	}()
	for name := range strings.SplitSeq(o.peers, ",") {
		if name == "grep" && o.listings > 1_000_000 {
			without = append(without, "grep: only up to a million listings")
			continue
		}
		p, err := openPeer(ctx, name)
		if err != nil {
			without = append(without, fmt.Sprintf("%s: %v", name, err))
			progress("left out: %s: %v", name, err)
			continue
		}
		peers = append(peers, p)
	}
	d, err := loadDataset(ctx, o.listings, o.feeds)
	if err != nil {
		return "", err
	}
	progress("%d listings of %d feeds from %s", d.listings, len(d.feeds), d.source)
	b := newBench(d, newQuestionnaire(d), peers, o.budget)
	load := loadAverage()
	if err := b.load(ctx, progress); err != nil {
		return "", err
	}
	for round := range o.rounds + 1 {
		if err := b.ask(ctx, round == 0); err != nil {
			return "", err
		}
		progress("round %d of %d", round, o.rounds)
	}
	if err := b.weigh(ctx); err != nil {
		return "", err
	}
	for round := range o.rounds {
		if err := b.change(ctx, round); err != nil {
			return "", err
		}
	}
	return b.report(o, without, load+" before, "+loadAverage()+" after"), nil
}

// loadAverage is that of the last minute, where the system says it.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	return strings.Fields(string(b))[0]
}

// writeBetween puts the text between the markers of that name in the file, at its
// end where it has none.
func writeBetween(file, name, text string) error {
	begin := fmt.Sprintf("<!-- %s: begin (bench %s -write) -->\n", name, name)
	end := fmt.Sprintf("<!-- %s: end -->\n", name)
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(old), begin)
	after := ""
	if found {
		if _, after, found = strings.Cut(rest, end); !found {
			return fmt.Errorf("%s: the marker of the end is missing", file)
		}
	} else {
		before = strings.TrimRight(before, "\n") + "\n\n"
	}
	return os.WriteFile(file, []byte(before+begin+text+end+after), 0o644)
}

// spread is how far rounds went from their median, in per cent of it.
func spread(v []float64) float64 {
	m := median(v)
	if m == 0 || len(v) < 2 {
		return 0
	}
	return 100 * max(slices.Max(v)-m, m-slices.Min(v)) / m
}
