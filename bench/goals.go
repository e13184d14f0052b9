package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"
)

// goalsOptions are the flags of "bench goals".
type goalsOptions struct {
	listings, feeds, rounds, big int
	binary, work, write, part    string
	profile                      string
}

// figures are what was measured: by name a value a round, in seconds, bytes,
// things per second or per cent.
type figures map[string][]float64

func (f figures) add(name string, v float64) { f[name] = append(f[name], v) }

// goalsCommand measures us against our own goals:
//
//	go run . goals -listings 5000000 -feeds 180 [-write ../docs/benchmarks.md]
//
// Each part runs in a process of its own, so that one's memory is not another's.
func goalsCommand(args []string) error {
	var o goalsOptions
	f := flag.NewFlagSet("goals", flag.ContinueOnError)
	f.IntVar(&o.listings, "listings", 5_000_000, "listings in all")
	f.IntVar(&o.feeds, "feeds", 180, "feeds they are spread over, sizes falling like 1/rank")
	f.IntVar(&o.big, "big", 1_000_000, "listings of the one feed that changes")
	f.IntVar(&o.rounds, "rounds", 3, "rounds; the table shows medians")
	f.StringVar(&o.binary, "binary", "../bin/elasticintel", "the built program, for what goes over HTTP; empty leaves that out")
	f.StringVar(&o.work, "work", "", "a folder to keep the corpus in, for another run; empty: a new one that is deleted")
	f.StringVar(&o.write, "write", "", "a Markdown file to put the result in, between its goals markers")
	f.StringVar(&o.part, "part", "", "measure only this part and print its figures (build, feed, first, read, replace, bare)")
	f.StringVar(&o.profile, "profile", "", "with -part: a file for a profile of the processor time")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.rounds < 1 || o.feeds < 1 || o.listings < 1000 || o.big < 1000 {
		return errors.New("at least 1000 listings, a feed and a round")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.part != "" {
		return goalsPart(ctx, o)
	}
	text, err := measureGoals(ctx, o)
	if err != nil {
		return err
	}
	if _, err := fmt.Print(text); err != nil || o.write == "" {
		return err
	}
	return writeBetween(o.write, "goals", text)
}

// goalsPart measures one part in this process.
func goalsPart(ctx context.Context, o goalsOptions) error {
	if o.part == "bare" {
		return serveBare(ctx, filepath.Join(o.work, bareFile))
	}
	f := figures{}
	part := map[string]func(context.Context, goalsOptions, figures) error{
		"build": buildPart, "feed": feedPart, "first": firstPart, "read": readPart, "replace": replacePart,
	}[o.part]
	if part == nil {
		return fmt.Errorf("-part=%s: there are build, feed, first, read, replace and bare", o.part)
	}
	if o.profile != "" {
		out, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer out.Close()
		if err := pprof.StartCPUProfile(out); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if err := part(ctx, o, f); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

// command is this program again, for one part.
func (o goalsOptions) command(ctx context.Context, part string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "goals", "-part", part, "-work", o.work, "-binary", o.binary, "-listings", fmt.Sprint(o.listings),
		"-feeds", fmt.Sprint(o.feeds), "-rounds", fmt.Sprint(o.rounds), "-big", fmt.Sprint(o.big))
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// run measures a part in another process and adds its figures, renamed where as is given.
func (o goalsOptions) run(ctx context.Context, part, as string, into figures) error {
	cmd, err := o.command(ctx, part)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("part %s: %w", part, err)
	}
	var f figures
	if err := json.Unmarshal(out.Bytes(), &f); err != nil {
		return fmt.Errorf("part %s: %w", part, err)
	}
	for name, v := range f {
		into[as+name] = append(into[as+name], v...)
	}
	return nil
}

func (o goalsOptions) store() string { return filepath.Join(o.work, "store") }

func measureGoals(ctx context.Context, o goalsOptions) (text string, err error) {
	if o.work == "" {
		if o.work, err = os.MkdirTemp("", "bench-goals-"); err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.work)) }()
	}
	load := loadAverage()
	b, err := readBuilt(o)
	if err != nil { // not there, or not to its end
		if err := o.run(ctx, "build", "", figures{}); err != nil {
			return "", err
		}
		if b, err = readBuilt(o); err != nil {
			return "", err
		}
	}
	f := b.Figures
	log.Printf("built: %s", b.About)
	for range o.rounds {
		if err := o.run(ctx, "first", "warm.", f); err != nil {
			return "", err
		}
		if err := dropCache(o.store()); err != nil {
			log.Printf("the cache is not dropped: %v", err)
			continue
		}
		if err := o.run(ctx, "first", "dropped.", f); err != nil {
			return "", err
		}
	}
	if err := o.run(ctx, "read", "", f); err != nil {
		return "", err
	}
	if o.binary != "" {
		if err := httpPart(ctx, o, f); err != nil {
			return "", err
		}
	}
	for _, part := range []string{"feed", "replace"} {
		log.Printf("part %s", part)
		if err := o.run(ctx, part, "", f); err != nil {
			return "", err
		}
	}
	return goalsReport(o, f, b.About, load+" before, "+loadAverage()+" after"), nil
}
