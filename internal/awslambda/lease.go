package awslambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// Lease is an object in a store that one process at a time has, until it gives it
// back or the time that it took it for is over. It is not renewed: a function takes
// it until it is ended, so that nobody can work on after it has lost it.
type Lease struct {
	Store blob.Store
	Key   string
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
	ID    func() string // names a holder, another one each time
}

const (
	// leaseSlack is how far clocks may differ, and how long a request that was sent
	// before the end may be on its way.
	leaseSlack = 5 * time.Second
	leasePoll  = 250 * time.Millisecond
)

// ErrLeased says that another process has the lease.
var ErrLeased = errors.New("another process has it")

type leased struct {
	Holder string    `json:"holder"` // "" = nobody
	Until  time.Time `json:"until"`
}

// Take waits for the lease until wait is over (ErrLeased, wrapped) and takes it
// until the instant until, at which the caller must have ended. release gives it
// back; what fails in that ends by itself.
func (l *Lease) Take(ctx context.Context, until time.Time, wait time.Duration) (release func(context.Context), err error) {
	mine := leased{l.ID(), until.Add(leaseSlack).UTC()}
	for give := l.Now().Add(wait); ; {
		held, err := l.try(ctx, mine)
		switch {
		case errors.Is(err, blob.ErrConflict): // somebody was faster
		case err != nil:
			return nil, fmt.Errorf("lease %s: %w", l.Key, err)
		case held.Holder == mine.Holder:
			return func(ctx context.Context) { l.giveBack(ctx, mine) }, nil
		case !l.Now().Before(give):
			return nil, fmt.Errorf("lease %s: %w until %s at most", l.Key, ErrLeased, held.Until.Format(time.RFC3339))
		}
		if err := l.Sleep(ctx, leasePoll); err != nil {
			return nil, fmt.Errorf("lease %s: %w", l.Key, err)
		}
	}
}

// try takes the lease if nobody has it, and returns who has it then.
func (l *Lease) try(ctx context.Context, mine leased) (leased, error) {
	held, info, err := l.read(ctx)
	cond := blob.Cond{IfMatch: info.ETag}
	switch {
	case errors.Is(err, blob.ErrNotFound):
		cond = blob.Cond{IfAbsent: true}
	case err != nil:
		return held, err
	case held.Holder == mine.Holder: // a write whose answer was lost
		return mine, nil
	case held.Holder != "" && l.Now().Before(held.Until):
		return held, nil
	}
	return mine, l.write(ctx, mine, cond)
}

func (l *Lease) giveBack(ctx context.Context, mine leased) {
	if held, info, err := l.read(ctx); err == nil && held.Holder == mine.Holder {
		_ = l.write(ctx, leased{}, blob.Cond{IfMatch: info.ETag}) // else it ends by itself
	}
}

func (l *Lease) read(ctx context.Context) (held leased, info blob.Info, err error) {
	data, info, err := blob.Read(ctx, l.Store, l.Key)
	if err == nil && json.Unmarshal(data, &held) != nil {
		held = leased{} // not ours: nobody has it
	}
	return held, info, err
}

func (l *Lease) write(ctx context.Context, v leased, c blob.Cond) error {
	data, err := json.Marshal(v)
	if err == nil {
		_, err = blob.Write(ctx, l.Store, l.Key, data, c)
	}
	return err
}
