package corpus

import (
	"container/heap"
	"fmt"
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// maxSorted is how many listings can be put into another order than that of
// change, in which nothing is kept sorted: they are held in memory.
const maxSorted = 2_000_000

// errTooManyToSort says so.
func errTooManyToSort(n int) error {
	return &intel.ValueError{Code: "too_many", Value: fmt.Sprint(n), Reason: fmt.Sprintf("more than %d listings to sort: ask for a page of them, or for the order of change", maxSorted)}
}

// ranked is a document and where it stands in the order asked for.
type ranked struct {
	at  query.Position
	h   *hits
	doc uint32
}

// ranking keeps the first documents of an order, the last of them on top.
type ranking struct {
	sort query.Sort
	docs []ranked
}

// Len, Less, Swap, Push and Pop are those of heap.Interface.
func (k *ranking) Len() int           { return len(k.docs) }
func (k *ranking) Less(i, j int) bool { return k.sort.Compare(k.docs[i].at, k.docs[j].at) > 0 }
func (k *ranking) Swap(i, j int)      { k.docs[i], k.docs[j] = k.docs[j], k.docs[i] }
func (k *ranking) Push(x any)         { k.docs = append(k.docs, x.(ranked)) }
func (k *ranking) Pop() any {
	last := k.docs[len(k.docs)-1]
	k.docs = k.docs[:len(k.docs)-1]
	return last
}

// giveSorted emits the page of an order that is not kept: it reads all that
// matches and keeps the first.
func (r *searching) giveSorted() {
	k := &ranking{sort: r.s.Sort}
	found, seen := 0, 0
	for i := range r.hits {
		h := &r.hits[i]
		h.all().Iterate(func(doc uint32) bool {
			if seen++; seen%checkEvery == 0 && r.stopped() {
				return false
			}
			maybe := !isEmpty(h.maybe) && h.maybe.Contains(doc)
			l, ok := r.read(h, doc)
			if ok && maybe {
				if ok = query.Match(r.query, r.doc(&l)); ok {
					found++
				}
			}
			if ok {
				r.rank(k, ranked{r.s.Sort.Position(&l), h, doc})
			}
			return r.err == nil
		})
	}
	r.page.Total += found
	if r.err != nil || r.cut {
		if r.cut {
			r.page.More = r.s.Limit > 0
		}
		return // a part of it in order would be no page of the whole
	}
	r.page.Exact = true
	slices.SortFunc(k.docs, func(a, b ranked) int { return k.sort.Compare(a.at, b.at) })
	for _, x := range k.docs {
		l, ok := r.read(x.h, x.doc)
		if !ok {
			continue
		}
		if !r.hand(&l) {
			return
		}
	}
}

// rank puts a document into the page if it belongs there.
func (r *searching) rank(k *ranking, x ranked) {
	switch {
	case r.s.After != nil && k.sort.Compare(*r.s.After, x.at) >= 0:
	case r.s.Limit == 0:
		if len(k.docs) == maxSorted {
			r.fail(errTooManyToSort(r.page.Total))
			return
		}
		k.docs = append(k.docs, x)
	case len(k.docs) < r.s.Limit:
		heap.Push(k, x)
	default:
		r.page.More = true
		if k.sort.Compare(x.at, k.docs[0].at) < 0 {
			k.docs[0] = x
			heap.Fix(k, 0)
		}
	}
}
