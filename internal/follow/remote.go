package follow

import (
	"context"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/opensearch"
)

// Remote is an index whose object store is elsewhere: it answers, and follows
// nothing. It is an app.Engine.
type Remote struct {
	Index
	Feeds []opensearch.Feed // that the index knows
}

var _ app.Engine = Remote{}

// Refresh implements app.Engine: each question is answered from what is there.
func (Remote) Refresh(context.Context) (bool, error) { return false, nil }

// Broken implements app.Engine.
func (Remote) Broken(string) error { return nil }

// Held implements app.Engine, without counts.
func (r Remote) Held() map[string]app.Held {
	held := map[string]app.Held{}
	for _, f := range r.Feeds {
		held[f.Info.ID] = app.Held{Version: f.LastGood.UnixMilli(), Snapshot: f.Info.Snapshot}
	}
	return held
}
