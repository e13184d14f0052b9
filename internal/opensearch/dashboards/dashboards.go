// Package dashboards writes the saved objects for OpenSearch Dashboards: index
// patterns, visualisations, saved searches and dashboards over the index of
// listings, as lines that Dashboards 2.19 and 3.x import. What is shown stands in
// the tables of panels.go and boards.go; the rest of the package knows the shapes
// that Dashboards saves (the migrations in its public source say which).
package dashboards

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/elasticintel/elasticintel/internal/opensearch"
)

// object is a line of the file.
type object struct {
	Type       string            `json:"type"`
	ID         string            `json:"id"`
	Attributes map[string]any    `json:"attributes"`
	References []reference       `json:"references"`
	Migration  map[string]string `json:"migrationVersion"`
}

// reference is how an object names another one: inside its attributes stands the
// name only.
type reference struct {
	Name string `json:"name"`
	Type string `json:"type"`
	ID   string `json:"id"`
}

// migrations are the newest versions of the shapes, which Dashboards has kept
// since it began; an object of an older one would be changed by the import.
// Read-only.
var migrations = map[string]string{"index-pattern": "7.6.0", "search": "7.9.3", "visualization": "7.10.0", "dashboard": "7.9.3"}

// The two index patterns. Both are of the same index; Dashboards has one time
// field for each, and what is listed now is asked without any.
const (
	newPattern = "elasticintel-new"     // the time picker picks when a listing was first seen
	allPattern = "elasticintel-anytime" // the time picker does nothing
)

// Write writes the saved objects for the index behind the alias, one JSON object a line.
func Write(w io.Writer, alias string) error {
	all, err := objects(alias)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, o := range all {
		if err := enc.Encode(o); err != nil {
			return err
		}
	}
	return nil
}

// objects are in the order in which they need each other.
func objects(alias string) ([]object, error) {
	fields, err := opensearch.MappedFields()
	if err != nil {
		return nil, err
	}
	var out []object
	add := func(o object, err error) error {
		if err != nil {
			return fmt.Errorf("%s %s: %w", o.Type, o.ID, err)
		}
		out = append(out, o)
		return nil
	}
	for _, p := range []struct{ id, time string }{{newPattern, firstSeen}, {allPattern, ""}} {
		if err := add(indexPattern(p.id, alias, p.time, fields)); err != nil {
			return nil, err
		}
	}
	for _, v := range visuals() {
		if err := add(v.object()); err != nil {
			return nil, err
		}
	}
	for _, s := range searches() {
		if err := add(s.object()); err != nil {
			return nil, err
		}
	}
	for _, b := range boards() {
		if err := add(b.object()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// newObject is one without references yet.
func newObject(kind, id string, attributes map[string]any) object {
	return object{Type: kind, ID: id, Attributes: attributes, References: []reference{}, Migration: map[string]string{kind: migrations[kind]}}
}

// indexPattern names an index, its fields and the one that the time picker picks by.
func indexPattern(id, alias, timeField string, fields []opensearch.MappedField) (object, error) {
	type field struct {
		Name         string   `json:"name"`
		Type         string   `json:"type"`
		Types        []string `json:"esTypes,omitempty"`
		Count        int      `json:"count"`
		Scripted     bool     `json:"scripted"`
		Searchable   bool     `json:"searchable"`
		Aggregatable bool     `json:"aggregatable"`
		DocValues    bool     `json:"readFromDocValues"`
	}
	known := []field{
		{Name: "_id", Type: "string", Types: []string{"_id"}, Searchable: true, Aggregatable: true},
		{Name: "_index", Type: "string", Types: []string{"_index"}, Searchable: true, Aggregatable: true},
		{Name: "_score", Type: "number"},
		{Name: "_source", Type: "_source", Types: []string{"_source"}},
	}
	for _, f := range fields {
		known = append(known, field{
			Name: f.Name, Type: typeName(f.Type), Types: []string{f.Type}, Searchable: true, Aggregatable: f.Aggregatable, DocValues: f.Aggregatable,
		})
	}
	a := map[string]any{"title": alias}
	if timeField != "" {
		a["timeFieldName"] = timeField
	}
	err := setJSON(a, "fields", known)
	return newObject("index-pattern", id, a), err
}

// typeName is the name that Dashboards has for a type of the mapping.
func typeName(mapped string) string {
	switch mapped {
	case "keyword", "text", "flat_object":
		return "string"
	case "byte", "short", "integer", "long", "float", "double":
		return "number"
	case "date", "ip":
		return mapped
	}
	return "unknown"
}

// setJSON sets an attribute that is JSON inside of JSON.
func setJSON(a map[string]any, name string, value any) error {
	b, err := json.Marshal(value)
	a[name] = string(b)
	return err
}

// refer makes the object ask the index pattern, with the filters.
func (o *object) refer(pattern string, filters []filter) error {
	const meta = "kibanaSavedObjectMeta"
	name := meta + ".searchSourceJSON.index"
	o.References = append(o.References, reference{name, "index-pattern", pattern})
	list := make([]any, 0, len(filters))
	for i, f := range filters {
		ref := fmt.Sprintf("%s.searchSourceJSON.filter[%d].meta.index", meta, i)
		o.References = append(o.References, reference{ref, "index-pattern", pattern})
		m, err := f.saved(ref)
		if err != nil {
			return err
		}
		list = append(list, m)
	}
	source := map[string]any{"query": map[string]any{"query": "", "language": "kuery"}, "filter": list, "indexRefName": name}
	if o.Type == "search" {
		source["highlightAll"], source["version"] = true, true
	}
	inner := map[string]any{}
	err := setJSON(inner, "searchSourceJSON", source)
	o.Attributes[meta] = inner
	return err
}

// filter is a condition in the filter bar.
type filter struct {
	label string
	not   bool
	query map[string]any
}

func (f filter) saved(ref string) (map[string]any, error) {
	meta := map[string]any{"alias": f.label, "disabled": false, "negate": f.not, "type": "custom", "key": "query", "indexRefName": ref}
	err := setJSON(meta, "value", f.query)
	return map[string]any{"$state": map[string]any{"store": "appState"}, "meta": meta, "query": f.query}, err
}
