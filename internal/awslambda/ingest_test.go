package awslambda_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/crashtest"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// bench is a store with feeds a, b and c, that a publisher of the test's serves,
// and the handler of their jobs.
type bench struct {
	t     *testing.T
	pub   *feedserver.Server
	store blob.Store
	down  atomic.Bool // the store answers 503
	cat   *feed.Catalogue
	run   *ingest.Runner
	g     *awslambda.Ingest
	log   bytes.Buffer
	now   func() time.Time
	cut   corpus.Options
}

// shaky is a store that is down when the bench says so.
type shaky struct {
	blob.Store
	down *atomic.Bool
}

func (s shaky) List(ctx context.Context, prefix string) ([]blob.Info, error) {
	if s.down.Load() {
		return nil, errors.New("503 SlowDown")
	}
	return s.Store.List(ctx, prefix)
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, pub: feedserver.Start(t), now: time.Now}
	b.store = shaky{crashtest.NewMem(), &b.down}
	files := fstest.MapFS{}
	for _, id := range []string{"a", "b", "c"} {
		b.pub.SetString("/"+id, "one."+id+".example\n")
		files[id+".json"] = &fstest.MapFile{Data: fmt.Appendf(nil, `{"feeds":[{"id":%q,"feed_name":%q,"feed_type":"txt","indicator_type":"domain","feed_url":%q,
			"field_mapping":{"source":[],"destination":[]},"allow_networks":["127.0.0.0/8"]}]}`, id, id, b.pub.URL("/"+id))}
	}
	var err error
	if b.cat, err = feed.Load(files); err != nil {
		t.Fatal(err)
	}
	if err := corpus.Init(t.Context(), b.store); err != nil {
		t.Fatal(err)
	}
	b.open(b.store)
	return b
}

// open makes a new process of it, on a view of the store.
func (b *bench) open(store blob.Store) {
	b.t.Helper()
	c, err := corpus.Open(b.t.Context(), store, b.cut)
	if err != nil {
		b.t.Fatal(err)
	}
	b.run = ingest.New(ingest.Config{Store: store, Corpus: c, Fetch: fetch.New(fetch.Options{TempDir: b.t.TempDir(), Retries: -1}), Now: func() time.Time { return b.now() }})
	b.g = &awslambda.Ingest{Runner: b.run, Now: time.Now, Log: slog.New(slog.NewJSONHandler(&b.log, nil)), Definition: func(id string) (*feed.Definition, error) {
		if d := b.cat.Get(id); d != nil {
			return d, nil
		}
		return nil, fmt.Errorf("unknown feed %q", id)
	}}
}

