package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// grepPeer searches a text file, one listing a line, with ripgrep or grep.
type grepPeer struct {
	mute
	dir, file, program string
}

func newGrepPeer() (peer, error) {
	program, err := find("rg")
	if err != nil {
		if program, err = find("grep"); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "bench-grep-")
	if err != nil {
		return nil, err
	}
	return &grepPeer{dir: dir, file: filepath.Join(dir, "listings.txt"), program: program}, nil
}

func (p *grepPeer) name() string { return filepath.Base(p.program) }

func (p *grepPeer) about() string {
	return versionOf(p.program, p.program) + ": one process a question over a text file with a line a listing, in the system's cache; the words are in it as our tokenizer cuts them"
}

func (p *grepPeer) load(_ context.Context, _ int, _ []intel.Entry, rows []listing) error {
	f, err := os.OpenFile(p.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<18)
	for i := range rows {
		r := &rows[i]
		fmt.Fprintf(w, "%s\t:%d:%s\t%s\t%s\t %s \n", r.feed, r.ind.Kind, r.ind.Value, noBlanks.Replace(r.original), noBlanks.Replace(r.context), r.text())
	}
	return errors.Join(w.Flush(), f.Sync(), f.Close())
}

// noBlanks keeps words that are searched for with blanks around them to the last column.
var noBlanks = strings.NewReplacer(" ", `\u0020`, "\t", `\t`, "\n", `\n`)

func (p *grepPeer) bytes(context.Context) (int64, error) { return folderBytes(p.dir, ".") }

// lines runs the program with a plain pattern and returns what it finds, the newest first.
func (p *grepPeer) lines(ctx context.Context, pattern string) (n int, first []string, err error) {
	out, err := exec.CommandContext(ctx, p.program, "-F", "-e", pattern, p.file).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return 0, nil, nil // nothing found
	}
	n = bytes.Count(out, []byte("\n"))
	for len(out) > 0 && len(first) < 20 {
		out = out[:len(out)-1]
		at := bytes.LastIndexByte(out, '\n') + 1
		cells := strings.SplitN(string(out[at:]), "\t", 3)
		_, value, _ := strings.Cut(strings.TrimPrefix(cells[1], ":"), ":")
		first = append(first, cells[0]+" "+value)
		out = out[:at]
	}
	return n, first, err
}

func (p *grepPeer) exact(ctx context.Context, i intel.Indicator) (int, error) {
	n, _, err := p.lines(ctx, fmt.Sprintf("\t:%d:%s\t", i.Kind, i.Value))
	return n, err
}

func (p *grepPeer) search(ctx context.Context, q question) (a answer, err error) {
	pattern := " " + strings.Join(q.words, " ")
	switch q.sort {
	case "term", "phrase":
		pattern += " "
	case "prefix":
	default:
		return a, errNot
	}
	a.total, a.first, err = p.lines(ctx, pattern)
	return a, err
}

func (p *grepPeer) close() error { return os.RemoveAll(p.dir) }
