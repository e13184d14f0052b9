package follow

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteMetrics writes how the index follows, in the Prometheus text format.
func (e *Engine) WriteMetrics(_ context.Context, w io.Writer) {
	st, now := e.Status(), e.cfg.Now()
	var b strings.Builder
	put := func(name, kind, help string, v float64) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n%s %g\n", name, help, name, kind, name, v)
	}
	behind := 0.0
	if !st.Behind.IsZero() {
		behind = max(0, now.Sub(st.Behind).Seconds())
	}
	down := 0.0
	if e.cfg.Down != nil && e.cfg.Down() != nil {
		down = 1
	}
	put("ei_index_behind_seconds", "gauge", "For how long the object store has had what the index has not; 0 where it has everything.", behind)
	put("ei_index_cluster_down", "gauge", "Whether the cluster, or each node of it, failed when it was asked last.", down)
	put("ei_index_documents_deleted_total", "counter", "Documents taken out of the index since the start.", float64(st.Deleted))
	put("ei_index_documents_rejected_total", "counter", "Documents that the index would not take since the start.", float64(st.Rejected))
	put("ei_index_documents_written_total", "counter", "Documents written and acknowledged since the start.", float64(st.Written))
	put("ei_index_sync_failures_total", "counter", "Attempts to bring the index up to date that failed since the start.", float64(st.Failures))
	put("ei_index_syncs_total", "counter", "Attempts to bring the index up to date that succeeded since the start, those with nothing to send included.", float64(st.Syncs))
	put("ei_index_synced_timestamp_seconds", "gauge", "When the index was last up to date; 0: not since the start.", seconds(st.Synced))
	_, _ = io.WriteString(w, b.String())
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
