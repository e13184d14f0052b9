package opensearch

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// How long the removal of an index that the alias left waits: at least so long that
// a request which was on its way has arrived, at most until no point in time is kept.
const (
	retireFirst = time.Second
	retireMost  = 130 * time.Second
)

// retire removes an index that the alias has left, when nobody searches it any
// more: searches that began in it would fail.
func (e *Engine) retire(ctx context.Context, index string) error {
	pause := retireFirst
	for waited := time.Duration(0); waited < retireMost; waited += pause {
		if err := e.client.opt.Wait(ctx, pause); err != nil {
			return err
		}
		busy, err := e.searched(ctx, index)
		if err != nil {
			return err
		}
		if !busy {
			break
		}
	}
	if err := e.client.call(ctx, request{method: http.MethodDelete, path: "/" + url.PathEscape(index)}, nil); err != nil {
		return fmt.Errorf("remove the old index %s: %w", index, err)
	}
	return nil
}

// searched says whether somebody searches an index, or holds a point in time of it.
func (e *Engine) searched(ctx context.Context, index string) (bool, error) {
	var got struct {
		All struct {
			Total struct {
				Search struct {
					Contexts int `json:"open_contexts"`
					Query    int `json:"query_current"`
					Fetch    int `json:"fetch_current"`
					Points   int `json:"point_in_time_current"`
				} `json:"search"`
			} `json:"total"`
		} `json:"_all"`
	}
	if err := e.client.call(ctx, request{method: http.MethodGet, path: "/" + url.PathEscape(index) + "/_stats/search"}, &got); err != nil {
		return false, fmt.Errorf("ask who searches %s: %w", index, err)
	}
	s := got.All.Total.Search
	return s.Contexts+s.Query+s.Fetch+s.Points > 0, nil
}
