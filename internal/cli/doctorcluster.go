package cli

import (
	"context"
	"errors"

	"github.com/elasticintel/elasticintel/internal/follow"
	"github.com/elasticintel/elasticintel/internal/local"
	"github.com/elasticintel/elasticintel/internal/opensearch"
)

// checkCluster looks at the cluster that answers, where the engine is one. Without
// a data folder this machine only reads.
func (p *program) checkCluster(ctx context.Context, f *local.Folder, add addFinding) {
	spec, err := p.clusterSpec()
	if spec == nil && err == nil {
		return
	}
	var c *cluster
	if err == nil {
		c, err = p.openCluster(ctx, spec)
	}
	if err != nil {
		_, hint := verdictOf(err)
		add("cluster", levelFail, hint, "%v", err)
		return
	}
	info, err := c.client.Check(ctx)
	switch _, silent := opensearch.RetryAfter(err); {
	case err != nil && silent, refusedUser(err):
		add("cluster", levelFail, clusterHint(err), "%s: %v", c.where, err)
		return
	case forbidden(err):
		add("cluster", levelWarn, "give the user cluster_monitor; look-ups work without", "its version cannot be told: %v", err)
	case err != nil:
		add("cluster", levelFail, "use OpenSearch 2.19 or newer", "%v", err)
		return
	default:
		add("cluster", levelOK, "", "%s: OpenSearch %s", info.Cluster, info.Version)
	}
	p.checkHealth(ctx, c, add)
	p.checkIndex(ctx, f, c, add)
}

func (p *program) checkHealth(ctx context.Context, c *cluster, add addFinding) {
	h, err := c.client.Health(ctx)
	switch {
	case forbidden(err):
		add("cluster health", levelWarn, "give the user cluster_monitor; look-ups work without", "cannot be told: %v", err)
	case err != nil:
		add("cluster health", levelFail, clusterHint(err), "%v", err)
	case h.Status == "red":
		add("cluster health", levelFail, "GET _cluster/allocation/explain says why; bring the lost nodes back", "red: %s not there on %s", plural(h.Unassigned, "shard"), plural(h.Nodes, "node"))
	case h.Status == "yellow":
		add("cluster health", levelWarn, "add a node, or make indices with fewer --opensearch-replicas", "yellow: %s without a copy on %s", plural(h.Unassigned, "shard"), plural(h.Nodes, "node"))
	default:
		add("cluster health", levelOK, "", "%s, %s", h.Status, plural(h.Nodes, "node"))
	}
}

func (p *program) checkIndex(ctx context.Context, f *local.Folder, c *cluster, add addFinding) {
	name, err := c.engine.Current(ctx)
	switch {
	case errors.Is(err, opensearch.ErrMapping):
		add("index", levelWarn, "a server with these settings makes it anew beside the old one", "%v", err)
	case errors.Is(err, opensearch.ErrUnsynced):
		add("index", levelWarn, clusterHint(err), "%s: there is none yet", c.where)
		return
	case err != nil:
		add("index", levelFail, clusterHint(err), "%v", err)
		return
	}
	feeds, err := c.engine.Feeds(ctx)
	if err != nil {
		add("index", levelFail, clusterHint(err), "%s: %v", name, err)
		return
	}
	if err := c.engine.Err(); err != nil {
		add("index", levelWarn, "`elasticintel verify` says more of damage; what was refused is missing in answers", "%s: %v", name, err)
	} else {
		add("index", levelOK, "", "%s has %s", name, plural(len(feeds), "feed"))
	}
	if f == nil {
		return
	}
	if behind := lagging(follow.Of(f.Corpus).Feeds(), feeds); behind > 0 {
		add("index", levelWarn, "a server with these settings, or the next `elasticintel ingest`, sends what is missing", "%s not as in the data folder", plural(behind, "feed"))
	} else {
		add("index", levelOK, "", "as new as the data folder")
	}
	if err := c.engine.TryWrite(ctx); err != nil {
		add("index", levelFail, clusterHint(err), "it cannot be written to: %v", err)
	} else {
		add("index", levelOK, "", "the user may write to it")
	}
}

// lagging counts the feeds whose last good run the index does not have, or that
// it has and the folder has not.
func lagging(folder, index []opensearch.Feed) (n int) {
	has := map[string]int64{}
	for _, f := range index {
		has[f.Info.ID] = f.LastGood.UnixMilli()
	}
	for _, f := range folder {
		if at, ok := has[f.Info.ID]; !ok || at != f.LastGood.UnixMilli() {
			n++
		}
		delete(has, f.Info.ID)
	}
	return n + len(has)
}

func refusedUser(err error) bool { return hasStatus(err, 401) }
func forbidden(err error) bool   { return hasStatus(err, 403) }

func hasStatus(err error, status int) bool {
	var s *opensearch.StatusError
	return errors.As(err, &s) && s.Status == status
}
