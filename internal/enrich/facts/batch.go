package facts

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"

	"github.com/elasticintel/elasticintel/internal/enrich"
)

// Errors of objects that cannot be read.
var (
	ErrDamaged = errors.New("what is known of networks and domains is damaged")
	ErrNewer   = errors.New("what is known of networks and domains was written by a newer version of the program: update this one")
)

const (
	batchMagic   = "EIFB"
	batchVersion = 1
)

// batch is an immutable object of findings, sorted by key, each key once.
type batch struct {
	data []byte // of the object, without its sum
	sum  []byte
	at   []uint32 // where each finding begins
}

// pair is a finding as it lies in a batch.
type pair struct{ key, body []byte }

// encode makes a batch of findings: of those of one key the newest.
func encode(found []enrich.Finding) []byte {
	pairs := make([]pair, 0, len(found))
	order := make([]int, len(found))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return found[a].Fetched.Compare(found[b].Fetched) })
	for _, i := range order {
		pairs = append(pairs, pair{key(&found[i]), appendFinding(nil, &found[i])})
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return bytes.Compare(a.key, b.key) })
	return pack(func(yield func(pair) bool) {
		for i, p := range pairs {
			if i+1 < len(pairs) && bytes.Equal(p.key, pairs[i+1].key) {
				continue // the next is newer
			}
			if !yield(p) {
				return
			}
		}
	})
}

// pack writes pairs, which are in order: length of key, key, length of body, body.
func pack(pairs iter.Seq[pair]) []byte {
	out := append([]byte(batchMagic), batchVersion)
	for p := range pairs {
		out = append(binary.AppendUvarint(out, uint64(len(p.key))), p.key...)
		out = append(binary.AppendUvarint(out, uint64(len(p.body))), p.body...)
	}
	return append(out, sumOf(out)...)
}

func sumOf(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}

// openBatch reads where the findings of a batch lie, and checks its bytes.
func openBatch(data []byte) (*batch, error) {
	if len(data) < len(batchMagic)+1+sha256.Size || string(data[:len(batchMagic)]) != batchMagic {
		return nil, fmt.Errorf("%w: it does not begin as it should", ErrDamaged)
	}
	if v := data[len(batchMagic)]; v > batchVersion {
		return nil, fmt.Errorf("%w (its version is %d)", ErrNewer, v)
	}
	body := data[:len(data)-sha256.Size]
	sum := data[len(body):]
	if !bytes.Equal(sumOf(body), sum) {
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	if len(body) > 1<<32-1 {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrDamaged, len(body))
	}
	b := &batch{data: body, sum: sum}
	r := reader{rest: body[len(batchMagic)+1:]}
	var last []byte
	for len(r.rest) > 0 {
		b.at = append(b.at, uint32(len(body)-len(r.rest)))
		k := r.bytes(r.number())
		r.bytes(r.number())
		if r.bad || len(k) == 0 || bytes.Compare(last, k) >= 0 {
			return nil, fmt.Errorf("%w: its findings are not in order", ErrDamaged)
		}
		last = k
	}
	return b, nil
}

// pair returns the i-th finding.
func (b *batch) pair(i int) pair {
	r := reader{rest: b.data[b.at[i]:]}
	k := r.bytes(r.number())
	return pair{k, r.bytes(r.number())}
}

// from returns the first finding whose key is k or after it.
func (b *batch) from(k []byte) int {
	return sort.Search(len(b.at), func(i int) bool { return bytes.Compare(b.pair(i).key, k) >= 0 })
}

// find returns the body of the finding of that key, nil where there is none.
func (b *batch) find(k []byte) []byte {
	if i := b.from(k); i < len(b.at) {
		if p := b.pair(i); bytes.Equal(p.key, k) {
			return p.body
		}
	}
	return nil
}

// merged hands on the findings of several batches, oldest first, whose keys begin so:
// by key, each once, of the newest batch that has it.
func merged(batches []*batch, prefix []byte) iter.Seq[pair] {
	return func(yield func(pair) bool) {
		at := make([]int, len(batches))
		for i, b := range batches {
			at[i] = b.from(prefix)
		}
		for {
			var best pair
			for i, b := range slices.Backward(batches) {
				if at[i] == len(b.at) {
					continue
				}
				p := b.pair(at[i])
				if bytes.HasPrefix(p.key, prefix) && (best.key == nil || bytes.Compare(p.key, best.key) < 0) {
					best = p
				}
			}
			if best.key == nil || !yield(best) {
				return
			}
			for i, b := range batches {
				if at[i] < len(b.at) && bytes.Equal(b.pair(at[i]).key, best.key) {
					at[i]++
				}
			}
		}
	}
}

// newest sorts findings so that the newest come first, those of one time by key.
func newest(a, b enrich.Finding) int {
	return cmp.Or(b.Fetched.Compare(a.Fetched), bytes.Compare(key(&a), key(&b)))
}
