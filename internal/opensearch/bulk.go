package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Op is one document to write, or to delete.
type Op struct {
	ID      string // decides which document; the same op twice changes nothing
	Routing string // "" for none
	Source  []byte // the document, JSON in one line; nil deletes it
	Name    string // what a message calls it: the indicator and its feed
}

// BulkOptions say how to write.
type BulkOptions struct {
	Alias  string // of the index; a name that is no alias is refused, so that writing never makes an index anew
	Docs   int    // most documents in a request; 0 = 2,000
	Bytes  int    // most bytes in a request, but for a larger document; 0 = 5 MB
	Lanes  int    // requests at a time; 0 = 2
	Tries  int    // in a row that bring nothing, before it gives up; 0 = 8
	Copies int    // how many copies must have a document; 0 = 1, the primary
}

func (o BulkOptions) withDefaults() BulkOptions {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&o.Docs, 2000)
	set(&o.Bytes, 5_000_000)
	set(&o.Lanes, 2)
	set(&o.Tries, 8)
	set(&o.Copies, 1)
	return o
}

// BulkStats counts what a Bulk did.
type BulkStats struct {
	Written  int // documents that are there, acknowledged by every copy that was asked
	Deleted  int // documents that are not there any more, or never were
	Rejected int // documents that the index will not take
	Requests int
	Retried  int // documents sent again
}

// Rejected is a document that the index will not take, however often it is sent.
type Rejected struct {
	Op     Op
	Status int // as of the request; 400 for a mapping error, 403 for a missing permission
	Type   string
	Reason string
}

// Error implements error.
func (r *Rejected) Error() string {
	doc := ""
	if r.Op.Source != nil {
		doc = ": " + short(string(r.Op.Source), 300)
	}
	return fmt.Sprintf("document %s (%s): status %d %s: %s%s", r.Op.ID, r.Op.Name, r.Status, r.Type, r.Reason, doc)
}

// maxNamed is how many documents an error names.
const maxNamed = 20

// BulkError says that not everything was acknowledged, and names what was not.
// What it does not name or count is in the index.
type BulkError struct {
	Stats    BulkStats
	Rejected []*Rejected // the first of them; Stats.Rejected counts all
	Open     []Op        // the first of those whose fate is not known or that were not sent
	OpenAll  int         // how many there are
	Err      error       // why it gave up; nil where it did not
}

// Error implements error.
func (e *BulkError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "OpenSearch acknowledged %d documents", e.Stats.Written+e.Stats.Deleted)
	if e.OpenAll > 0 {
		fmt.Fprintf(&b, ", not %d (the first is %s, %s); the same again is safe", e.OpenAll, e.Open[0].ID, e.Open[0].Name)
	}
	if e.Stats.Rejected > 0 {
		fmt.Fprintf(&b, ", and refused %d; the first: %v", e.Stats.Rejected, e.Rejected[0])
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns why it gave up and what was refused.
func (e *BulkError) Unwrap() []error {
	var out []error
	if e.Err != nil {
		out = append(out, e.Err)
	}
	for _, r := range e.Rejected {
		out = append(out, r)
	}
	return out
}

// Bulk writes many documents. Add what there is, then Close, which says whether
// all of it was acknowledged. Ops of one ID take effect in the order in which
// they were added. Add and Close are for one goroutine.
type Bulk struct {
	c     *Client
	opt   BulkOptions
	seed  maphash.Seed
	lanes []*lane
	ctx   context.Context // ends when one lane gives up
	stop  context.CancelCauseFunc
	wg    sync.WaitGroup

	mu    sync.Mutex // guards what follows
	stats BulkStats
	bad   []*Rejected
	open  []Op
	opens int
}

// NewBulk starts writing. Close must be called.
func (c *Client) NewBulk(ctx context.Context, o BulkOptions) *Bulk {
	b := &Bulk{c: c, opt: o.withDefaults(), seed: maphash.MakeSeed()}
	b.ctx, b.stop = context.WithCancelCause(ctx)
	for range b.opt.Lanes {
		l := &lane{b: b, at: map[string]int{}, full: make(chan []Op), docs: b.opt.Docs, bytes: b.opt.Bytes}
		b.lanes = append(b.lanes, l)
		b.wg.Go(l.run)
	}
	return b
}

// Add takes an op, whose memory it keeps. It waits while enough is under way. An
// error is why the writing ended; Close tells more.
func (b *Bulk) Add(op Op) error {
	if bad := oneLine(&op); bad != nil {
		b.reject(bad)
		return context.Cause(b.ctx)
	}
	l := b.lanes[maphash.String(b.seed, op.ID)%uint64(len(b.lanes))]
	if l.fits(&op) {
		l.add(op)
		return nil
	}
	if err := l.hand(); err != nil {
		b.leave([]Op{op})
		return err
	}
	l.add(op)
	return nil
}

// oneLine takes line ends out of a document, which would cut the request in
// other places than ours.
func oneLine(op *Op) *Rejected {
	if bytes.IndexByte(op.Source, '\n') < 0 {
		return nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, op.Source); err != nil {
		return &Rejected{Op: *op, Status: http.StatusBadRequest, Type: "not_json", Reason: err.Error()}
	}
	op.Source = b.Bytes()
	return nil
}

// Close sends the rest and waits. The error is nil where every op was
// acknowledged, else a *BulkError.
func (b *Bulk) Close() (BulkStats, error) {
	for _, l := range b.lanes {
		_ = l.hand() // the reason is the context's, and read below
		close(l.full)
	}
	b.wg.Wait()
	err := context.Cause(b.ctx)
	b.stop(nil)
	if err == nil && b.stats.Rejected == 0 && b.opens == 0 {
		return b.stats, nil
	}
	return b.stats, &BulkError{Stats: b.stats, Rejected: b.bad, Open: b.open, OpenAll: b.opens, Err: err}
}

// leave notes ops that were not acknowledged.
func (b *Bulk) leave(ops []Op) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opens += len(ops)
	b.open = append(b.open, ops[:min(len(ops), maxNamed-len(b.open))]...)
}

