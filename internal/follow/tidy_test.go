package follow

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/opensearch"
)

// tidied counts calls of Tidy.
type tidied struct {
	Index
	calls int
	locks *int
}

func (x *tidied) Tidy(context.Context) (opensearch.TidyStats, error) {
	x.calls++
	if *x.locks != 1 {
		return opensearch.TidyStats{}, fmt.Errorf("%d locks are held", *x.locks)
	}
	return opensearch.TidyStats{Removed: []string{"old"}}, nil
}

// TestTidyHourly: it is done at the start and then every hour, with the index locked.
func TestTidyHourly(t *testing.T) {
	now, locks, said := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), 0, ""
	x := &tidied{locks: &locks}
	e := New(Config{Index: x, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		Say:  func(format string, a ...any) { said = fmt.Sprintf(format, a...) },
		Lock: func(context.Context) (func(), error) { locks++; return func() { locks-- }, nil }})
	for i, want := range []int{1, 1, 2} {
		e.tidy(t.Context())
		if x.calls != want || locks != 0 {
			t.Errorf("look %d: %d calls, %d locks are left", i, x.calls, locks)
		}
		now = now.Add(40 * time.Minute)
	}
	if said != "Index: removed what was begun and given up: old." {
		t.Errorf("%q", said)
	}
}
