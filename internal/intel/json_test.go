package intel

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// plainAnswer and plainListing are Answer and Listing without methods, for
// encoding/json to write by reflection. TestMirror keeps them equal.
type plainAnswer struct {
	Value      string         `json:"value"`
	Kind       Kind           `json:"kind"`
	Canonical  string         `json:"canonical"`
	Found      bool           `json:"found"`
	Verdict    Verdict        `json:"verdict"`
	Score      int            `json:"score"`
	Reasons    []Reason       `json:"reasons"`
	Listings   []plainListing `json:"listings"`
	Related    *plainRelated  `json:"related,omitempty"`
	Enrichment Enrichment     `json:"enrichment"`
	Timeline   []Moment       `json:"timeline,omitzero"`
	AsOf       *time.Time     `json:"as_of"`
	Error      *AnswerError   `json:"-"`
}

type plainListing struct {
	Info          *FeedInfo      `json:"-"`
	Feed          string         `json:"feed"`
	Provider      string         `json:"provider"`
	Relation      Relation       `json:"relation"`
	Role          string         `json:"role,omitempty"`
	Kind          Kind           `json:"kind"`
	Canonical     string         `json:"canonical"`
	Original      string         `json:"original"`
	Listed        bool           `json:"listed"`
	Intervals     []Interval     `json:"intervals"`
	FirstSeen     time.Time      `json:"first_seen"`
	LastSeen      time.Time      `json:"last_seen"`
	Confidence    int            `json:"confidence"`
	TLP           string         `json:"tlp"`
	Tags          []string       `json:"tags"`
	Malware       string         `json:"malware,omitempty"`
	ThreatType    string         `json:"threat_type,omitempty"`
	Reference     string         `json:"reference,omitempty"`
	Description   string         `json:"description,omitempty"`
	FeedFirstSeen string         `json:"feed_first_seen,omitempty"`
	FeedLastSeen  string         `json:"feed_last_seen,omitempty"`
	Snapshot      string         `json:"snapshot,omitempty"`
	Context       map[string]any `json:"context"`
	Changed       time.Time      `json:"-"`
}

type plainEvent struct {
	Type    EventType    `json:"event"`
	At      time.Time    `json:"at"`
	Listing plainListing `json:"listing"`
}

// plainRelated is Related without methods.
type plainRelated Related

func TestMirror(t *testing.T) {
	for _, pair := range [][2]reflect.Type{
		{reflect.TypeFor[Answer](), reflect.TypeFor[plainAnswer]()},
		{reflect.TypeFor[Listing](), reflect.TypeFor[plainListing]()},
	} {
		if pair[0].NumField() != pair[1].NumField() {
			t.Fatalf("%v has %d fields, its mirror %d", pair[0], pair[0].NumField(), pair[1].NumField())
		}
		for i := range pair[0].NumField() {
			if a, b := pair[0].Field(i), pair[1].Field(i); a.Name != b.Name || a.Tag != b.Tag {
				t.Errorf("%v: field %s %s, in its mirror %s %s", pair[0], a.Name, a.Tag, b.Name, b.Tag)
			}
		}
	}
}

// mirror returns the answer for encoding/json to write.
func mirror(a *Answer) *plainAnswer {
	p := &plainAnswer{Value: a.Value, Kind: a.Kind, Canonical: a.Canonical, Found: a.Found, Verdict: a.Verdict,
		Score: a.Score, Reasons: a.Reasons, AsOf: a.AsOf,
		Related: (*plainRelated)(a.Related), Enrichment: a.Enrichment, Timeline: a.Timeline, Listings: make([]plainListing, len(a.Listings))}
	for i := range a.Listings {
		from, to := reflect.ValueOf(&a.Listings[i]).Elem(), reflect.ValueOf(&p.Listings[i]).Elem()
		for n := range from.NumField() {
			if from.Type().Field(n).Name != "Context" {
				to.Field(n).Set(from.Field(n))
			}
		}
		context := map[string]any{}
		for _, f := range a.Listings[i].Context {
			if context[f.Name] = f.Values; len(f.Values) == 1 {
				context[f.Name] = f.Values[0]
			}
		}
		p.Listings[i].Context = context
	}
	return p
}