// reject notes what the index will not take.
func (b *Bulk) reject(r *Rejected) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Rejected++
	if len(b.bad) < maxNamed {
		b.bad = append(b.bad, r)
	}
}

func (b *Bulk) count(f func(*BulkStats)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.stats)
}

// How long a lane waits after a try that brought nothing, and at most.
const (
	bulkFirst = 100 * time.Millisecond
	bulkMost  = 30 * time.Second
)

// lane writes the ops whose IDs are its own, one request at a time. at, next and
// size belong to who adds; the rest to run.
type lane struct {
	b    *Bulk
	next []Op
	at   map[string]int // where an ID stands in next
	size int            // of next
	full chan []Op

	docs, bytes int // what a request may have now
}

func (l *lane) fits(op *Op) bool {
	_, again := l.at[op.ID]
	return len(l.next) == 0 || again || len(l.next) < l.b.opt.Docs && l.size+opSize(op) <= l.b.opt.Bytes
}

// opSize is about what an op takes in a request.
func opSize(op *Op) int { return len(op.Source) + len(op.ID) + len(op.Routing) + 48 }

// add takes an op in place of an earlier one of the same ID.
func (l *lane) add(op Op) {
	if i, again := l.at[op.ID]; again {
		l.size += opSize(&op) - opSize(&l.next[i])
		l.next[i] = op
		return
	}
	l.at[op.ID] = len(l.next)
	l.next = append(l.next, op)
	l.size += opSize(&op)
}

// hand gives the ops to run.
func (l *lane) hand() error {
	ops := l.next
	l.next, l.size = make([]Op, 0, len(ops)), 0
	clear(l.at)
	if len(ops) == 0 {
		return context.Cause(l.b.ctx)
	}
	select {
	case l.full <- ops:
		return nil
	case <-l.b.ctx.Done():
		l.b.leave(ops)
		return context.Cause(l.b.ctx)
	}
}

// run sends what it is handed.
func (l *lane) run() {
	for ops := range l.full {
		open, err := l.send(ops)
		if len(open) > 0 {
			l.b.leave(open)
		}
		if err != nil {
			l.b.stop(err)
		}
	}
}

// send writes the ops, again and again, and returns those that were not acknowledged
// and why it gave up.
func (l *lane) send(ops []Op) (open []Op, err error) {
	for fruitless := 0; len(ops) > 0; {
		if err := context.Cause(l.b.ctx); err != nil {
			return ops, err
		}
		n := l.cut(ops)
		again, pause, err := l.try(ops[:n])
		ops = append(again, ops[n:]...)
		if len(again) < n {
			fruitless = 0
		}
		switch {
		case err == nil:
			l.grow()
			continue
		case errors.As(err, new(*splitError)) || l.waited(err):
			continue
		case !mayRetry(err):
			return ops, err
		}
		fruitless++
		if fruitless >= l.b.opt.Tries {
			return ops, fmt.Errorf("%d tries in a row brought nothing: %w", fruitless, err)
		}
		l.shrink()
		l.b.count(func(s *BulkStats) { s.Retried += len(again) })
		backoff := min(bulkFirst<<min(fruitless-1, 12), bulkMost)
		if err := l.b.c.opt.Wait(l.b.ctx, max(spread(backoff), pause)); err != nil {
			return ops, context.Cause(l.b.ctx)
		}
	}
	return nil, nil
}

// waited waits until somebody else has found out whether the cluster is there again;
// false where nobody was about to. Nothing was sent, so it is no try.
func (l *lane) waited(err error) bool {
	var down *UnavailableError
	if !errors.As(err, &down) || down.probe == nil {
		return false
	}
	select {
	case <-down.probe:
	case <-l.b.ctx.Done(): // send looks at it
	}
	return true
}

// cut returns how many of the ops go into the next request.
func (l *lane) cut(ops []Op) int {
	n, size := 0, 0
	for n < len(ops) && n < l.docs {
		size += opSize(&ops[n])
		if n > 0 && size > l.bytes {
			break
		}
		n++
	}
	return n
}

// shrink halves what a request may have, grow gives some of it back.
func (l *lane) shrink() {
	l.docs, l.bytes = max(l.docs/2, 1), max(l.bytes/2, 1)
}

func (l *lane) grow() {
	l.docs = min(l.docs+max(l.docs/4, 1), l.b.opt.Docs)
	l.bytes = min(l.bytes+max(l.bytes/4, 1), l.b.opt.Bytes)
}
