package opensearch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// TryFill finds out whether the user may do all that filling, following and
// asking an index takes, with an index that it makes and removes. Nobody's
// answers change by it.
func (e *Engine) TryFill(ctx context.Context) (err error) {
	e.sync.Lock()
	defer e.sync.Unlock()
	index, err := e.create(ctx, 0)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		gone := e.client.call(ctx, request{method: http.MethodDelete, path: "/" + url.PathEscape(index)}, nil)
		if gone != nil {
			err = errors.Join(err, fmt.Errorf("remove the index %s: %w", index, gone))
		}
	}()
	if err := e.publish(ctx, index, &facts{Marked: e.opt.Now().UnixMilli()}); err != nil {
		return err
	}
	probe := NewEngine(e.client, EngineOptions{Alias: index + "-probe", Now: e.opt.Now})
	if err := probe.point(ctx, index, ""); err != nil {
		return err
	}
	if _, err := probe.current(ctx); err != nil {
		return err
	}
	p, err := e.client.open(ctx, index)
	if err != nil {
		return err
	}
	defer e.client.close(ctx, p)
	_, err = e.feedCounts(ctx, p)
	return err
}
