package opensearch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// TryFill finds out whether the user may do all that filling, following, tidying and
// asking an index takes, with an index that it makes and removes. Nobody's
// answers change by it.
func (e *Engine) TryFill(ctx context.Context) (err error) {
	e.sync.Lock()
	defer e.sync.Unlock()
	if _, err := e.indices(ctx); err != nil {
		return err
	}
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
	if _, err := e.factsOf(ctx, index); err != nil {
		return err
	}
	probe := NewEngine(e.client, EngineOptions{Alias: index + "-probe", Now: e.opt.Now})
	if err := probe.point(ctx, index, ""); err != nil {
		return err
	}
	if _, err := probe.current(ctx); err != nil {
		return err
	}
	if err := e.tryAsk(ctx, index); err != nil {
		return err
	}
	return e.tryTidy(ctx, index)
}

// tryAsk counts as of a point in time, and ends that: what cannot be ended is kept
// for minutes, and the cluster has few.
func (e *Engine) tryAsk(ctx context.Context, index string) error {
	p, err := e.client.open(ctx, index)
	if err != nil {
		return err
	}
	_, err = e.feedCounts(ctx, p)
	if gone := e.client.end(ctx, p); gone != nil {
		err = errors.Join(err, fmt.Errorf("end a point in time: %w", gone))
	}
	return err
}

// tryTidy does to an index what Tidy does where there is cause, and asks who
// searches it, as is done before it is removed.
func (e *Engine) tryTidy(ctx context.Context, index string) error {
	if _, err := e.replicate(ctx, &indexInfo{name: index}); err != nil {
		return err
	}
	if _, _, err := e.deleted(ctx, index); err != nil {
		return err
	}
	if err := e.drop(ctx, index, true); err != nil {
		return err
	}
	_, err := e.searched(ctx, index)
	return err
}
