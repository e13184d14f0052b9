package follow

import (
	"context"
	"strings"
	"time"
)

// tidyEvery is how often Run looks after what lies around in the cluster.
const tidyEvery = time.Hour

// tidy does so where it is time, and says what was removed. Only Run calls it.
// What fails is tried again an hour later: nobody waits for it.
func (e *Engine) tidy(ctx context.Context) {
	now := e.cfg.Now()
	if !e.tidied.IsZero() && now.Sub(e.tidied) < tidyEvery {
		return
	}
	e.turn.Lock()
	defer e.turn.Unlock()
	if e.cfg.Lock != nil {
		release, err := e.cfg.Lock(ctx)
		if err != nil {
			return // Sync says why
		}
		defer release()
	}
	e.tidied = now
	st, err := e.Index.Tidy(ctx)
	if len(st.Removed) > 0 {
		e.cfg.Say("Index: removed what was begun and given up: %s.", strings.Join(st.Removed, ", "))
	}
	if st.Replicas || st.Merging {
		e.cfg.Log.InfoContext(ctx, "index tidied", "replicas_changed", st.Replicas, "deleted_documents_dropped", st.Merging)
	}
	if err != nil && ctx.Err() == nil {
		e.cfg.Log.WarnContext(ctx, "tidying the index failed; it is tried again in an hour", "error", err)
	}
}