// encode is encoding/json without HTML escaping and the newline at the end.
func encode(t testing.TB, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// nasty are strings that encoders trip over.
var nasty = []string{"", "plain", `quote " and \ backslash`, "</script>&'<>", "\x00\x01\x1f\x7f", "\b\f\n\r\t",
	"\u2028\u2029", "ü☃𝐞", "\xff", "a\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\ufffd", "\u0085\u00a0\ufeff", strings.Repeat("long ", 100)}

// randomAnswer makes an answer of nasty pieces; no slice in it is nil.
func randomAnswer(r *rand.Rand) *Answer {
	text := func() string { return nasty[r.IntN(len(nasty))] + nasty[r.IntN(len(nasty))] }
	instant := func() time.Time {
		t := time.Unix(r.Int64N(4_000_000_000), r.Int64N(2)*r.Int64N(1_000_000_000)).UTC()
		if r.IntN(5) == 0 {
			t = t.In(time.FixedZone("", 3600*(r.IntN(24)-12)))
		}
		return t
	}
	maybe := func() *time.Time {
		if r.IntN(2) == 0 {
			return nil
		}
		t := instant()
		return &t
	}
	a := &Answer{Value: text(), Kind: Kind(r.IntN(14)), Canonical: text(), Found: r.IntN(2) == 0, Verdict: Verdict(text()),
		Score: r.IntN(200) - 50, Reasons: []Reason{}, Listings: []Listing{}, AsOf: maybe()}
	lists := func() []string { return []string{text(), text()}[:r.IntN(3)] }
	if r.IntN(2) == 0 {
		a.Enrichment.Network = &NetworkFacts{CIDR: text(), Name: text(), Org: text(), Country: text(), Registry: text(), Abuse: text(), ASN: r.Uint32(), ASName: text(),
			Allocated: []Date{"", "2001-02-03T04:05:06Z"}[r.IntN(2)], Source: text(), FetchedAt: instant()}
		a.Enrichment.Address = &AddressFacts{Names: lists(), Source: text(), FetchedAt: instant()}
	}
	if r.IntN(2) == 0 {
		a.Enrichment.Domain = &DomainFacts{Name: text(), Registrar: text(), NameServers: lists(), Status: lists(), Tags: lists(), Source: text(), FetchedAt: instant()}
	}
	group := func() *RelatedGroup {
		if r.IntN(2) == 0 {
			return nil
		}
		g := &RelatedGroup{Total: r.IntN(1000), Exact: r.IntN(2) == 0, Items: []RelatedItem{}}
		for range r.IntN(3) {
			g.Items = append(g.Items, RelatedItem{Kind(r.IntN(12)), text(), []string{text(), text()}[:r.IntN(3)], r.IntN(2) == 0, instant(), text()})
		}
		return g
	}
	if r.IntN(2) == 0 {
		a.Related = &Related{group(), group(), group(), group(), group(), group(), r.IntN(2) == 0}
	}
	if r.IntN(2) == 0 {
		a.Timeline = []Moment{}
		for range r.IntN(3) {
			a.Timeline = append(a.Timeline, Moment{instant(), text(), EventType(text()), Relation(text()), Kind(r.IntN(12)), text()})
		}
	}
	for range r.IntN(4) {
		a.Reasons = append(a.Reasons, Reason{text(), r.IntN(100)})
	}
	for range r.IntN(3) {
		l := Listing{Feed: text(), Provider: text(), Relation: Relation(text()), Role: text(), Kind: Kind(r.IntN(12)), Canonical: text(),
			Original: text(), Listed: r.IntN(2) == 0, Intervals: []Interval{}, FirstSeen: instant(), LastSeen: instant(),
			Confidence: r.IntN(101), TLP: text(), Tags: []string{}, Malware: text(), ThreatType: text(), Reference: text(),
			Description: text(), FeedFirstSeen: text(), FeedLastSeen: text(), Snapshot: text(), Context: Fields{}}
		for range r.IntN(3) {
			l.Intervals = append(l.Intervals, Interval{instant(), maybe()})
			l.Tags = append(l.Tags, text())
			l.Context.Add(text(), text())
		}
		a.Listings = append(a.Listings, l)
	}
	return a
}

func TestAppendJSONEqualsEncodingJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		a := randomAnswer(r)
		want := encode(t, mirror(a))
		if got := string(a.AppendJSON([]byte("before"))); got != "before"+want {
			t.Fatalf("AppendJSON\n%q, want\n%q", got, want)
		}
		if got := encode(t, a); got != want {
			t.Fatalf("as a Marshaler\n%q, want\n%q", got, want)
		}
		for i := range a.Listings {
			if got, want := encode(t, Event{"listed", a.Listings[i].FirstSeen, a.Listings[i]}), encode(t, plainEvent{"listed", a.Listings[i].FirstSeen, mirror(a).Listings[i]}); got != want {
				t.Fatalf("event\n%q, want\n%q", got, want)
			}
			if got, want := string(a.Listings[i].AppendJSON(nil)), encode(t, mirror(a).Listings[i]); got != want {
				t.Fatalf("listing\n%q, want\n%q", got, want)
			}
		}
	}
}

