package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/opensearch"
)

// duel measures the two engines on the same data.
type duel struct {
	goalsOptions
	node, alias string

	p      *oursPeer
	client *opensearch.Client
	index  *opensearch.Engine
	asked  asked
	f      figures // by name; what is of the index has "index." in front
}

// opensearchCommand measures the engine over OpenSearch beside the embedded one:
//
//	go run . opensearch -url http://127.0.0.1:9200 [-listings 1000000] [-feeds 40]
//
// The node must be ours alone. What is made there is deleted at the end.
func opensearchCommand(args []string) (err error) {
	d := duel{alias: "bench-listings"}
	f := flag.NewFlagSet("opensearch", flag.ContinueOnError)
	f.StringVar(&d.node, "url", "", "a node on this machine")
	f.IntVar(&d.listings, "listings", 1_000_000, "listings in all")
	f.IntVar(&d.feeds, "feeds", 40, "feeds they are spread over, sizes falling like 1/rank")
	f.IntVar(&d.big, "big", 100_000, "listings of the one feed that changes")
	f.IntVar(&d.rounds, "rounds", 3, "rounds; the table shows medians")
	f.StringVar(&d.binary, "binary", "../bin/elasticintel", "the built program, for what goes over HTTP")
	f.StringVar(&d.write, "write", "", "a Markdown file to put the result in, between its opensearch markers")
	if err := f.Parse(args); err != nil {
		return err
	}
	if d.node == "" || d.rounds < 1 || d.feeds < 1 || d.listings < 2000 || d.big < 1000 {
		return errors.New("-url, and at least 2000 listings, a big feed of 1000, a feed and a round")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if d.work, err = os.MkdirTemp("", "bench-opensearch-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.work)) }()
	text, err := d.measure(ctx)
	if err != nil {
		return err
	}
	if _, err := fmt.Print(text); err != nil || d.write == "" {
		return err
	}
	return writeBetween(d.write, "opensearch", text)
}

func (d *duel) measure(ctx context.Context) (text string, err error) {
	load := loadAverage()
	if err := d.run(ctx, "build", "", figures{}); err != nil {
		return "", err
	}
	b, err := readBuilt(d.goalsOptions)
	if err != nil {
		return "", err
	}
	if d.asked, err = readAsked(d.goalsOptions); err != nil {
		return "", err
	}
	d.f = b.Figures
	if d.client, err = opensearch.New(opensearch.Options{URLs: []string{d.node}, Timeout: 10 * time.Minute, Now: time.Now}); err != nil {
		return "", err
	}
	defer d.client.Close()
	info, err := d.client.Check(ctx)
	if err != nil {
		return "", err
	}
	d.index = opensearch.NewEngine(d.client, opensearch.EngineOptions{Alias: d.alias, Now: time.Now})
	if d.p, err = openStore(ctx, d.store()); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, d.drop()) }()
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{{"fill", d.fill}, {"search", d.search}, {"http", d.http}, {"change", d.change}} {
		log.Printf("part %s", part.name)
		if err := part.run(ctx); err != nil {
			return "", fmt.Errorf("part %s: %w", part.name, err)
		}
	}
	return d.report(info.Version, b.About, load+" before, "+loadAverage()+" after"), nil
}

