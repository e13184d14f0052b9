package facts

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/enrich/table"
)

// Where it lies.
const (
	Prefix  = "enrichment/"
	HeadKey = Prefix + "head.json" // names what is current
	batches = Prefix + "batches/"
)

const headFormat = 1

// head names the batches that are current, oldest first.
type head struct {
	Format  int        `json:"format"`
	Batches []batchRef `json:"batches"`
	Former  []former   `json:"former,omitempty"` // replaced, kept for readers that just read an older head
}

type batchRef struct {
	Key      string `json:"key"`
	Findings int    `json:"findings"`
	Bytes    int    `json:"bytes"`
	Sum      string `json:"sum"` // SHA-256, hex
}

type former struct {
	Key   string    `json:"key"`
	Since time.Time `json:"since"`
}

// grace is how long objects stay that no head names (any more).
const grace = time.Hour

// TableRef is the object of a feed's current table.
type TableRef struct {
	Feed string
	Key  string // another content has another key
}

// TablesFunc returns the tables that are current.
type TablesFunc func(ctx context.Context) ([]TableRef, error)

// Book is what is known, in an object store. Safe for concurrent use, by many
// processes too.
type Book struct {
	store  blob.Store
	tables TablesFunc
	now    atomic.Pointer[Snapshot]

	refresh sync.Mutex
	read    map[string]*batch // batches that were read, by key
	layers  func() *networks  // of the tables with the IDs of tableID
	tableID string
}

// Open reads what is known. A store in which there is nothing is a book that is empty;
// tables may be nil.
func Open(ctx context.Context, store blob.Store, tables TablesFunc) (*Book, error) {
	b := &Book{store: store, tables: tables, read: map[string]*batch{}, layers: func() *networks { return fromTables(nil) }}
	b.now.Store(empty())
	_, err := b.Refresh(ctx)
	return b, err
}

// Snapshot returns what was known at the last Open, Refresh or Add; never nil.
func (b *Book) Snapshot() *Snapshot { return b.now.Load() }

// Refresh looks for what others added, and says whether there was any. What was known
// stays where it fails; errors wrap ErrDamaged or ErrNewer, or are the store's.
func (b *Book) Refresh(ctx context.Context) (changed bool, err error) {
	b.refresh.Lock()
	defer b.refresh.Unlock()
	for range 3 { // a batch may go between the head and the batch
		if changed, err = b.look(ctx); !errors.Is(err, blob.ErrNotFound) {
			break
		}
	}
	return changed, err
}

func (b *Book) look(ctx context.Context) (bool, error) {
	h, err := b.head(ctx)
	if err != nil {
		return false, err
	}
	var sums [][]byte
	var list []*batch
	read := map[string]*batch{}
	for _, ref := range h.Batches {
		x, ok := b.read[ref.Key]
		if !ok {
			if x, err = b.open(ctx, ref); err != nil {
				return false, err
			}
		}
		read[ref.Key] = x
		list, sums = append(list, x), append(sums, x.sum)
	}
	b.read = read
	var refs []TableRef
	if b.tables != nil {
		if refs, err = b.tables(ctx); err != nil {
			return false, err
		}
	}
	var names [][]byte
	for _, r := range refs {
		names = append(names, []byte(r.Key))
	}
	if id := idOf(names); id != b.tableID {
		if b.layers, err = b.readTables(ctx, refs); err != nil {
			return false, err
		}
		b.tableID = id
	}
	id := idOf(append(sums, names...))
	if id == b.Snapshot().id {
		return false, nil
	}
	b.now.Store(newSnapshot(id, list, b.layers))
	return true, nil
}

// readTables reads tables; their layers are made when somebody first asks.
func (b *Book) readTables(ctx context.Context, refs []TableRef) (func() *networks, error) {
	var out []*table.Table
	for _, r := range refs {
		data, _, err := blob.Read(ctx, b.store, r.Key)
		if err != nil {
			return nil, fmt.Errorf("table of %s: %w", r.Feed, err)
		}
		t, err := table.Read(data)
		if err != nil {
			return nil, fmt.Errorf("table of %s (%s): %w", r.Feed, r.Key, err)
		}
		out = append(out, t)
	}
	return sync.OnceValue(func() *networks { return fromTables(out) }), nil
}

