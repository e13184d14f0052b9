package lookup_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/lookup/lookuptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

func days(n int) time.Time { return now.AddDate(0, 0, n) }

func ind(t testing.TB, s string) intel.Indicator {
	t.Helper()
	i, err := intel.Detect(s)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func info(id string) *intel.FeedInfo {
	return &intel.FeedInfo{ID: id, Name: "The " + id, Provider: "Prov", Presence: intel.Snapshot, Reliability: "B", Confidence: 80, TLP: "clear", Tags: []string{}, Description: "means " + id}
}

// world is an engine with one listing of every relation around a few values.
func world(t testing.TB) *lookuptest.Engine {
	e := &lookuptest.Engine{}
	add := func(value, feed string, from, to time.Time) { e.Add(ind(t, value), info(feed), from, to) }
	add("192.0.2.7", "b", days(-10), time.Time{})
	add("192.0.2.7", "a", days(-20), days(-5))
	add("192.0.2.0/24", "c", days(-3), time.Time{})
	add("192.0.0.0/16", "a", days(-3), time.Time{})
	add("192.0.2.0/28", "z", days(-3), time.Time{})
	add("192.0.2.7:443", "p", days(-2), time.Time{})
	add("bad.example.com", "d2", days(-4), time.Time{})
	add("example.com", "d1", days(-4), time.Time{})
	add("http://www.bad.example.com/x", "u", days(-1), time.Time{})
	add("www.bad.example.com", "d3", days(-1), time.Time{})
	add("gone.example", "a", days(-20), days(-5))
	return e
}

type row struct {
	Relation  intel.Relation
	Feed      string
	Canonical string
	Listed    bool
}

func rows(a intel.Answer) []row {
	var out []row
	for _, l := range a.Listings {
		out = append(out, row{l.Relation, l.Feed, l.Canonical, l.Listed})
	}
	return out
}

func TestAnswer_listsEveryRelationInOrder(t *testing.T) {
	s := lookup.New(world(t), clock)
	for _, tt := range []struct {
		value string
		want  []row
	}{
		{"192[.]0[.]2[.]7", []row{
			{intel.RelExact, "a", "192.0.2.7", false}, {intel.RelExact, "b", "192.0.2.7", true},
			{intel.RelNetwork, "z", "192.0.2.0/28", true}, {intel.RelNetwork, "c", "192.0.2.0/24", true}, {intel.RelNetwork, "a", "192.0.0.0/16", true},
			{intel.RelMember, "p", "192.0.2.7:443", true},
		}},
		{"hxxp://WWW.bad.example[.]com/x#frag", []row{
			{intel.RelExact, "u", "http://www.bad.example.com/x", true}, {intel.RelHost, "d3", "www.bad.example.com", true},
			{intel.RelParent, "d2", "bad.example.com", true}, {intel.RelParent, "d1", "example.com", true},
		}},
		{"192.0.2.0/27", []row{
			{intel.RelNetwork, "c", "192.0.2.0/24", true}, {intel.RelNetwork, "a", "192.0.0.0/16", true},
			{intel.RelMember, "a", "192.0.2.7", false}, {intel.RelMember, "b", "192.0.2.7", true},
			{intel.RelMember, "p", "192.0.2.7:443", true}, {intel.RelMember, "z", "192.0.2.0/28", true},
		}},
		{"192.0.2.7:443", []row{
			{intel.RelExact, "p", "192.0.2.7:443", true},
			{intel.RelNetwork, "z", "192.0.2.0/28", true}, {intel.RelNetwork, "c", "192.0.2.0/24", true}, {intel.RelNetwork, "a", "192.0.0.0/16", true},
			{intel.RelHost, "a", "192.0.2.7", false}, {intel.RelHost, "b", "192.0.2.7", true},
		}},
	} {
		a, err := s.Answer(t.Context(), tt.value, lookup.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tt.want, rows(a)); d != "" {
			t.Errorf("%s: listings (-want +got):\n%s", tt.value, d)
		}
		if a.Value != tt.value || !a.Found || a.AsOf != nil || a.Error != nil {
			t.Errorf("%s: got value %q found %v as_of %v error %v", tt.value, a.Value, a.Found, a.AsOf, a.Error)
		}
	}
}

func TestAnswer_closedListingsAreShownAndDoNotCount(t *testing.T) {
	s := lookup.New(world(t), clock)
	a, err := s.Answer(t.Context(), "gone.example", lookup.Options{})
	if err != nil || a.Found || len(a.Listings) != 1 || a.Listings[0].Listed || a.Verdict != intel.Unknown || a.Score != 0 {
		t.Errorf("now: got %+v, %v", a, err)
	}
	then := days(-6)
	a, err = s.Answer(t.Context(), "gone.example", lookup.Options{AsOf: then})
	if err != nil || !a.Found || a.AsOf == nil || !a.AsOf.Equal(then) {
		t.Errorf("as of %s: got %+v, %v", then, a, err)
	}
	a, err = s.Answer(t.Context(), "gone.example", lookup.Options{Summary: true})
	if err != nil || a.Found || len(a.Listings) != 0 {
		t.Errorf("summary: got %+v, %v", a, err)
	}
}

// TestAnswer_allowListsAreShownAndDoNotCount asks at every door for a value that
// only an allow list has, and for one that a threat feed has too.
func TestAnswer_allowListsAreShownAndDoNotCount(t *testing.T) {
	e := &lookuptest.Engine{}
	allow := info("allow")
	allow.Role, allow.Confidence = intel.RoleAllow, 100
	e.Add(ind(t, "192.0.2.0/24"), allow, days(-3), time.Time{})
	e.Add(ind(t, "192.0.2.9"), allow, days(-3), time.Time{})
	e.Add(ind(t, "192.0.2.9"), info("threat"), days(-3), time.Time{})
	s := lookup.New(e, clock)
	for _, tt := range []struct {
		value, summary string
		found          bool
		listings       int
	}{
		{"192.0.2.7", `{"value":"192.0.2.7","kind":"ipv4","found":false,"verdict":"unknown","score":0,"feeds":[]}`, false, 1},
		{"192.0.2.9", `{"value":"192.0.2.9","kind":"ipv4","found":true,"verdict":"suspicious","score":58,"feeds":["threat"]}`, true, 3},
	} {
		a, err := s.Answer(t.Context(), tt.value, lookup.Options{Related: true})
		if err != nil || a.Found != tt.found || len(a.Listings) != tt.listings || string(lookup.AppendSummary(nil, &a)) != tt.summary {
			t.Errorf("%s: %+v %v", tt.value, a, err)
		}
		if last := a.Listings[len(a.Listings)-1]; last.Role != intel.RoleAllow || !last.Listed || last.Relation != intel.RelNetwork {
			t.Errorf("%s: the allow list's listing is %+v", tt.value, last)
		}
		if n := a.Related.Networks; n == nil || len(n.Items) != 0 {
			t.Errorf("%s: the allowed network is among what is listed around it: %+v", tt.value, n)
		}
		asked := false
		err = s.Answers(t.Context(), func() (string, bool, error) { asked = !asked; return tt.value, asked, nil }, lookup.Options{Summary: true},
			func(a *intel.Answer) error {
				if got := string(lookup.AppendSummary(nil, a)); got != tt.summary {
					t.Errorf("bulk: %s", got)
				}
				return nil
			})
		if err != nil {
			t.Error(err)
		}
		x, err := s.Explain(t.Context(), tt.value, lookup.Options{})
		if err != nil || len(x.Sources) != tt.listings || x.Sources[tt.listings-1].Weight != nil || x.Sources[tt.listings-1].Role != intel.RoleAllow {
			t.Errorf("explain: %+v %v", x, err)
		}
	}
}

func TestAnswer_nothingKnownHasEmptyArrays(t *testing.T) {
	a, err := lookup.New(&lookuptest.Engine{}, clock).Answer(t.Context(), "198.51.100.1", lookup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"value":"198.51.100.1","kind":"ipv4","canonical":"198.51.100.1","found":false,"verdict":"unknown","score":0,"reasons":[],"listings":[],"enrichment":{},"as_of":null}`
	if got := string(a.AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAnswer_unusableValues(t *testing.T) {
	s := lookup.New(world(t), clock)
	for _, tt := range []struct {
		value string
		kinds intel.KindSet
		code  string
	}{
		{"", 0, intel.CodeEmpty},
		{" \u200b", 0, intel.CodeEmpty},
		{"not an indicator", 0, intel.CodeNotIndicator},
		{"1.2.3.4", intel.Domain.Set(), intel.CodeWrongKind},
		{"0.0.0.0/0", 0, intel.CodeInvalid},
	} {
		a, err := s.Answer(t.Context(), tt.value, lookup.Options{Kinds: tt.kinds})
		if err != nil || a.Error == nil || a.Error.Code != tt.code || a.Error.Detail == "" || a.Value != tt.value {
			t.Errorf("%q: got %+v (%+v), %v; want code %s", tt.value, a, a.Error, err, tt.code)
		}
	}
}

func TestAnswer_engineErrors(t *testing.T) {
	e := world(t)
	boom := errors.New("boom")
	e.Fail = func(intel.Question) error { return boom }
	s := lookup.New(e, clock)
	if _, err := s.Answer(t.Context(), "192.0.2.7", lookup.Options{}); !errors.Is(err, lookup.ErrEngine) || !errors.Is(err, boom) {
		t.Errorf("got %v, want ErrEngine and its cause", err)
	}
	e.Fail = func(q intel.Question) error {
		return fmt.Errorf("feed a: %w", &intel.ValueError{Code: "too_many", Reason: "more than 5 inside"})
	}
	if a, err := s.Answer(t.Context(), "192.0.0.0/8", lookup.Options{}); err != nil || a.Error == nil || *a.Error != (intel.AnswerError{Code: "too_many", Detail: "more than 5 inside"}) {
		t.Errorf("refused by the engine: got %+v, %v", a, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Answer(ctx, "192.0.2.7", lookup.Options{}); !errors.Is(err, context.Canceled) || errors.Is(err, lookup.ErrEngine) {
		t.Errorf("got %v, want the context's error alone", err)
	}
}

func TestAppendSummary_isTheStructsJSON(t *testing.T) {
	s := lookup.New(world(t), clock)
	for _, v := range []string{"192.0.2.7", "bad.example.com", "198.51.100.1", "http://www.bad.example.com/x?<&>\"\u2028é", " 192.0.2.7\x00\xff"} {
		a, err := s.Answer(t.Context(), v, lookup.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := lookup.AppendSummary(nil, &a)
		if a.Error != nil {
			if want := a.AppendJSON(nil); string(got) != string(want) {
				t.Errorf("%q: got %s, want %s", v, got, want)
			}
			continue
		}
		var back lookup.Summary
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q: %v in %s", v, err, got)
		}
		want := lookup.Summary{Value: v, Kind: a.Kind, Found: a.Found, Verdict: a.Verdict, Score: a.Score, Feeds: lookup.Feeds(&a)}
		if d := cmp.Diff(want, back); d != "" {
			t.Errorf("%q: (-want +got)\n%s", v, d)
		}
	}
	a, _ := s.Answer(t.Context(), "192.0.2.7", lookup.Options{})
	if got := lookup.Feeds(&a); !slices.Equal(got, []string{"a", "b", "c", "p", "z"}) {
		t.Errorf("feeds: got %v", got)
	}
}

func TestParseAsOf(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"2026-03-01", "2026-03-01T23:59:59Z"},
		{" 2026-11-19 ", "2026-11-19T23:59:59Z"},
		{"2026-11-20", "2026-11-20T12:00:00Z"}, // today: now
		{"2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z"},
		{"2026-11-20T13:00:00+02:00", "2026-11-20T11:00:00Z"},
		{"2024-02-29", "2024-02-29T23:59:59Z"},
		{"2026-11-20T12:00:01Z", ""}, {"2026-11-21", ""}, {"2026-02-30", ""}, {"yesterday", ""}, {"", ""}, {"0001-01-01T00:00:00Z", ""}, {"1700000000", ""},
	} {
		got, err := lookup.ParseAsOf(tt.in, now)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%q: got %s, want an error", tt.in, got)
			}
			continue
		}
		if err != nil || got.Format(time.RFC3339) != tt.want || got.Location() != time.UTC {
			t.Errorf("%q: got %s, %v; want %s", tt.in, got, err, tt.want)
		}
	}
}

func TestExplain(t *testing.T) {
	s := lookup.New(world(t), clock)
	e, err := s.Explain(t.Context(), " hxxp://WWW.bad.example[.]com/x ", lookup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, st := range e.Steps {
		names = append(names, st.Name)
	}
	if want := []string{"cleaned", "refanged", "kind", "canonical"}; !slices.Equal(names, want) {
		t.Errorf("steps %v, want %v", names, want)
	}
	if last := e.Steps[3].Result; last != "http://www.bad.example.com/x" {
		t.Errorf("canonical %q", last)
	}
	want := &lookup.Looked{Keys: []lookup.LookedKey{
		{intel.URL, "http://www.bad.example.com/x", intel.RelExact}, {intel.Domain, "www.bad.example.com", intel.RelHost},
		{intel.Domain, "bad.example.com", intel.RelParent}, {intel.Domain, "example.com", intel.RelParent},
	}}
	if d := cmp.Diff(want, e.Question); d != "" {
		t.Errorf("question (-want +got)\n%s", d)
	}
	if len(e.Sources) != 4 || e.Sources[0].Name != "The u" || e.Sources[0].Reliability != "B" || e.Sources[0].Meaning != "means u" {
		t.Errorf("sources %+v", e.Sources)
	}
	points := 0
	for _, src := range e.Sources {
		points += src.Weight.Points
	}
	if !e.Answer.Found || e.Formula == "" || points != e.Answer.Score || points == 0 {
		t.Errorf("%d points, answer %+v", points, e.Answer)
	}

	e, err = s.Explain(t.Context(), "127.0.0.1", lookup.Options{})
	if err != nil || e.Steps[len(e.Steps)-1].Name != "reserved" || e.Question.Covers != "127.0.0.1/32" || e.Question.Members != "127.0.0.1/32" {
		t.Errorf("reserved: got %+v %+v, %v", e.Steps, e.Question, err)
	}
	e, err = s.Explain(t.Context(), "gone.example", lookup.Options{})
	if err != nil || len(e.Sources) != 1 || e.Sources[0].Weight != nil {
		t.Errorf("closed: got %+v, %v", e.Sources, err)
	}
	e, err = s.Explain(t.Context(), "no such thing", lookup.Options{})
	if err != nil || e.Steps[0].Name != "refused" || e.Question != nil || e.Answer.Error == nil {
		t.Errorf("refused: got %+v, %v", e, err)
	}
}

func TestAnswer_neverCallsUnlistedWhatItCannotKnow(t *testing.T) {
	e := world(t)
	e.Damage = errors.New("feed a: its segment is gone")
	s := lookup.New(e, clock)
	if a, err := s.Answer(t.Context(), "192.0.2.7", lookup.Options{}); err != nil || !a.Found || a.Error != nil {
		t.Errorf("what is found is found: got %+v, %v", a, err)
	}
	a, err := s.Answer(t.Context(), "not-listed.example", lookup.Options{})
	if err != nil || a.Error == nil || a.Error.Code != lookup.CodeIncomplete {
		t.Errorf("got %+v, %v, want the error %s", a, err, lookup.CodeIncomplete)
	}
}
