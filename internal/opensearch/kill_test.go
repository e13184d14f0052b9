package opensearch

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// TestRealKill: nodes are killed in the middle of the writing, one of them the
// cluster's manager, with every node of the cluster in the client's list. All is
// acknowledged in the end, and what is acknowledged is there.
func TestRealKill(t *testing.T) {
	if os.Getenv("EI_SOAK") == "" {
		t.Skip("TestEngineKills has the same through the whole engine; this one runs with EI_SOAK=1")
	}
	s := opensearchtest.Start(t, opensearchtest.Options{Nodes: 3})
	c := realClient(t, s)
	name := index(t, c, `{"settings":{"number_of_shards":3,"number_of_replicas":1,"index.unassigned.node_left.delayed_timeout":"1s"},
		"mappings":{"dynamic":"strict","properties":{"v":{"type":"keyword"}}}}`)
	green(t, c, 3)
	const each = 10_000
	killed := []int{manager(t, c), 0}
	killed[1] = killed[0]%3 + 1
	b := c.NewBulk(t.Context(), BulkOptions{Alias: name, Docs: 500})
	for i := range 3 * each {
		if i%each == each/2 && i/each < 2 {
			s.Kill(t, killed[i/each])
		}
		if i == each {
			s.Revive(t, killed[0])
			green(t, c, 3)
		}
		if err := b.Add(Op{ID: fmt.Sprint("d", i), Source: fmt.Appendf(nil, `{"v":"x%d"}`, i)}); err != nil {
			break // Close says why
		}
	}
	st, err := b.Close()
	t.Logf("%+v", st)
	if err != nil || st.Written != 3*each {
		t.Fatal(err)
	}
	green(t, c, 2)
	if n := count(t, c, name); n != 3*each {
		t.Errorf("%d of %d acknowledged documents are there", n, 3*each)
	}
}

// green waits until every copy is on one of so many nodes.
func green(t *testing.T, c *Client, nodes int) {
	t.Helper()
	var h Health
	var err error
	for range 120 {
		if h, err = c.Health(t.Context()); err == nil && h.Status == "green" && h.Nodes == nodes {
			return
		}
		if err := wait(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("%+v, %v; want %d nodes, all green", h, err, nodes)
}

// manager returns the number of the node that is the cluster's manager.
func manager(t *testing.T, c *Client) int {
	t.Helper()
	state := do(t, c, "GET", "/_cluster/state/cluster_manager_node,nodes", "")
	id, _ := state["cluster_manager_node"].(string)
	all, _ := dig(state, "nodes", id)
	var n int
	if _, err := fmt.Sscanf(fmt.Sprint(all["name"]), "n%d", &n); err != nil {
		t.Fatalf("%v: %v", all, err)
	}
	return n
}
