package parse

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/intel"
)

func TestFind(t *testing.T) {
	for _, c := range []struct{ doc, path, want string }{
		{`{"next": "abc"}`, "next", "abc"},
		{`{"next": null}`, "next", ""},
		{`{"next": {"a": 1}}`, "next", ""},
		{`{}`, "next", ""},
		{`{"links": {"next": "/p?x=1\u0026y=2"}}`, "links.next", "/p?x=1&y=2"},
		{`{"links": null}`, "links.next", ""},
		{`{"links": "x"}`, "links.next", ""},
		{`{"data": [{"id": 1}, {"id": 7}, {"x": 0}]}`, "data[].id", "7"},
		{`{"more": true}`, "$.more", "true"},
		{`{"n": 0}`, "n", "0"},
	} {
		got, err := Find(t.Context(), strings.NewReader(c.doc), c.path)
		if err != nil || got != c.want {
			t.Errorf("%s in %s: %q, %v, want %q", c.path, c.doc, got, err, c.want)
		}
	}
	for _, doc := range []string{"<html>", `{"next": "a"`, `{"next"`} {
		if got, err := Find(t.Context(), strings.NewReader(doc), "next"); err == nil {
			t.Errorf("%s: no error but %q", doc, got)
		}
	}
}

func TestWalk(t *testing.T) {
	var got []string
	err := Walk(t.Context(), strings.NewReader(`{"u1": {"timestamp": "5", "Orgc": {"name": "A"}}, "u2": {"timestamp": 6}}`), "*", func(r Record) error {
		got = append(got, r.Get("*")+" "+r.Get("timestamp")+" "+r.Get("Orgc.name"))
		return nil
	})
	if want := []string{"u1 5 A", "u2 6 "}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	stop := errors.New("enough")
	if err := Walk(t.Context(), strings.NewReader(`["a", "b"]`), "[]", func(r Record) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	got = nil
	if err := Lines(t.Context(), strings.NewReader("# list\na\n\n b \r\n"), func(s string) error { got = append(got, s); return nil }); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// partsOf gives parts with these bodies.
func partsOf(list ...Part) func() (*Part, error) {
	return func() (*Part, error) {
		if len(list) == 0 {
			return nil, io.EOF
		}
		p := list[0]
		list = list[1:]
		return &p, nil
	}
}

func TestCollectParts(t *testing.T) {
	spec := Spec{Type: "txt", Kinds: intel.Domain.Set()}
	res, bad, err := CollectParts(t.Context(), partsOf(
		Part{Name: "0001-a", Body: strings.NewReader("a.example\nb.example\n"), Reference: "https://paste.example/1"},
		Part{Name: "0002-b", Body: strings.NewReader("b.example\nno domain\nc.example\n"), Reference: "https://paste.example/2"},
		Part{Name: "0003-c", Bad: "a web page"},
		Part{Name: "0004-d", Body: strings.NewReader("d.example\n")},
	), spec, Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, res)
	if res.Read != 7 || res.Accepted != 4 || res.Duplicate != 1 || res.Rejected != 2 || !slices.Equal(bad, []string{"0003-c: a web page"}) {
		t.Errorf("%+v, bad %q", res.Counts, bad)
	}
	if r := res.Rejects[0]; r.Line != 2 || !strings.HasPrefix(r.Reason, "0002-b: ") {
		t.Errorf("%+v", r)
	}
	want := map[string]string{"a.example": "https://paste.example/1", "b.example": "https://paste.example/1 https://paste.example/2", "c.example": "https://paste.example/2", "d.example": ""}
	for _, e := range res.Entries {
		if got := strings.Join(e.Fields.Get(intel.FieldReference), " "); got != want[e.Indicator.Value] {
			t.Errorf("%s: reference %q", e.Indicator.Value, got)
		}
	}
}

// A part that breaks off costs itself; where the parts end in an error the whole does.
func TestCollectBadParts(t *testing.T) {
	spec := Spec{Type: "json", Kinds: intel.Domain.Set(), Records: "data[]", Columns: []Column{{Source: "d", Field: Indicator}}}
	doc := func(s string) Part { return Part{Name: "p-" + s[:3], Body: strings.NewReader(s)} }
	res, bad, err := CollectParts(t.Context(), partsOf(doc(`{"data": [{"d": "a.example"}, {"d": "b.ex`), doc(`{"data": [{"d": "c.example"}]}`), doc(`[1]`)), spec, Options{})
	if err != nil || len(bad) != 2 || res.Accepted != 2 || res.Rejected != 2 {
		t.Errorf("%+v, bad %q, %v", res.Counts, bad, err)
	}
	checkSum(t, res)
	broken := Part{Name: "p2", Body: io.MultiReader(strings.NewReader(`{"data": [`), failing{})}
	if _, bad, err = CollectParts(t.Context(), partsOf(doc(`{"data": []}`), broken), spec, Options{}); err != nil || len(bad) != 1 || !strings.Contains(bad[0], "the disk is gone") {
		t.Errorf("a part that cannot be read: %q, %v", bad, err)
	}
	gone := func() (*Part, error) { return nil, errBroken }
	if _, _, err := CollectParts(t.Context(), gone, spec, Options{}); !errors.Is(err, errBroken) {
		t.Errorf("next failed: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := CollectParts(ctx, partsOf(doc(`{"data": []}`)), spec, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

var errBroken = errors.New("the disk is gone")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errBroken }

// What a page refers to may stand on another one.
func TestSTIXLinksAcrossParts(t *testing.T) {
	spec := Spec{Type: "taxii", Kinds: intel.AnyKind}
	res, _, err := CollectParts(t.Context(), partsOf(
		Part{Name: "1", Body: strings.NewReader(`{"more": true, "objects": [{"type": "malware", "id": "malware--1", "name": "Emotet"}]}`)},
		Part{Name: "2", Body: strings.NewReader(`{"objects": [{"type": "indicator", "id": "indicator--1", "pattern": "[domain-name:value = 'a.example']", "pattern_type": "stix"}]}`)},
		Part{Name: "3", Body: strings.NewReader(`{"objects": [{"type": "relationship", "source_ref": "indicator--1", "target_ref": "malware--1"}]}`)},
		Part{Name: "4", Body: strings.NewReader(`{}`)},
	), spec, Options{})
	if err != nil || res.Accepted != 1 || len(res.Entries[0].Fields.Get(intel.FieldMalware)) != 1 {
		t.Errorf("%+v %v, %v", res.Counts, res.Entries, err)
	}
}