func TestAnswerJSONByHand(t *testing.T) {
	from := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	l := Listing{Feed: "urlhaus", Provider: "abuse.ch", Relation: RelExact, Kind: URL, Canonical: "http://bad.example/x",
		Original: "hxxp://bad[.]example/x", Listed: true, Intervals: []Interval{{From: from}}, FirstSeen: from, LastSeen: from,
		Confidence: 90, TLP: "clear", Tags: []string{"elf"}, Context: Fields{{"port", []string{"80"}}, {"urls", []string{"a", "b"}}}}
	a := Answer{Value: "x", Kind: URL, Canonical: "http://bad.example/x", Found: true, Verdict: Malicious, Score: 83,
		Reasons: []Reason{{"says so", 83}}, Listings: []Listing{l}}
	const want = `{"value":"x","kind":"url","canonical":"http://bad.example/x","found":true,"verdict":"malicious","score":83,` +
		`"reasons":[{"text":"says so","points":83}],"listings":[{"feed":"urlhaus","provider":"abuse.ch","relation":"exact",` +
		`"kind":"url","canonical":"http://bad.example/x","original":"hxxp://bad[.]example/x","listed":true,` +
		`"intervals":[{"from":"2026-11-20T08:00:00Z","to":null}],"first_seen":"2026-11-20T08:00:00Z",` +
		`"last_seen":"2026-11-20T08:00:00Z","confidence":90,"tlp":"clear","tags":["elf"],` +
		`"context":{"port":"80","urls":["a","b"]}}],"enrichment":{},"as_of":null}`
	if got := string(a.AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var back Answer
	if err := json.Unmarshal([]byte(want), &back); err != nil || !reflect.DeepEqual(back, a) {
		t.Errorf("read back %+v, %v", back, err)
	}
}

func TestAnswerJSONOfNothing(t *testing.T) {
	a := Answer{Listings: []Listing{{}}}
	got := string(a.AppendJSON(nil))
	for _, want := range []string{`"reasons":[]`, `"intervals":[]`, `"tags":[]`, `"context":{}`, `"as_of":null`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	if got := string((&Answer{}).AppendJSON(nil)); !strings.Contains(got, `"listings":[]`) {
		t.Errorf("%s lacks an empty array of listings", got)
	}
}

func TestAnswerJSONOfAnError(t *testing.T) {
	a := Answer{Value: "f<oo\"", Kind: URL, Found: true, Error: &AnswerError{CodeNotIndicator, "a single \u2028 word"}}
	const want = `{"value":"f<oo\"","error":{"code":"not_an_indicator","detail":"a single \u2028 word"}}`
	if got := encode(t, a); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var back Answer
	if err := json.Unmarshal([]byte(want), &back); err != nil || back.Value != a.Value || *back.Error != *a.Error {
		t.Errorf("read back %+v, %v", back, err)
	}
}

func TestFieldsJSON(t *testing.T) {
	for _, c := range []struct{ in, out, err string }{
		{`{}`, `{}`, ""},
		{`null`, `{}`, ""},
		{`{"b":"x","a":["2","1","2",""]}`, `{"a":["1","2"],"b":"x"}`, ""},
		{`{"a":["x"],"b":""}`, `{"a":"x"}`, ""},
		{`{"a":1}`, "", "neither a string nor an array"},
		{`{"a":["x",1]}`, "", "neither a string nor an array"},
		{`[]`, "", "fields"},
	} {
		var f Fields
		err := json.Unmarshal([]byte(c.in), &f)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", c.in, err, c.err)
			}
		} else if got := encode(t, f); err != nil || got != c.out {
			t.Errorf("%s: %s, %v, want %s", c.in, got, err, c.out)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range nasty {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := string(appendString(nil, s)), encode(t, s); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func FuzzJSONRoundTrip(f *testing.F) {
	f.Add("value", "name", "one", "two", 7, int64(1_700_000_000), false)
	f.Add("\xff", "\u2028", "<", "\\", -1, int64(-1), true)
	f.Fuzz(func(t *testing.T, value, name, one, two string, n int, sec int64, failed bool) {
		at := time.Unix(sec%200_000_000_000, 0).UTC()
		if at.Year() < 0 || at.Year() > 9999 {
			return
		}
		var fields Fields
		fields.Add(name, one)
		fields.Add(name, two)
		a := Answer{Value: value, Kind: IPv4, Score: n, Reasons: []Reason{{one, n}}, AsOf: &at,
			Listings: []Listing{{Feed: name, Kind: URL, Intervals: []Interval{{From: at, To: &at}}, FirstSeen: at, LastSeen: at,
				Tags: []string{one}, Malware: two, Context: fields}}}
		if failed {
			a = Answer{Value: value, Error: &AnswerError{one, two}}
		}
		first := a.AppendJSON(nil)
		var back Answer
		if err := json.Unmarshal(first, &back); err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		if again := back.AppendJSON(nil); !bytes.Equal(first, again) && !bytes.Contains(first, []byte(`\ufffd`)) {
			t.Errorf("wrote %s, read back and wrote %s", first, again)
		}
	})
}
