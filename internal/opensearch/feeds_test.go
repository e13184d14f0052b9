package opensearch_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/opensearch"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// TestFeeds: the index says what is in it, how new that is, and whether it takes
// more, without the object store.
func TestFeeds(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	now := began
	e, err := a.engine(func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Load(t.Context(), intel.FeedInfo{ID: "b", Presence: intel.Snapshot}, now, numbered(2, "x")); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if err := e.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot, Provider: "p"}, now, numbered(2, "x")); err != nil {
		t.Fatal(err)
	}
	got, err := e.Feeds(t.Context())
	if err != nil || len(got) != 2 || got[0].Info.ID != "a" || got[0].Info.Provider != "p" || !got[0].LastGood.Equal(now) || !got[1].LastGood.Equal(began) || !got[0].Purged.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	if index, err := e.Current(t.Context()); err != nil || !strings.HasPrefix(index, e.alias+"-v") {
		t.Errorf("%s, %v", index, err)
	}
	before, _ := e.Stats(t.Context())
	if err := e.TryWrite(t.Context()); err != nil {
		t.Error(err)
	}
	if after, err := e.Stats(t.Context()); err != nil || after.Listings != before.Listings {
		t.Errorf("%+v, %v", after, err)
	}
	a.remove(e.alias)
	if _, err := e.Current(t.Context()); !errors.Is(err, opensearch.ErrUnsynced) {
		t.Errorf("%v", err)
	}
	var status *opensearch.StatusError
	if _, err := e.Feeds(t.Context()); !errors.As(err, &status) || status.Status != 404 {
		t.Errorf("%v", err)
	}
	if err := e.TryWrite(t.Context()); !errors.Is(err, opensearch.ErrUnsynced) {
		t.Errorf("%v", err)
	}
}

// TestDown: that nobody answers is known without asking again, and over with the
// first answer.
func TestDown(t *testing.T) {
	now := began
	answers := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":"green"}`)) })
	server := httptest.NewUnstartedServer(answers)
	defer server.Close()
	addr := server.Listener.Addr().String()
	server.Listener.Close()
	c, err := opensearch.New(opensearch.Options{URLs: []string{"http://" + addr}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Down(); err != nil {
		t.Errorf("before anything was asked: %v", err)
	}
	if _, err := c.Health(t.Context()); err == nil {
		t.Fatal("somebody answers")
	}
	var down *opensearch.UnavailableError
	if err := c.Down(); !errors.As(err, &down) || down.RetryAfter <= 0 {
		t.Errorf("%v", err)
	}
	now = now.Add(time.Hour) // it may be tried, and nobody has
	if err := c.Down(); err == nil {
		t.Error("it is up again without an answer")
	}
	if server.Listener, err = net.Listen("tcp", addr); err != nil {
		t.Skip(err) // somebody else took the port
	}
	server.Start()
	if _, err := c.Health(t.Context()); err != nil || c.Down() != nil {
		t.Errorf("%v, %v", err, c.Down())
	}
}

// TestAutoReplicas: the template says how many copies an index has.
func TestAutoReplicas(t *testing.T) {
	for want, s := range map[string]opensearch.Shape{
		`"auto_expand_replicas":"0-1"`: {AutoReplicas: true},
		`"number_of_replicas":2`:       {Replicas: 2},
	} {
		got, err := opensearch.Template(opensearch.Alias, s)
		if err != nil || !strings.Contains(string(got), want) || strings.Contains(string(got), `"auto_expand_replicas":"false"`) == s.AutoReplicas {
			t.Errorf("%+v: %s, %v", s, got, err)
		}
	}
}