// tell makes a request of the node that our client has no function for.
func (d *duel) tell(method, path, body string, out any) error {
	r, err := http.NewRequest(method, d.node+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: status %d %.300s", method, path, res.StatusCode, text)
	}
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// drop deletes the indices behind the alias.
func (d *duel) drop() error {
	var behind map[string]any
	if err := d.tell("GET", "/_alias/"+d.alias, "", &behind); err != nil {
		return nil // nothing was made
	}
	for index := range behind {
		if err := d.tell("DELETE", "/"+index, "", nil); err != nil {
			return err
		}
	}
	return nil
}

// state is one state of the store, as an index takes it (the program's own is in
// internal/follow, behind which is all of the server).
type state struct {
	*corpus.View
	id string
}

// Feeds implements opensearch.Source.
func (s state) Feeds() (out []opensearch.Feed) {
	for _, h := range s.View.Feeds() {
		out = append(out, opensearch.Feed{Info: h.Info, LastGood: h.LastGood, Purged: h.Purged, Lost: h.Lost})
	}
	return out
}

// ID implements opensearch.Source.
func (s state) ID() string { return s.id }

// Err implements opensearch.Source.
func (s state) Err() error { return nil }

// fill has the index follow the store from nothing.
func (d *duel) fill(ctx context.Context) error {
	if _, err := d.index.Current(ctx); err == nil {
		return fmt.Errorf("the node has %s already", d.alias)
	}
	began := time.Now()
	st, err := d.index.Sync(ctx, state{d.p.c.View(), d.p.c.ID()})
	if err != nil {
		return err
	}
	d.f.add("index.ingest", float64(st.Written)/time.Since(began).Seconds())
	for _, s := range []struct{ name, path string }{{"flushed", "/_flush"}, {"merged", "/_forcemerge?max_num_segments=1&flush=true"}} {
		if err := d.tell("POST", "/"+d.alias+s.path, "", nil); err != nil {
			return err
		}
		if err := d.tell("POST", "/"+d.alias+"/_flush?force=true", "", nil); err != nil {
			return err
		}
		var stats struct {
			All struct {
				Primaries struct {
					Store struct {
						Bytes float64 `json:"size_in_bytes"`
					}
					Docs struct{ Count float64 }
				}
			} `json:"_all"`
		}
		if err := d.tell("GET", "/"+d.alias+"/_stats/store,docs", "", &stats); err != nil {
			return err
		}
		d.f.add("index."+s.name, stats.All.Primaries.Store.Bytes/float64(st.Written))
	}
	return d.nodeMemory("index.filled")
}

// nodeMemory notes the resident memory of the node, which is on this machine.
func (d *duel) nodeMemory(name string) error {
	var nodes struct {
		Nodes map[string]struct{ Process struct{ ID int } }
	}
	if err := d.tell("GET", "/_nodes/process", "", &nodes); err != nil {
		return err
	}
	for _, n := range nodes.Nodes {
		rss, err := processStatus(n.Process.ID, "VmRSS:")
		if err != nil {
			return err
		}
		d.f.add(name, rss)
	}
	return nil
}

// change: a feed that says the same again, and one of which a tenth goes and as much comes.
func (d *duel) change(ctx context.Context) error {
	entries, others, err := bigFeed(ctx, d.big)
	if err != nil {
		return err
	}
	d.big = len(entries)
	d.p.now = time.Now().UTC().Add(-time.Duration(d.rounds+3) * time.Hour)
	tenth := len(entries) / 10
	for round := range d.rounds + 2 {
		name := "tenth"
		switch {
		case round == 0:
			name = "first"
		case round == 1:
			name = "same"
		default: // what came in the round before goes, too
			at := (round - 2) * tenth % len(entries)
			copy(entries[at:], others[at:min(at+tenth, len(entries))])
		}
		began := time.Now()
		if err := d.p.merge(ctx, d.feeds, entries); err != nil {
			return err
		}
		if _, err := d.p.c.Refresh(ctx); err != nil {
			return err
		}
		d.f.add(name+".time", time.Since(began).Seconds())
		st, err := d.index.Sync(ctx, state{d.p.c.View(), d.p.c.ID()})
		if err != nil {
			return err
		}
		d.f.add("index."+name+".time", time.Since(began).Seconds())
		d.f.add("index."+name+".sent", float64(st.Written+st.Deleted))
	}
	return nil
}

// server starts the built program on the store, over the embedded engine or the index.
func (d *duel) server(ctx context.Context, index bool) (*served, error) {
	feeds := filepath.Join(d.work, "feeds")
	if err := os.MkdirAll(feeds, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(feeds, "idle.json"), []byte(idleFeed), 0o600); err != nil {
		return nil, err
	}
	args := []string{"serve", "--quiet", "--data", d.store(), "--listen", "127.0.0.1:0", "--enrich", "off", "--feeds", feeds}
	if index {
		args = append(args, "--engine", "opensearch", "--opensearch-url", d.node, "--opensearch-index", d.alias)
	}
	return d.start(ctx, args)
}
