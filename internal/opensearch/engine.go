package opensearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// EngineOptions say how listings are kept and asked for.
type EngineOptions struct {
	Alias      string           // what is read and written; "" = Alias. Indices of other names need a template of theirs
	Shape      Shape            // of indices that are made
	Copies     int              // how many copies must have what was written; 0 = 1
	MaxMembers int              // most listings inside a network in one answer; 0 = 100,000
	Now        func() time.Time // required
}

// Engine finds listings in a cluster (lookup.Engine) that Sync fills. It is safe
// for concurrent use.
//
// What one answer sees is what one Sync left, as long as the index has one
// shard: each shard of several shows a Sync for itself, a moment apart. All that is
// said of one indicator lies in one shard; between several, and between them and
// the facts of the feeds, an answer of that moment may mix two states. A Sync
// that was ended by force may be seen in part until the next.
type Engine struct {
	client *Client
	alias  string
	opt    EngineOptions
	facts  atomic.Pointer[facts] // read last
	counts atomic.Pointer[counted]
	told   int        // how many values of a facet each of several shards tells at most
	sync   sync.Mutex // one Sync or Reindex at a time
}

// ErrMapping says that an index has documents as another version of this program
// makes them. It can be asked, and Reindex makes it anew beside it.
var ErrMapping = errors.New("is of another version")

// counted are the Stats of one state.
type counted struct {
	seq   string
	stats intel.Stats
}

// NewEngine returns the engine of a cluster. Nothing is sent yet.
func NewEngine(c *Client, o EngineOptions) *Engine {
	if o.Alias == "" {
		o.Alias = Alias
	}
	if o.MaxMembers <= 0 {
		o.MaxMembers = 100_000
	}
	return &Engine{client: c, alias: o.Alias, opt: o, told: maxBuckets}
}

// Err implements lookup.Engine: what the source of the last Sync could not read,
// as far as that is known here, or that there never was one.
func (e *Engine) Err() error {
	if f := e.facts.Load(); f != nil {
		return f.err()
	}
	return nil
}

// ErrForeign says that another store fills the index.
var ErrForeign = errors.New("the index is filled from another data folder")

// versioned says why this program cannot write to the index.
func (e *Engine) versioned(index string) error {
	if strings.HasPrefix(index, versionOf(e.alias)) {
		return nil
	}
	return fmt.Errorf("opensearch: the index %s %w than %s: `elasticintel reindex` makes it anew", index, ErrMapping, strings.TrimSuffix(versionOf(e.alias), "-"))
}

// owned says why this source cannot fill the index of these facts.
func (f *facts) owned(index string, src Source) error {
	if f.Source == "" || f.Source == src.ID() {
		return nil
	}
	return fmt.Errorf("opensearch: %s: %w; give this one an index of its own (--opensearch-index NAME), or let it take this one over: `elasticintel reindex --take-over`",
		index, ErrForeign)
}

// current returns the index that has the alias, "" where none does.
func (e *Engine) current(ctx context.Context) (string, error) {
	var got map[string]struct {
		Aliases map[string]json.RawMessage `json:"aliases"`
	}
	// Of our indices alone: whoever may not see others is refused where the alias is nowhere.
	r := request{method: http.MethodGet, path: "/" + url.PathEscape(e.alias+"-v*") + "/_alias/" + url.PathEscape(e.alias)}
	err := e.client.call(ctx, r, &got)
	var status *StatusError
	if errors.As(err, &status) && status.Status == http.StatusNotFound && strings.Contains(status.Reason, e.alias) {
		return "", nil // said by the cluster, and not by something in front of it
	}
	for name := range got {
		if got[name].Aliases[e.alias] == nil && err == nil {
			err = &NodeError{r.op(), "the cluster", fmt.Errorf("the answer says nothing of the alias %s", e.alias)}
		}
	}
	if err == nil && len(got) == 0 {
		err = &NodeError{r.op(), "the cluster", errors.New("the answer is empty")}
	}
	if err != nil {
		return "", fmt.Errorf("ask for the index: %w", err)
	}
	if len(got) > 1 {
		return "", fmt.Errorf("opensearch: %d indices have the alias %s, expected one: remove it from the others", len(got), e.alias)
	}
	for name := range got {
		return name, nil
	}
	return "", nil
}

// writeAlias is by which an index is written: one that somebody deleted is not
// made anew by that, and one that is being filled is not the one that is asked.
func writeAlias(index string) string { return index + "-write" }

// create makes the first index from the nth on that is not there. It shows what
// is written when it is told to, and not in the midst of a Sync.
func (e *Engine) create(ctx context.Context, n int) (string, error) {
	if err := CheckAlias(e.alias); err != nil {
		return "", err
	}
	t, err := Template(e.alias, e.opt.Shape)
	if err != nil {
		return "", err
	}
	if err := e.client.change(ctx, request{method: http.MethodPut, path: "/_index_template/" + url.PathEscape(e.alias), body: t}); err != nil {
		return "", fmt.Errorf("write the index template: %w", err)
	}
	for ; ; n++ {
		name := IndexName(e.alias, n)
		body, err := json.Marshal(clause{"settings": clause{"index": clause{"refresh_interval": "-1"}}, "aliases": clause{writeAlias(name): clause{}}})
		if err != nil {
			return "", err
		}
		err = e.client.change(ctx, request{method: http.MethodPut, path: "/" + url.PathEscape(name), body: body})
		var status *StatusError
		if errors.As(err, &status) && status.Type == "resource_already_exists_exception" {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("create the index %s: %w", name, err)
		}
		return name, nil
	}
}

// point lets the alias point to the index, and to before no longer.
func (e *Engine) point(ctx context.Context, index, before string) error {
	actions := []clause{{"add": clause{"index": index, "alias": e.alias, "is_write_index": true}}}
	if before != "" {
		actions = append(actions, clause{"remove": clause{"index": before, "alias": e.alias}})
	}
	body, err := json.Marshal(clause{"actions": actions})
	if err != nil {
		return err
	}
	if err := e.client.call(ctx, request{method: http.MethodPost, path: "/_aliases", body: body}, nil); err != nil {
		return fmt.Errorf("let %s point to %s: %w", e.alias, index, err)
	}
	return nil
}

// refresh shows what was written.
func (e *Engine) refresh(ctx context.Context, index string) error {
	var got struct {
		Shards shardsDone `json:"_shards"`
	}
	r := request{method: http.MethodPost, path: "/" + url.PathEscape(index) + "/_refresh"}
	err := e.client.call(ctx, r, &got)
	if s := got.Shards; err == nil && (s.Failed > 0 || s.Successful <= 0) { // copies that no node has are no failure, and come back with all that is in them
		err = &NodeError{r.op(), "the cluster", fmt.Errorf("%d of %d shards failed", s.Failed, s.Total)}
	}
	if err != nil {
		return fmt.Errorf("refresh %s: %w", index, err)
	}
	return nil
}
