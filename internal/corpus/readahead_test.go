package corpus

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestReadAhead reads ahead and finds the same as before; it ends with ctx.
func TestReadAhead(t *testing.T) {
	w := newSearchWorld(t, 5, Options{ShardSize: 6, Small: 1})
	for range 5 {
		w.step(t)
	}
	before := w.listings(t, time.Time{})
	v := w.View()
	if err := v.ReadAhead(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, w.listings(t, time.Time{})); d != "" {
		t.Fatalf("reading ahead changed answers (-before +after):\n%s", d)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.ReadAhead(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("after its ctx ended: %v", err)
	}
}
