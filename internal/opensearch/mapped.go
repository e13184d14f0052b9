package opensearch

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MappedField is a field of the documents, as whoever asks the index sees it.
type MappedField struct {
	Name         string // with dots between
	Type         string // of the field itself; of an alias, the type of what it stands for
	Path         string // what an alias stands for, else Name
	Aggregatable bool   // values can be counted, sorted by and compared; else they can only be searched
	Shown        bool   // in the _source, which is what tables of documents show
}

// MappedFields lists the fields of template.json in the order of their names.
func MappedFields() ([]MappedField, error) {
	var t map[string]any
	if err := json.Unmarshal(templateJSON, &t); err != nil {
		return nil, fmt.Errorf("template.json: %w", err)
	}
	properties, ok := dig(t, "template", "mappings", "properties")
	if !ok {
		return nil, fmt.Errorf("template.json has no template.mappings.properties")
	}
	found := map[string]MappedField{}
	mappedBelow("", properties, found)
	source, _ := dig(t, "template", "mappings", "_source")
	excluded, _ := source["excludes"].([]any)
	out := make([]MappedField, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		f := found[name]
		f.Shown = f.Path == f.Name && !slices.ContainsFunc(excluded, func(e any) bool {
			s, _ := e.(string)
			return name == s || strings.HasPrefix(name, s+".")
		})
		if f.Path != f.Name {
			to, ok := found[f.Path]
			if !ok {
				return nil, fmt.Errorf("template.json: %s stands for %s, which is no field", f.Name, f.Path)
			}
			f.Type, f.Aggregatable = to.Type, to.Aggregatable
		}
		out = append(out, f)
	}
	return out, nil
}

// mappedBelow collects the fields of properties, whose names begin with prefix.
func mappedBelow(prefix string, properties map[string]any, into map[string]MappedField) {
	for name, v := range properties {
		p, _ := v.(map[string]any)
		name = prefix + name
		if inner, ok := p["properties"].(map[string]any); ok {
			mappedBelow(name+".", inner, into)
			continue
		}
		f := MappedField{Name: name, Path: name}
		f.Type, _ = p["type"].(string)
		if path, ok := p["path"].(string); ok && f.Type == "alias" {
			f.Path = path
		}
		if f.Type == "object" { // not indexed
			continue
		}
		f.Aggregatable = p["doc_values"] != false && f.Type != "text" && f.Type != "flat_object"
		into[name] = f
	}
}
