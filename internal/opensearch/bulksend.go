package opensearch

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// splitError says that a request was refused as a whole, and was cut in two.
type splitError struct{ err error }

func (e *splitError) Error() string { return e.err.Error() }

// partError says that some documents of a request have to be sent again.
type partError struct {
	docs   int
	reason string // of the first
}

func (e *partError) Error() string {
	return fmt.Sprintf("%d documents were not written: %s", e.docs, e.reason)
}

// mayRetry says whether the same request may succeed later.
func mayRetry(err error) bool {
	_, ok := RetryAfter(err)
	return ok
}

// try sends one request. again are the ops that were neither acknowledged nor
// rejected, in their order; pause is how long the cluster wants to be left alone.
func (l *lane) try(ops []Op) (again []Op, pause time.Duration, err error) {
	var reply bulkReply
	l.b.count(func(s *BulkStats) { s.Requests++ })
	err = l.b.c.call(l.b.ctx, request{
		method: http.MethodPost,
		path:   "/" + url.PathEscape(l.b.opt.Alias) + "/_bulk",
		query: url.Values{
			"filter_path":   {"errors,items.*._id,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by,items.*._shards"},
			"timeout":       {"20s"},
			"require_alias": {"true"},
		},
		body:  bodyOf(ops),
		lines: true,
	}, &reply)
	if err == nil {
		return l.sort(ops, &reply)
	}
	var status *StatusError
	if errors.As(err, &status) && (status.Status == http.StatusBadRequest || status.Status == http.StatusRequestEntityTooLarge) && !blocked(status.Status, status.Type) {
		return l.split(ops, status)
	}
	pause, _ = RetryAfter(err)
	return ops, pause, err
}

// split isolates what makes a request unusable: it is halved until one document
// is left, which is then rejected.
func (l *lane) split(ops []Op, why *StatusError) ([]Op, time.Duration, error) {
	if len(ops) == 1 {
		l.b.reject(&Rejected{Op: ops[0], Status: why.Status, Type: why.Type, Reason: why.Reason})
		return nil, 0, nil
	}
	l.docs = len(ops) / 2
	return ops, 0, &splitError{why}
}

// sort goes through the answer: what of the ops is there, what will never be, and
// what has to be sent again.
func (l *lane) sort(ops []Op, reply *bulkReply) (again []Op, pause time.Duration, err error) {
	if err := reply.fits(ops); err != nil {
		return ops, 0, &NodeError{"POST /" + l.b.opt.Alias + "/_bulk", "the cluster", err}
	}
	first, done := "", BulkStats{}
	defer func() { l.b.count(func(s *BulkStats) { s.Written += done.Written; s.Deleted += done.Deleted }) }()
	for i := range reply.Items {
		item := reply.Items[i].result()
		op := &ops[i]
		switch verdict, why := item.judge(op, l.b.opt.Copies); verdict {
		case there:
			if op.Source == nil {
				done.Deleted++
			} else {
				done.Written++
			}
		case never:
			l.b.reject(&Rejected{Op: *op, Status: item.Status, Type: item.Error.Type, Reason: item.Error.text()})
		case halt:
			return append(again, ops[i:]...), 0, &StatusError{Op: "POST /" + l.b.opt.Alias + "/_bulk", Node: "the cluster",
				Status: item.Status, Type: item.Error.Type, Reason: why}
		case later:
			if first == "" {
				first = why
			}
			again = append(again, *op)
		}
	}
	if len(again) > 0 {
		return again, 0, &partError{len(again), first}
	}
	return nil, 0, nil
}

// bulkReply is the answer to a bulk request.
type bulkReply struct {
	Errors *bool       `json:"errors"`
	Items  []bulkEntry `json:"items"`
}

// bulkEntry holds one result, under the name of its action.
type bulkEntry struct {
	Index  *bulkItem `json:"index"`
	Delete *bulkItem `json:"delete"`
}

func (e *bulkEntry) result() *bulkItem {
	if e.Index != nil {
		return e.Index
	}
	return e.Delete
}

type bulkItem struct {
	ID     string `json:"_id"`
	Status int    `json:"status"`
	Error  *cause `json:"error"`
	Shards *struct {
		Total      int `json:"total"`
		Successful int `json:"successful"`
		Failed     int `json:"failed"`
	} `json:"_shards"`
}

// fits says why the reply cannot be that to the ops.
func (r *bulkReply) fits(ops []Op) error {
	if r.Errors == nil || len(r.Items) != len(ops) {
		return fmt.Errorf("the answer has results for %d documents, not %d", len(r.Items), len(ops))
	}
	for i := range ops {
		item := r.Items[i].result()
		if item == nil || item.ID != ops[i].ID || (r.Items[i].Delete != nil) != (ops[i].Source == nil) {
			return fmt.Errorf("result %d of the answer is not that of document %s", i+1, ops[i].ID)
		}
	}
	return nil
}

// verdict is what a result means for its document.
type verdict uint8

const (
	there verdict = iota // acknowledged
	later                // to be sent again
	never                // the index will not take it
	halt                 // the index takes nothing
)

// judge reads a result. A status of success is not enough: a copy that was lost
// meanwhile shows in the counts of copies alone.
func (i *bulkItem) judge(op *Op, copies int) (verdict, string) {
	gone := op.Source == nil && i.Status == http.StatusNotFound && i.Error == nil
	switch {
	case i.Error == nil && (i.Status == http.StatusOK || i.Status == http.StatusCreated || gone):
		switch {
		case i.Shards == nil:
			return later, "the result does not say how many copies have it"
		case i.Shards.Failed > 0:
			return later, strconv.Itoa(i.Shards.Failed) + " of " + strconv.Itoa(i.Shards.Total) + " copies failed"
		case i.Shards.Successful < copies:
			return later, strconv.Itoa(i.Shards.Successful) + " copies have it, " + strconv.Itoa(copies) + " are wanted"
		}
		return there, ""
	case i.Error == nil:
		i.Error = &cause{Reason: "no reason given"}
	}
	why := fmt.Sprintf("status %d %s: %s", i.Status, i.Error.Type, i.Error.text())
	switch {
	case blocked(i.Status, i.Error.Type):
		return halt, i.Error.text()
	case temporaryStatus(i.Status) || i.Status == http.StatusConflict:
		return later, why
	}
	return never, why
}

// blocked says whether an error is that of an index that takes nothing until
// somebody does something about it.
func blocked(status int, errorType string) bool {
	switch errorType {
	case "index_closed_exception", "index_not_found_exception", "invalid_index_name_exception":
		return true
	case "cluster_block_exception": // 429: a full disk, 503: no manager; both may pass
		return status == http.StatusForbidden
	}
	return false
}

// bodyOf writes the ops as NDJSON.
func bodyOf(ops []Op) []byte {
	size := 0
	for i := range ops {
		size += opSize(&ops[i])
	}
	b := make([]byte, 0, size)
	for i := range ops {
		op := &ops[i]
		if op.Source == nil {
			b = append(b, `{"delete":{"_id":`...)
		} else {
			b = append(b, `{"index":{"_id":`...)
		}
		b = appendText(b, op.ID)
		if op.Routing != "" {
			b = appendText(append(b, `,"routing":`...), op.Routing)
		}
		b = append(b, "}}\n"...)
		if op.Source != nil {
			b = append(append(b, op.Source...), '\n')
		}
	}
	return b
}
