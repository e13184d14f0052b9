// Package savedobjects reads files of saved objects of OpenSearch Dashboards in
// tests, and takes apart the JSON that stands in them as text.
package savedobjects

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// Object is a line of a file.
type Object struct {
	Type       string            `json:"type"`
	ID         string            `json:"id"`
	Attributes map[string]any    `json:"attributes"`
	References []Reference       `json:"references"`
	Migration  map[string]string `json:"migrationVersion"`

	Vis     *Vis // of a visualisation
	Source  Source
	Panels  []Panel    // of a dashboard
	Columns []string   // of a saved search
	Sort    [][]string // field and direction
	Fields  []Field    // of an index pattern
}

// Reference names another object.
type Reference struct{ Name, Type, ID string }

// Vis is what a visualisation shows.
type Vis struct {
	Title, Type string
	Aggs        []Agg
	Params      map[string]any
}

// Agg is an aggregation as it is saved.
type Agg struct {
	ID, Type, Schema string
	Enabled          bool
	Params           map[string]any
}

// Source is what is asked.
type Source struct {
	Query    Query
	IndexRef string `json:"indexRefName"` // "" where nothing is
	Filter   []struct {
		Meta, Query map[string]any
	}
}

// Query is what stands in the bar of searches.
type Query struct{ Query, Language string }

// Panel is a part of a dashboard.
type Panel struct {
	Version  string         `json:"version"`
	Index    string         `json:"panelIndex"`
	Ref      string         `json:"panelRefName"`
	Grid     Grid           `json:"gridData"`
	Embedded map[string]any `json:"embeddableConfig"`
}

// Grid is the place of a panel, in columns and rows.
type Grid struct {
	X, Y, W, H int
	I          string
}

// Field is a field of an index pattern.
type Field struct {
	Name, Type               string
	EsTypes                  []string
	Searchable, Aggregatable bool
}

// Read reads a file as an import does: unknown keys of an object and whatever is
// no JSON end the test.
func Read(t testing.TB, file string) (out []Object) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n") {
		var o Object
		d := json.NewDecoder(strings.NewReader(s))
		d.DisallowUnknownFields()
		if err := d.Decode(&o); err != nil {
			t.Fatalf("%s:%d: %v", file, i+1, err)
		}
		inner(t, o.Attributes["visState"], &o.Vis)
		inner(t, o.Attributes["panelsJSON"], &o.Panels)
		inner(t, o.Attributes["fields"], &o.Fields)
		for _, name := range []string{"uiStateJSON", "optionsJSON"} {
			inner(t, o.Attributes[name], &map[string]any{})
		}
		if meta, ok := o.Attributes["kibanaSavedObjectMeta"].(map[string]any); ok {
			inner(t, meta["searchSourceJSON"], &o.Source)
		}
		Decode(t, o.Attributes["columns"], &o.Columns)
		Decode(t, o.Attributes["sort"], &o.Sort)
		out = append(out, o)
	}
	return out
}

// inner decodes JSON that is a text inside of JSON.
func inner(t testing.TB, v, to any) {
	t.Helper()
	if s, ok := v.(string); ok {
		if err := json.Unmarshal([]byte(s), to); err != nil {
			t.Fatalf("%.200s: %v", s, err)
		}
	}
}

// Decode gives a decoded value its type.
func Decode(t testing.TB, v, to any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Controls are the lists to pick from that a visualisation has.
func (o Object) Controls() (out []map[string]any) {
	if o.Vis == nil {
		return nil
	}
	list, _ := o.Vis.Params["controls"].([]any)
	for _, c := range list {
		m, _ := c.(map[string]any)
		out = append(out, m)
	}
	return out
}

// Named are the queries of an aggregation of filters, each with its label.
func (a Agg) Named(t testing.TB) (out []struct {
	Label string
	Input Query
}) {
	t.Helper()
	Decode(t, a.Params["filters"], &out)
	return out
}
