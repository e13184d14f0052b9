package opensearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// question is the body of a search.
type question struct {
	Query  clause            `json:"query,omitempty"`
	Size   int               `json:"size"`
	Sort   []clause          `json:"sort,omitempty"`
	After  []any             `json:"search_after,omitempty"`
	Count  bool              `json:"track_total_hits"`
	Source bool              `json:"_source"` // with the documents: as they are stored, since to leave out what we do not read takes the cluster much longer
	Aggs   map[string]clause `json:"aggs,omitempty"`
	PIT    *pit              `json:"pit,omitempty"`
	Within string            `json:"timeout,omitempty"` // set by ask

	fits int // how many documents do fit into an answer, once one has been too long; 0: not known
}

// page sets how many documents are wanted: at most n, and what fits into an answer.
func (q *question) page(n int) {
	if q.Size = min(n, pageSize); q.fits > 0 {
		q.Size = min(q.Size, q.fits)
	}
}

// reply is the answer to a search.
type reply struct {
	TimedOut *bool      `json:"timed_out"`
	Shards   shardsDone `json:"_shards"`
	Hits     struct {
		Total struct {
			Value    int    `json:"value"`
			Relation string `json:"relation"`
		} `json:"total"`
		Hits []hit `json:"hits"`
	} `json:"hits"`
	Aggs map[string]json.RawMessage `json:"aggregations"`
	PIT  string                     `json:"pit_id"`
}

// shardsDone says how many shards did what was asked.
type shardsDone struct {
	Total      int `json:"total"`
	Successful int `json:"successful"`
	Failed     int `json:"failed"`
}

// all says why that were not all of them. An answer that does not speak of shards
// is none of OpenSearch.
func (s shardsDone) all() error {
	switch {
	case s.Total <= 0:
		return errors.New("the answer does not say which shards it is of")
	case s.Failed != 0 || s.Successful != s.Total:
		return fmt.Errorf("%d of %d shards answered", s.Successful, s.Total)
	}
	return nil
}

// whole says why the reply is no whole answer to the question: "nothing found" is
// believed only of an answer that says that everything was searched.
func (r *reply) whole(q *question) error {
	got, total := len(r.Hits.Hits), r.Hits.Total
	switch {
	case r.TimedOut == nil:
		return errors.New("the answer does not say whether the search was finished in time")
	case *r.TimedOut:
		return fmt.Errorf("%w within %s; ask for less at once", errTimeout, q.Within)
	case r.Shards.all() != nil:
		return r.Shards.all()
	case r.Hits.Hits == nil:
		return errors.New("the answer has no list of hits")
	case got > q.Size:
		return fmt.Errorf("the answer has %d hits, asked for were %d", got, q.Size)
	case q.Count && total.Relation != "eq":
		return errors.New("the answer does not count all that was found")
	case q.Count && (got > total.Value || q.After == nil && got < min(q.Size, total.Value)):
		return fmt.Errorf("the answer has %d hits and says that %d were found", got, total.Value)
	}
	return nil
}

// hit is one document of a reply.
type hit struct {
	ID      string `json:"_id"`
	Routing string `json:"_routing"`
	Source  struct {
		Changed time.Time       `json:"@timestamp"`
		Listing json.RawMessage `json:"listing"`
	} `json:"_source"`
}

// maxPage is the longest answer, in bytes, that has more than one document in it:
// what is longer is asked for anew in smaller parts.
const maxPage = 8 << 20

// ask searches an index, or what a point in time shows. Documents may be long: where
// q.Size of them are too much for one answer it asks for half as many, and says
// so in q.Size. An answer without some of the shards is none: what is not in it may be
// listed all the same. The cluster gives up when we do.
func (c *Client) ask(ctx context.Context, index string, q *question) (*reply, error) {
	for {
		out, err := c.askOnce(ctx, index, q)
		if !errors.Is(err, errTooLong) || q.Size <= 1 {
			return out, err
		}
		q.Size /= 2
		q.fits = q.Size
	}
}

func (c *Client) askOnce(ctx context.Context, index string, q *question) (*reply, error) {
	r := request{method: http.MethodPost, path: "/_search", query: url.Values{}}
	if q.PIT == nil {
		r.path = "/" + url.PathEscape(index) + "/_search"
	}
	r.query.Set("allow_partial_search_results", "false")
	if q.Size > 1 && q.Aggs == nil {
		r.most = min(maxPage, c.maxAnswer)
	}
	within := c.opt.Timeout
	if end, ok := ctx.Deadline(); ok {
		within = min(within, time.Until(end))
	}
	q.Within = fmt.Sprintf("%dms", max(within.Milliseconds(), 1))
	var err error
	if r.body, err = json.Marshal(q); err != nil {
		return nil, err
	}
	out := &reply{}
	err = c.call(ctx, r, out)
	var status *StatusError
	if errors.As(err, &status) && status.Type == "time_exceeded_exception" {
		yes := true
		out.TimedOut, err = &yes, nil // the same, said by a shard that has nothing yet
	}
	if err != nil {
		return nil, err
	}
	if err := out.whole(q); err != nil {
		return nil, &NodeError{r.op(), "the cluster", err}
	}
	if q.PIT != nil && out.PIT != "" {
		q.PIT.ID = out.PIT
	}
	return out, nil
}

// pit is a point in time: what is searched in it stays as it was then.
type pit struct {
	ID        string `json:"id"`
	KeepAlive string `json:"keep_alive"`
}

// keepAlive is how long a point in time is kept from one request to the next.
const keepAlive = "2m"

// open begins a point in time. close must be called.
func (c *Client) open(ctx context.Context, index string) (*pit, error) {
	var got struct {
		ID     string     `json:"pit_id"`
		Shards shardsDone `json:"_shards"`
	}
	r := request{method: http.MethodPost, path: "/" + url.PathEscape(index) + "/_search/point_in_time",
		query: url.Values{"keep_alive": {keepAlive}, "allow_partial_pit_creation": {"false"}}}
	if err := c.call(ctx, r, &got); err != nil {
		return nil, err
	}
	why := got.Shards.all()
	if got.ID == "" {
		why = errors.New("the answer names no point in time")
	}
	if why != nil {
		return nil, &NodeError{r.op(), "the cluster", why}
	}
	return &pit{got.ID, keepAlive}, nil
}

// close ends it, even where ctx has ended: the cluster has few to give.
func (c *Client) close(ctx context.Context, p *pit) { _ = c.end(ctx, p) } // it ends by itself

// end ends a point in time and says where that failed.
func (c *Client) end(ctx context.Context, p *pit) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	body, err := json.Marshal(map[string][]string{"pit_id": {p.ID}})
	if err != nil {
		return err
	}
	return c.call(ctx, request{method: http.MethodDelete, path: "/_search/point_in_time", body: body}, nil)
}
