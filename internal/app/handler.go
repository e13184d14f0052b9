package app

import (
	"context"
	"io"
	"log/slog"
	"net/http"

	"github.com/elasticintel/elasticintel/internal/api"
	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// HandlerConfig is what the HTTP API is made of.
type HandlerConfig struct {
	Feeds   *Feeds // Store, Runner and Engine must be set
	Keys    *auth.Keys
	Version string
	Ready   func() error // why whoever serves it is not ready, or nil
	Log     *slog.Logger
	TempDir string            // where the values of a large body wait; "" = os.TempDir()
	Metrics func(w io.Writer) // of whoever serves it; may be nil
}

// Handler is the whole HTTP API over feeds and the engine that they have now, the
// same whoever serves it: a server of our own or a function of a cloud.
func Handler(c HandlerConfig) http.Handler {
	engine := c.Feeds.engine()
	return api.New(api.Config{
		Lookup: lookup.New(engine, c.Feeds.Now).Knowing(c.Feeds.known()), Feeds: c.Feeds, Keys: c.Keys, Version: c.Version, Now: c.Feeds.Now, Log: c.Log,
		Ready:  func() error { return trusted(c.Ready, c.Feeds.engine()) },
		Limits: api.Limits{TempDir: c.TempDir},
		Metrics: func(w io.Writer) {
			writeMetrics(context.Background(), w, c.Feeds)
			if c.Metrics != nil {
				c.Metrics(w)
			}
		},
	})
}

// Readier is an Engine that may not be able to answer at all. It is optional.
type Readier interface {
	// Ready says why it cannot, or nil. It returns at once.
	Ready() error
}

// trusted says why answers cannot be trusted to be whole: who serves them or the
// engine is not ready, or some of its data cannot be read.
func trusted(ready func() error, e Engine) error {
	if err := ready(); err != nil {
		return err
	}
	if r, ok := e.(Readier); ok {
		if err := r.Ready(); err != nil {
			return err
		}
	}
	return e.Err()
}

// writeMetrics writes the metrics of feeds and of the engine.
func writeMetrics(ctx context.Context, w io.Writer, f *Feeds) {
	f.WriteMetrics(ctx, w)
	writeKnown(w, f.Facts)
	if m, ok := f.engine().(Measured); ok {
		m.WriteMetrics(ctx, w)
	}
}
