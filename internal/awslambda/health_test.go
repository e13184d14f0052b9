package awslambda_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// wards are feeds in classes of health.
type wards []feed.View

func (w wards) List(context.Context) ([]feed.View, error) {
	if w == nil {
		return nil, errors.New("503")
	}
	return w, nil
}

func ward(id string, c feed.Class, listings int, age time.Duration) (v feed.View) {
	v.ID, v.State.Status, v.State.Listings = id, c, listings
	if age > 0 {
		at := noon.Add(-age)
		v.State.LastGood = &at
	}
	return v
}

func TestHealth_WritesMetricsThatCloudWatchReads(t *testing.T) {
	var log bytes.Buffer
	told := 0
	h := awslambda.Health{Namespace: "ei", Now: func() time.Time { return noon }, Log: slog.New(slog.NewJSONHandler(&log, nil)),
		Feeds:  wards{ward("a", feed.ClassHealthy, 5, time.Minute), ward("b", feed.ClassFailing, 7, time.Hour), ward("c", feed.ClassNeedsKey, 0, 0), ward("d", feed.ClassDisabled, 0, 0)},
		Alerts: func(context.Context) error { told++; return nil }}
	r, err := h.Handle(t.Context(), awslambda.Event{ID: "r", Body: []byte(`{"at":"x"}`)})
	if err != nil || told != 1 || !strings.Contains(string(r.JSON), `"feeds":4`) {
		t.Errorf("%s, %v, told %d times", r.JSON, err, told)
	}
	var line map[string]json.RawMessage
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("not one line of JSON: %s", log.Bytes())
	}
	var aws struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	}
	if err := json.Unmarshal(line["_aws"], &aws); err != nil || aws.Timestamp != noon.UnixMilli() || len(aws.CloudWatchMetrics) != 1 || aws.CloudWatchMetrics[0].Namespace != "ei" || len(aws.CloudWatchMetrics[0].Dimensions) != 1 {
		t.Fatalf("%s: %v", line["_aws"], err)
	}
	want := map[string]string{"FeedsHealthy": "1", "FeedsSick": "2", "FeedsFailing": "1", "FeedsQuarantined": "0", "FeedsStale": "0", "Listings": "12", "NewestDataAge": "60"}
	for _, m := range aws.CloudWatchMetrics[0].Metrics {
		if string(line[m.Name]) != want[m.Name] || m.Unit == "" {
			t.Errorf("%s is %s (%s), want %s", m.Name, line[m.Name], m.Unit, want[m.Name])
		}
		delete(want, m.Name)
	}
	if len(want) > 0 || !strings.Contains(string(line["classes"]), `"needs-key":1`) || string(line["sick"]) != `["b","c"]` {
		t.Errorf("missing %v; classes %s, sick %s", want, line["classes"], line["sick"])
	}
}

func TestHealth_Failures(t *testing.T) {
	h := awslambda.Health{Feeds: wards(nil), Now: func() time.Time { return noon }, Log: quiet()}
	if _, err := h.Handle(t.Context(), awslambda.Event{}); err == nil || !strings.Contains(err.Error(), "the state of the feeds cannot be read: 503") {
		t.Error(err)
	}
	h.Feeds, h.Alerts = wards{}, func(context.Context) error { return errors.New("no receiver") }
	if _, err := h.Handle(t.Context(), awslambda.Event{}); err == nil || err.Error() != "alerts: no receiver" {
		t.Error(err)
	}
}

// ledger answers with rows once it was asked often enough.
type ledger struct {
	asked, after int
	rows         func() []intel.Run
}

func (l *ledger) RunsSince(context.Context, string, time.Time) ([]intel.Run, error) {
	if l.asked++; l.asked <= l.after {
		return nil, nil
	}
	return l.rows(), nil
}

func TestTrigger_HandsOverAndWaits(t *testing.T) {
	b := &board{}
	l := &ledger{after: 3, rows: func() []intel.Run { return []intel.Run{{ID: "other"}, {ID: "x", Job: b.got[0].ID}} }}
	tr := awslambda.Trigger{Publish: b, Runs: l, Now: func() time.Time { return noon }, ID: func() string { return "abc" }, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
	job := feed.Job{Def: &feed.Definition{ID: "a"}, Trigger: "manual", Who: "key 1"}
	run, err := tr.Run(t.Context(), job)
	if want := "a@2026-11-30T12:00:07Z-abc"; err != nil || run.ID != "x" || b.got[0].ID != want || b.got[0].Who != "key 1" || b.got[0].Trigger != "manual" {
		t.Errorf("%+v, %v, %+v", run, err, b.got)
	}
	l.after = 1 << 30
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tr.Run(ctx, job); !errors.Is(err, lookup.ErrEngine) || !strings.Contains(fmt.Sprint(err), "was handed over and has not ended yet") {
		t.Error(err)
	}
	b.down = 1
	if _, err := tr.Run(t.Context(), job); err == nil || !strings.Contains(err.Error(), "could not be handed over: throttled") {
		t.Error(err)
	}
}

// How the index stands is said where there is one, and where that is not known it is
// said that it is not.
func TestHealth_Index(t *testing.T) {
	for _, c := range []struct {
		behind     []string
		err        error
		want, lack string
	}{
		{nil, nil, `"IndexFailing":0,"IndexBehind":0`, "index_error"},
		{[]string{"a", "b"}, nil, `"index_behind":["a","b"]`, "index_error"},
		{nil, errors.New("403 for this role"), `"index_error":"403 for this role"`, "IndexBehind"},
	} {
		var out bytes.Buffer
		h := &awslambda.Health{Feeds: wards{}, Namespace: "X", Now: time.Now, Log: slog.New(slog.NewJSONHandler(&out, nil)),
			Behind: func(context.Context) ([]string, error) { return c.behind, c.err }}
		if _, err := h.Handle(t.Context(), awslambda.Event{}); err != nil {
			t.Fatal(err)
		}
		if s := out.String(); !strings.Contains(s, c.want) || strings.Contains(s, c.lack) || !strings.Contains(s, `{"Name":"IndexFailing","Unit":"Count"}`) {
			t.Errorf("%v, %v: %s", c.behind, c.err, s)
		}
	}
}