func (b *Book) head(ctx context.Context) (*head, error) {
	data, _, err := blob.Read(ctx, b.store, HeadKey)
	if errors.Is(err, blob.ErrNotFound) {
		return &head{}, nil
	}
	if err != nil {
		return nil, err
	}
	return parseHead(data)
}

func parseHead(data []byte) (*head, error) {
	if data == nil {
		return &head{}, nil
	}
	h := new(head)
	if err := json.Unmarshal(data, h); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, HeadKey, err)
	}
	if h.Format > headFormat {
		return nil, fmt.Errorf("%w (the format of %s is %d)", ErrNewer, HeadKey, h.Format)
	}
	for _, ref := range h.Batches {
		if !strings.HasPrefix(ref.Key, batches) || blob.CheckKey(ref.Key) != nil {
			return nil, fmt.Errorf("%w: %s names %q", ErrDamaged, HeadKey, ref.Key)
		}
	}
	return h, nil
}

// Current returns the bytes of the head, nil for none, and the keys of what it names,
// for who copies them.
func Current(ctx context.Context, store blob.Store) (head []byte, keys []string, err error) {
	data, _, err := blob.Read(ctx, store, HeadKey)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	h, err := parseHead(data)
	if err != nil {
		return nil, nil, err
	}
	for _, ref := range h.Batches {
		keys = append(keys, ref.Key)
	}
	return data, keys, nil
}

// open reads a batch and checks that it is the one that the head means.
func (b *Book) open(ctx context.Context, ref batchRef) (*batch, error) {
	data, _, err := blob.Read(ctx, b.store, ref.Key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref.Key, err)
	}
	x, err := openBatch(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref.Key, err)
	}
	if hex.EncodeToString(x.sum) != ref.Sum {
		return nil, fmt.Errorf("%s: %w: it is not what %s says", ref.Key, ErrDamaged, HeadKey)
	}
	return x, nil
}

// Add keeps what was found. When it returns without error all of it is durable, and
// known to Snapshot. Findings that say nothing usable are kept as that.
func (b *Book) Add(ctx context.Context, found []enrich.Finding) error {
	var use []enrich.Finding
	for _, f := range found {
		if f, ok := usable(f); ok {
			use = append(use, f)
		}
	}
	if len(use) == 0 {
		return nil
	}
	ref, err := b.put(ctx, encode(use))
	if err != nil {
		return err
	}
	err = b.update(ctx, func(h *head) bool {
		h.Batches = append(h.Batches, ref)
		return true
	})
	if err != nil {
		return err
	}
	_, err = b.Refresh(ctx)
	return err
}

// put writes a batch under a key of its own.
func (b *Book) put(ctx context.Context, data []byte) (batchRef, error) {
	x, err := openBatch(data)
	if err != nil {
		return batchRef{}, err
	}
	ref := batchRef{Key: batches + strings.ToLower(rand.Text()) + ".eifb", Findings: len(x.at), Bytes: len(data), Sum: hex.EncodeToString(x.sum)}
	_, err = blob.Write(ctx, b.store, ref.Key, data, blob.Cond{IfAbsent: true})
	return ref, err
}

// update changes the head; change returns false to leave it.
func (b *Book) update(ctx context.Context, change func(*head) bool) error {
	return blob.Update(ctx, b.store, HeadKey, func(old []byte) ([]byte, error) {
		h, err := parseHead(old)
		if err != nil {
			return nil, err
		}
		if !change(h) {
			return nil, nil
		}
		h.Format = headFormat
		return json.Marshal(h)
	})
}