// batch hands messages over and returns which come again, by place.
func (b *bench) batch(limit time.Duration, bodies ...string) []int {
	b.t.Helper()
	type record map[string]any
	var records []record
	for i, body := range bodies {
		records = append(records, record{"messageId": fmt.Sprint(i), "body": body, "eventSource": "aws:sqs", "attributes": record{"ApproximateReceiveCount": "1"}})
	}
	event, err := json.Marshal(record{"Records": records})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), limit)
	defer cancel()
	r, err := b.g.Handle(ctx, awslambda.Event{ID: "r", Body: event})
	if err != nil {
		b.t.Fatal(err)
	}
	if !bytes.HasPrefix(r.JSON, []byte(`{"batchItemFailures":[`)) {
		b.t.Errorf("the list of failures is no list: %s", r.JSON)
	}
	var reply struct {
		Failures []struct {
			ID int `json:"itemIdentifier,string"`
		} `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(r.JSON, &reply); err != nil {
		b.t.Fatal(err)
	}
	again := []int{}
	for _, f := range reply.Failures {
		again = append(again, f.ID)
	}
	return again
}

// outcomes are those of the lines of the log since the last call.
func (b *bench) outcomes() string {
	var out []string
	for line := range bytes.Lines(b.log.Bytes()) {
		var l struct{ Msg, Outcome, Status, Code string }
		if err := json.Unmarshal(line, &l); err != nil {
			b.t.Errorf("log line %s: %v", line, err)
		}
		if l.Msg == "job" {
			out = append(out, strings.TrimSpace(l.Outcome+" "+l.Status+" "+l.Code))
		}
	}
	b.log.Reset()
	return strings.Join(out, ", ")
}

func (b *bench) rows(id string) []intel.Run {
	b.t.Helper()
	rows, err := b.run.Runs(b.t.Context(), id, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	return rows
}

func (b *bench) want(what string, again []int, wantAgain []int, outcomes string) {
	b.t.Helper()
	if !slices.Equal(again, wantAgain) {
		b.t.Errorf("%s: %v come again, want %v", what, again, wantAgain)
	}
	if got := b.outcomes(); got != outcomes {
		b.t.Errorf("%s: outcomes %q, want %q", what, got, outcomes)
	}
}

// body is the message of a job that was due so long ago.
func body(id string, ago time.Duration) string {
	b, _ := json.Marshal(awslambda.NewJob(id, time.Now().Add(-ago)))
	return string(b)
}

const minute = time.Minute

func TestIngest_PoisonAloneFails(t *testing.T) {
	b := newBench(t)
	raw, wrapped := body("a", 0), `{"Type":"Notification","Message":`+fmt.Sprintf("%q", body("b", 0))+`,"MessageId":"x"}`
	again := b.batch(minute, "poison", raw, `{"id":"x"}`, wrapped, body("nobody", 0), `{"id":"x","feed":"../a","due":"2026-01-01T00:00:00Z"}`, body("c", 0), raw+"{}", `{"id":"y","feed":"a","due":"2026-01-01T00:00:00Z","shards":3}`)
	b.want("a batch", again, []int{0, 2, 4, 5, 7, 8}, "failed, done ok, failed, done ok, failed, failed, done ok, failed, failed")
	for _, id := range []string{"a", "b", "c"} {
		if rows := b.rows(id); len(rows) != 1 || rows[0].Job == "" || rows[0].Trigger != "schedule" {
			t.Errorf("%s: %+v", id, rows)
		}
	}
}

func TestIngest_DuplicatesAndReordering(t *testing.T) {
	b := newBench(t)
	older, newer := body("a", time.Hour), body("a", 0)
	b.want("newer first", b.batch(minute, newer, older, newer), []int{}, "done ok, overtaken, known")
	b.open(b.store) // another process
	b.want("again", b.batch(minute, newer, older), []int{}, "known, overtaken")
	if b.pub.Hits("/a") != 1 {
		t.Errorf("the publisher was asked %d times", b.pub.Hits("/a"))
	}
	// A decision of a person, and what another feed did, is no pull.
	b.want("the other feed", b.batch(minute, body("b", 0)), []int{}, "done ok")
}

func TestIngest_AFailedRunIsDone(t *testing.T) {
	b := newBench(t)
	b.pub.Fail("/a", feedserver.NotFound, 0)
	m := body("a", 0)
	b.want("failed", b.batch(minute, m), []int{}, "done failed status")
	b.want("again", b.batch(minute, m), []int{}, "known")
}

func TestIngest_StoreDown(t *testing.T) {
	b := newBench(t)
	m := body("a", 0)
	b.down.Store(true)
	b.want("down", b.batch(minute, m, "poison"), []int{0, 1}, "failed, failed")
	b.down.Store(false)
	b.want("up", b.batch(minute, m), []int{}, "done ok")
}

// A run that has all of an event's time and is not done in it is a failure that the
// ledger has; one that was begun late is handed back, and so is what was not begun.
func TestIngest_TimeLimit(t *testing.T) {
	b := newBench(t)
	b.pub.Fail("/a", feedserver.Blackhole, 0)
	m := body("a", 0)
	b.want("alone", b.batch(time.Second, m, body("b", 0)), []int{1}, "done failed time-limit, handed back")
	if rows := b.rows("a"); len(rows) != 1 || !strings.Contains(rows[0].Reason, "the run took longer than it may here") {
		t.Errorf("%+v", rows)
	}
	b.want("again", b.batch(time.Second, m), []int{}, "known")
	late := body("a", -2*time.Second) // due after the run that was cut off
	b.want("late", b.batch(2*time.Second, body("c", 0), late), []int{1}, "done ok, failed")
	if rows := b.rows("a"); len(rows) != 1 {
		t.Errorf("what was begun late stands in the ledger: %+v", rows)
	}
}

// breaking is a runner that panics over one feed.
type breaking struct{ awslambda.Runner }

func (r breaking) Run(ctx context.Context, j feed.Job) (intel.Run, error) {
	if j.Def.ID == "b" {
		panic("over what b holds")
	}
	return r.Runner.Run(ctx, j)
}

func TestIngest_PanicFailsOneJob(t *testing.T) {
	b := newBench(t)
	b.g.Runner = breaking{b.run}
	b.want("panic", b.batch(minute, body("a", 0), body("b", 0), body("c", 0)), []int{1}, "done ok, failed, done ok")
}

// However often and wherever a process dies in a job, the message comes again and
// what it asked for is there, once.
func TestIngest_KilledAtEveryStep(t *testing.T) {
	for step := 1; ; step++ {
		b := newBench(t)
		b.pub.SetString("/a", "one.a.example\ntwo.a.example\n")
		faulty := &crashtest.Faulty{Store: b.store, At: -1}
		b.open(faulty)
		faulty.At, faulty.Mode = faulty.Count()+step, crashtest.Dead
		m := body("a", 0)
		func() {
			defer func() { _ = recover() }()
			b.batch(minute, m)
		}()
		hit := faulty.Hit()
		b.open(awslambda.OneFeed(b.store, "a")) // the next process gets the message
		if again := b.batch(minute, m); len(again) > 0 {
			t.Errorf("killed at %s: %v come again", hit, again)
		}
		c, err := corpus.Open(t.Context(), b.store, corpus.Options{})
		if err != nil || c.Err() != nil {
			t.Fatalf("killed at %s: %v, %v", hit, err, c.Err())
		}
		if st, err := c.Stats(t.Context()); err != nil || st.Listings != 2 {
			t.Errorf("killed at %s: %d listings, %v", hit, st.Listings, err)
		}
		good := 0
		for _, r := range b.rows("a") {
			if r.Status == intel.RunOK {
				good++
			}
		}
		if good != 1 {
			t.Errorf("killed at %s: %d runs took the data up", hit, good)
		}
		if hit == "" {
			if step < 8 {
				t.Errorf("a job takes %d steps only", step)
			}
			return
		}
	}
}

// Two processes get the same message at once: one of them wins, and what is
// listed is right.
func TestIngest_TwoProcesses(t *testing.T) {
	one := newBench(t)
	two := &bench{t: t, pub: one.pub, store: one.store, cat: one.cat, now: time.Now}
	two.open(two.store)
	m, done := body("a", 0), make(chan []int)
	go func() { done <- two.batch(minute, m) }()
	again := append(one.batch(minute, m), <-done...)
	if len(again) > 0 {
		t.Errorf("%v come again", again)
	}
	c, err := corpus.Open(t.Context(), one.store, corpus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if st, err := c.Stats(t.Context()); err != nil || st.Listings != 1 {
		t.Errorf("%d listings, %v", st.Listings, err)
	}
}

func (b *bench) catalogue() *feed.Catalogue { return b.cat }
