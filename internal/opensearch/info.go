package opensearch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The oldest version that this program is tested with.
const oldestMajor, oldestMinor = 2, 19

// Info says what a cluster is.
type Info struct {
	Cluster      string // its name
	Version      string // "2.19.1"
	Major, Minor int
}

// Check asks what the cluster is, and refuses what this program cannot work
// with, Elasticsearch above all: the two have gone different ways.
func (c *Client) Check(ctx context.Context) (Info, error) {
	var got struct {
		Name    string `json:"cluster_name"`
		Version struct {
			Number       string `json:"number"`
			Distribution string `json:"distribution"`
		} `json:"version"`
	}
	if err := c.call(ctx, request{method: http.MethodGet, path: "/"}, &got); err != nil {
		return Info{}, err
	}
	i := Info{Cluster: short(got.Name, 100), Version: short(got.Version.Number, 40)}
	if got.Version.Distribution != "opensearch" {
		return i, fmt.Errorf("opensearch: %s is no OpenSearch but %s %s; OpenSearch %d.%d or newer is needed", c.nodes[0].base.Host,
			product(got.Version.Distribution, i.Version), i.Version, oldestMajor, oldestMinor)
	}
	major, rest, _ := strings.Cut(i.Version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	var err1, err2 error
	i.Major, err1 = strconv.Atoi(major)
	i.Minor, err2 = strconv.Atoi(minor)
	if err1 != nil || err2 != nil || i.Major < oldestMajor || i.Major == oldestMajor && i.Minor < oldestMinor {
		return i, fmt.Errorf("opensearch: the cluster says that it is version %q; %d.%d or newer is needed",
			i.Version, oldestMajor, oldestMinor)
	}
	return i, nil
}

func product(distribution, version string) string {
	switch {
	case distribution != "":
		return short(distribution, 40)
	case version != "":
		return "Elasticsearch" // it names no distribution
	}
	return "something else"
}

// Health is the state of a cluster.
type Health struct {
	Status     string `json:"status"` // green, yellow, red
	Nodes      int    `json:"number_of_nodes"`
	Unassigned int    `json:"unassigned_shards"`
}

// Health asks how the cluster is.
func (c *Client) Health(ctx context.Context) (Health, error) {
	var h Health
	err := c.call(ctx, request{method: http.MethodGet, path: "/_cluster/health"}, &h)
	return h, err
}

// Down returns an *UnavailableError where the cluster, or every node of it, failed
// when it was asked last; else nil. It asks nobody.
func (c *Client) Down() error {
	now := c.opt.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cluster.failures > 0 {
		return &UnavailableError{RetryAfter: c.cluster.open(now), Err: errDown}
	}
	least := time.Duration(math.MaxInt64)
	for _, n := range c.nodes {
		if n.breaker.failures == 0 {
			return nil
		}
		least = min(least, n.breaker.open(now))
	}
	return &UnavailableError{RetryAfter: least, Err: errDown}
}

var errDown = errors.New("it did not answer a moment ago")