// Fold rewrites the newest batches into one where they are many or nearly as large as
// those before them, so that few are left; then it deletes what nobody reads any more.
// Killed at any time it loses nothing. Several may run; one does the work.
func (b *Book) Fold(ctx context.Context, now time.Time) error {
	h, err := b.head(ctx)
	if err != nil {
		return err
	}
	if from := tail(h.Batches); from < len(h.Batches)-1 {
		if err := b.fold(ctx, h.Batches[from:], now); err != nil {
			return err
		}
		if _, err := b.Refresh(ctx); err != nil {
			return err
		}
	}
	return b.sweep(ctx, now)
}

// tail returns from where on batches are to become one: each one that stays is more
// than twice as large as all after it together, so that a finding is rewritten seldom.
func tail(list []batchRef) int {
	from, size := len(list)-1, 0
	for i := len(list) - 1; i >= 0; i-- {
		if i < len(list)-1 && list[i].Bytes <= 2*size {
			from = i
		}
		size += list[i].Bytes
	}
	return from
}

func (b *Book) fold(ctx context.Context, refs []batchRef, now time.Time) error {
	var list []*batch
	for _, ref := range refs {
		x, err := b.open(ctx, ref)
		if errors.Is(err, blob.ErrNotFound) {
			return nil // somebody else folded
		}
		if err != nil {
			return err
		}
		list = append(list, x)
	}
	ref, err := b.put(ctx, pack(kept(list, now)))
	if err != nil {
		return err
	}
	return b.update(ctx, func(h *head) bool {
		at := slices.Index(h.Batches, refs[0])
		if at < 0 || len(h.Batches) < at+len(refs) || !slices.Equal(h.Batches[at:at+len(refs)], refs) {
			return false // somebody else folded; what was written here goes with the next sweep
		}
		h.Batches = slices.Replace(h.Batches, at, at+len(refs), ref)
		for _, r := range refs {
			h.Former = append(h.Former, former{r.Key, now})
		}
		return true
	})
}

// kept hands on what is worth keeping of batches: not what newer findings contradict,
// nor failures that are long over.
func kept(list []*batch, now time.Time) iter.Seq[pair] {
	var found []enrich.Finding
	for p := range merged(list, []byte{sectionNetwork}) {
		r := reader{rest: p.body}
		found = append(found, r.finding())
	}
	slices.SortFunc(found, newest)
	slices.Reverse(found)
	gone := map[string]bool{}
	for i, old := range contradicted(found) {
		if old {
			gone[string(key(&found[i]))] = true
		}
	}
	return func(yield func(pair) bool) {
		for p := range merged(list, nil) {
			if p.key[0] == sectionNetwork && gone[string(p.key)] {
				continue
			}
			if p.key[0] == sectionNothing {
				r := reader{rest: p.body}
				if f := r.finding(); now.Sub(f.Retry) > freshNetwork {
					continue
				}
			}
			if !yield(p) {
				return
			}
		}
	}
}

// sweep deletes batches that no head has named for a while.
func (b *Book) sweep(ctx context.Context, now time.Time) error {
	var gone []string
	err := b.update(ctx, func(h *head) bool {
		gone = nil
		h.Former = slices.DeleteFunc(h.Former, func(f former) bool {
			old := now.Sub(f.Since) > grace
			if old {
				gone = append(gone, f.Key)
			}
			return old
		})
		return len(gone) > 0
	})
	if err != nil {
		return err
	}
	h, err := b.head(ctx)
	if err != nil {
		return err
	}
	named := map[string]bool{}
	for _, ref := range h.Batches {
		named[ref.Key] = true
	}
	for _, f := range h.Former {
		named[f.Key] = true
	}
	all, err := b.store.List(ctx, batches)
	if err != nil {
		return err
	}
	for _, o := range all {
		if !named[o.Key] && (slices.Contains(gone, o.Key) || now.Sub(o.Modified) > grace) {
			if err := b.store.Delete(ctx, o.Key); err != nil {
				return err
			}
		}
	}
	return nil
}
