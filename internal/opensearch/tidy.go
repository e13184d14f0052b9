package opensearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// abandonedAfter is how long an index that is not asked may be without a mark of
// whoever fills it.
const abandonedAfter = 24 * time.Hour

// When Tidy lets the cluster drop deleted documents: a tenth of all and worth the
// work. Merges by themselves leave more of them in large segments.
const (
	manyDeleted  = 10_000
	deletedShare = 0.1
)

// TidyStats says what a Tidy did.
type TidyStats struct {
	Removed  []string // indices that nobody asks and nobody fills
	Merging  bool     // the cluster drops deleted documents, in the background
	Replicas bool     // the number of copies is another one now
}

// Tidy does for the indices of the alias what an index policy would, of which not
// every cluster has the plug-in: it removes those that were begun and given up a
// day ago, gives the present one the replicas that are wanted, and lets the cluster
// drop deleted documents where they are many. To be called every hour or so.
func (e *Engine) Tidy(ctx context.Context) (st TidyStats, err error) {
	e.sync.Lock()
	defer e.sync.Unlock()
	all, err := e.indices(ctx)
	if err != nil {
		return st, err
	}
	var errs []error
	for _, x := range all {
		if x.pointed {
			st.Replicas, err = e.replicate(ctx, &x)
			errs = append(errs, err)
			st.Merging, err = e.expunge(ctx, x.name)
			errs = append(errs, err)
			continue
		}
		given, err := e.abandoned(ctx, &x)
		if given {
			err = e.client.call(ctx, request{method: http.MethodDelete, path: "/" + url.PathEscape(x.name)}, nil)
			if err == nil {
				st.Removed = append(st.Removed, x.name)
			}
		}
		errs = append(errs, err)
	}
	return st, errors.Join(errs...)
}

// abandoned says whether nobody has filled an index for long.
func (e *Engine) abandoned(ctx context.Context, x *indexInfo) (bool, error) {
	now := e.opt.Now()
	if now.Sub(x.made) < abandonedAfter {
		return false, nil
	}
	f, err := e.factsOf(ctx, x.name)
	if err != nil {
		if e.versioned(x.name) != nil && errors.As(err, new(*NodeError)) { // facts of another version may be what cannot be read here
			return true, nil
		}
		return false, err
	}
	return f == nil || now.Sub(time.UnixMilli(f.Marked)) >= abandonedAfter, nil
}

// replicate gives an index the replicas that are wanted.
func (e *Engine) replicate(ctx context.Context, x *indexInfo) (bool, error) {
	s := e.opt.Shape
	auto := x.auto != "" && x.auto != "false"
	if s.AutoReplicas && x.auto == "0-1" || !s.AutoReplicas && !auto && x.copies == strconv.Itoa(max(s.Replicas, 0)) {
		return false, nil
	}
	body, err := json.Marshal(clause{"index": s.replicas()})
	if err != nil {
		return false, err
	}
	err = e.client.call(ctx, request{method: http.MethodPut, path: "/" + url.PathEscape(x.name) + "/_settings", body: body}, nil)
	if err != nil {
		return false, fmt.Errorf("set the replicas of %s: %w", x.name, err)
	}
	return true, nil
}

// expunge lets the cluster drop deleted documents where they are many. It does not
// wait for the end of that.
func (e *Engine) expunge(ctx context.Context, index string) (bool, error) {
	var got struct {
		All struct {
			Primaries struct {
				Docs struct {
					Count   int `json:"count"`
					Deleted int `json:"deleted"`
				} `json:"docs"`
			} `json:"primaries"`
		} `json:"_all"`
	}
	path := "/" + url.PathEscape(index)
	if err := e.client.call(ctx, request{method: http.MethodGet, path: path + "/_stats/docs"}, &got); err != nil {
		return false, fmt.Errorf("count the deleted documents of %s: %w", index, err)
	}
	docs := got.All.Primaries.Docs
	if docs.Deleted < manyDeleted || float64(docs.Deleted) < deletedShare*float64(docs.Count+docs.Deleted) {
		return false, nil
	}
	err := e.client.call(ctx, request{method: http.MethodPost, path: path + "/_flush"}, nil) // what is not flushed is kept for copies that come back
	if err != nil {
		return false, fmt.Errorf("flush %s: %w", index, err)
	}
	err = e.client.call(ctx, request{method: http.MethodPost, path: path + "/_forcemerge",
		query: url.Values{"only_expunge_deletes": {"true"}, "wait_for_completion": {"false"}}}, nil)
	if err != nil {
		return false, fmt.Errorf("drop the deleted documents of %s: %w", index, err)
	}
	return true, nil
}
