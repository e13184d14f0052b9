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
	count, deleted, err := e.deleted(ctx, index)
	if err != nil || deleted < manyDeleted || float64(deleted) < deletedShare*float64(count+deleted) {
		return false, err
	}
	err = e.drop(ctx, index, false)
	return err == nil, err
}

// deleted counts the documents of an index, and those that are deleted and still on disk.
func (e *Engine) deleted(ctx context.Context, index string) (count, deleted int, err error) {
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
	err = e.client.call(ctx, request{method: http.MethodGet, path: "/" + url.PathEscape(index) + "/_stats/docs"}, &got)
	if err != nil {
		return 0, 0, fmt.Errorf("count the deleted documents of %s: %w", index, err)
	}
	docs := got.All.Primaries.Docs
	return docs.Count, docs.Deleted, nil
}

// drop has the cluster drop the deleted documents of an index. Where it does not
// wait for that the cluster says nothing of what goes wrong, a missing right included.
func (e *Engine) drop(ctx context.Context, index string, wait bool) error {
	path := "/" + url.PathEscape(index)
	err := e.client.call(ctx, request{method: http.MethodPost, path: path + "/_flush"}, nil) // what is not flushed is kept for copies that come back
	if err != nil {
		return fmt.Errorf("flush %s: %w", index, err)
	}
	err = e.client.call(ctx, request{method: http.MethodPost, path: path + "/_forcemerge",
		query: url.Values{"only_expunge_deletes": {"true"}, "wait_for_completion": {strconv.FormatBool(wait)}}}, nil)
	if err != nil {
		return fmt.Errorf("drop the deleted documents of %s: %w", index, err)
	}
	return nil
}
