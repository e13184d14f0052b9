package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
)

// Fetcher downloads. *fetch.Client is one; its errors are *fetch.Error.
type Fetcher interface {
	Do(ctx context.Context, req fetch.Request) (*fetch.Result, error)
}

// Pull is one pull of a feed. Def, Fetch and Temp are required.
type Pull struct {
	Def     *feed.Definition
	Fetch   Fetcher
	Secret  string    // of the feed, "" where it needs none
	Secrets []string  // all forms of it that must never be written
	State   State     // of the last accepted run; zero where it means nothing any more
	Now     time.Time // the run's start
	Temp    func() (*os.File, error)
	Sleep   func(ctx context.Context, d time.Duration) error // for Def.Pause; default a timer

	// Clean returns another file without the secrets, where f holds one, which is
	// closed and removed; f else. Nil: answers are packed as they are.
	Clean func(ctx context.Context, f *os.File) (*os.File, error)
	// Previous opens the pack of the last accepted run, nil where there is none, so
	// that items that have not changed need not be fetched again. May be nil. The
	// caller removes the file.
	Previous func(ctx context.Context) (*os.File, error)
	Progress func(bytes int64) // after each answer: how much there is so far; may be nil
}

// maxTime is how long one pull may take. Lists of thousands of items with a pause
// between two fit in; a server that trickles page after page does not hold a feed for ever.
const maxTime = 3 * time.Hour

// State is what must be remembered of an accepted pull for the next one.
type State struct {
	Of    string            // feed.Definition.PullHash of the definition that it came of
	Since map[string]string // by collection, "" where there are none: from where on to ask, RFC 3339 or as the answer said it
}

// Answer is what a pull brought. The file is the caller's to close and remove.
type Answer struct {
	File   *os.File // a pack, at its beginning
	Bytes  int64    // of File
	SHA256 string   // of File
	Status int      // HTTP status of the last answer
	URL    string   // of the first request, redacted
	Parts  int      // how many documents File holds
	State  State    // to be remembered once the run is accepted
	Notes  []string // what a person should know of it
}

// The codes of Error beside those of *fetch.Error.
const (
	CodeLoop    = "loop"    // the pages lead back to one that was there
	CodePartial = "partial" // there is more than the definition allows to fetch
	CodePage    = "page"    // an answer does not say how it goes on, or is no list
	CodeTaxii   = "taxii"   // no TAXII 2.1 server, or not what was asked for
)

// Error says why a pull failed. Nothing of it was taken.
type Error struct {
	Code   string
	Reason string // a sentence, redacted
	Err    error  // a *fetch.Error, or nil
}

// Error implements error.
func (e *Error) Error() string { return e.Reason }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Run pulls. The error is an *Error, the context's, or that of the disk.
func Run(ctx context.Context, p Pull) (*Answer, error) {
	f, err := p.Temp()
	if err != nil {
		return nil, err
	}
	r, err := newRun(p, f)
	if err == nil {
		limited, cancel := context.WithTimeout(ctx, maxTime)
		defer cancel()
		if err = r.walk(limited); err != nil && limited.Err() != nil && ctx.Err() == nil {
			err = r.fail(fetch.CodeTimeout, "the pull took longer than %v and was not at its end", maxTime)
		}
	}
	if err == nil {
		r.out.Bytes, r.out.SHA256, err = r.pack.close()
	}
	if err != nil {
		f.Close()
		os.Remove(f.Name())
		return nil, err
	}
	r.out.File, r.out.Parts = f, r.pack.n
	return &r.out, nil
}

// run is a Pull under way.
type run struct {
	Pull
	*asker
	pack *packer
	out  Answer
}

func newRun(p Pull, f *os.File) (*run, error) {
	if p.State.Of != p.Def.PullHash() {
		p.State = State{}
	}
	pack, err := newPacker(f)
	if err != nil {
		return nil, err
	}
	a, err := newAsker(&p)
	r := &run{Pull: p, asker: a, pack: pack}
	r.out.State = State{Of: p.Def.PullHash(), Since: maps.Clone(p.State.Since)}
	return r, err
}

func (r *run) walk(ctx context.Context) error {
	switch list, items := r.Def.List(); {
	case r.Def.Type == feed.TypeTaxii:
		return r.taxii(ctx)
	case items != nil:
		return r.items(ctx, list, items)
	}
	return r.pages(ctx)
}

// note adds something that a person should know.
func (r *run) note(format string, args ...any) {
	r.out.Notes = append(r.out.Notes, r.redact(fmt.Sprintf(format, args...)))
}

// since is from where on to ask for key, "" for from the beginning.
func (r *run) since(key string) string { return r.State.Since[key] }

// continueAt remembers from where the next pull of key asks on. What an answer
// said is kept only where it repeats no secret.
func (r *run) continueAt(key, value string) {
	const most = 1 << 10
	if value == "" || len(value) > most || r.redact(value) != value {
		return
	}
	if r.out.State.Since == nil {
		r.out.State.Since = map[string]string{}
	}
	r.out.State.Since[key] = value
}

// add packs an answer, without the secrets that it repeats.
func (r *run) add(ctx context.Context, m member, a *answer) error {
	m.url, r.out.Status = a.url, a.status
	if r.out.URL == "" {
		r.out.URL = a.url
	}
	f, size := a.file, a.size
	if r.Clean != nil {
		clean, err := r.Clean(ctx, a.file)
		if err != nil {
			return err
		}
		if clean != a.file {
			defer os.Remove(clean.Name())
			defer clean.Close()
			st, err := clean.Stat()
			if err != nil {
				return r.disk(err)
			}
			f, size = clean, st.Size()
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return r.disk(err)
	}
	if err := r.pack.add(m, f, size); err != nil {
		return r.disk(err)
	}
	if r.Progress != nil {
		r.Progress(r.pack.len)
	}
	return nil
}

// stopped is what happens where a pull ends before its end.
func (r *run) stopped(what string) error {
	if !r.Def.Partial() {
		return r.fail(CodePartial, "%s; since an entry that is missing counts as de-listed, nothing of it was taken", what)
	}
	r.note("%s", what)
	return nil
}

func (r *run) fail(code, format string, args ...any) error {
	return &Error{Code: code, Reason: r.redact(fmt.Sprintf(format, args...))}
}

// failed says what an error of a request means for the pull.
func failed(what string, err error) error {
	e, ok := errors.AsType[*fetch.Error](err)
	if !ok || what == "" {
		return err
	}
	return &Error{Code: e.Code, Reason: what + ": " + e.Error(), Err: err}
}

// gone says whether a request failed because what it asked for is no more.
func gone(err error) bool {
	e, ok := errors.AsType[*fetch.Error](err)
	return ok && (e.Status == http.StatusNotFound || e.Status == http.StatusGone)
}

// lastOf is the last part of a path, for the names of parts.
func lastOf(shown string) string {
	shown, _, _ = strings.Cut(shown, "?")
	shown = strings.TrimRight(shown, "/")
	return shown[strings.LastIndexByte(shown, '/')+1:]
}
