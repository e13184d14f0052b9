package opensearch

import (
	"context"
	"encoding/json"
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
	Source any               `json:"_source"` // paths, or false
	Aggs   map[string]clause `json:"aggs,omitempty"`
	PIT    *pit              `json:"pit,omitempty"`
}

// reply is the answer to a search.
type reply struct {
	TimedOut bool `json:"timed_out"`
	Shards   struct {
		Total  int `json:"total"`
		Failed int `json:"failed"`
	} `json:"_shards"`
	Hits struct {
		Total struct {
			Value int `json:"value"`
		} `json:"total"`
		Hits []hit `json:"hits"`
	} `json:"hits"`
	Aggs map[string]json.RawMessage `json:"aggregations"`
	PIT  string                     `json:"pit_id"`
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

// answerPaths are what of a document answers are made of. Read-only.
var answerPaths = []string{"listing", "@timestamp"}

// ask searches an index, or what a point in time shows. An answer without some
// of the shards is none: what is not in it may be listed all the same.
func (c *Client) ask(ctx context.Context, index string, q *question) (*reply, error) {
	r := request{method: http.MethodPost, path: "/_search", query: url.Values{}}
	if q.PIT == nil {
		r.path = "/" + url.PathEscape(index) + "/_search"
	}
	r.query.Set("allow_partial_search_results", "false")
	var err error
	if r.body, err = json.Marshal(q); err != nil {
		return nil, err
	}
	out := &reply{}
	if err := c.call(ctx, r, out); err != nil {
		return nil, err
	}
	if out.TimedOut || out.Shards.Failed > 0 {
		return nil, fmt.Errorf("POST %s: %d of %d shards did not answer", r.path, out.Shards.Failed, out.Shards.Total)
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
		ID     string `json:"pit_id"`
		Shards struct {
			Failed int `json:"failed"`
		} `json:"_shards"`
	}
	err := c.call(ctx, request{method: http.MethodPost, path: "/" + url.PathEscape(index) + "/_search/point_in_time",
		query: url.Values{"keep_alive": {keepAlive}, "allow_partial_pit_creation": {"false"}}}, &got)
	if err != nil {
		return nil, err
	}
	if got.ID == "" || got.Shards.Failed > 0 {
		return nil, fmt.Errorf("point in time of %s: %d shards failed", index, got.Shards.Failed)
	}
	return &pit{got.ID, keepAlive}, nil
}

// close ends it, even where ctx has ended: the cluster has few to give.
func (c *Client) close(ctx context.Context, p *pit) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	body, _ := json.Marshal(map[string][]string{"pit_id": {p.ID}})
	_ = c.call(ctx, request{method: http.MethodDelete, path: "/_search/point_in_time", body: body}, nil) // it ends by itself
}
