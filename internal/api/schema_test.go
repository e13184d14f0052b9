package api

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/query"
)

// The schemas say of every JSON field of our structs that it exists, whether it
// is always there, and what type it has; and they say no more.
func TestDocument_schemasEqualTheStructs(t *testing.T) {
	for name, v := range map[string]any{
		"Answer": intel.Answer{}, "Listing": intel.Listing{}, "Interval": intel.Interval{}, "Reason": intel.Reason{}, "AnswerError": intel.AnswerError{},
		"Summary": lookup.Summary{}, "FeedView": feed.View{}, "FeedState": feed.ViewState{}, "Run": intel.Run{}, "Reject": intel.Reject{},
		"Stats": intel.Stats{}, "Memory": intel.Memory{}, "Problem": Problem{}, "Hits": Hits{},
		"SearchPage": lookup.SearchPage{}, "Found": lookup.Found{}, "Result": lookup.Result{}, "Facet": lookup.Facet{}, "FacetValue": query.FacetValue{},
		"Related": intel.Related{}, "RelatedGroup": intel.RelatedGroup{}, "RelatedItem": intel.RelatedItem{}, "Moment": intel.Moment{}, "Event": intel.Event{},
		"Enrichment": intel.Enrichment{}, "NetworkFacts": intel.NetworkFacts{}, "DomainFacts": intel.DomainFacts{}, "AddressFacts": intel.AddressFacts{},
		"Report": feed.Report{}, "ReportEarly": feed.ReportEarly{}, "ReportPair": feed.ReportPair{}, "ReportRead": feed.ReportRead{}, "ReportRuns": feed.ReportRuns{},
	} {
		s, _, ok := openDoc().at("components", "schemas", name)
		if !ok {
			t.Errorf("no schema %s", name)
			continue
		}
		want := map[string]string{}
		fieldsOf(reflect.TypeOf(v), want)
		if d := cmp.Diff(want, fieldsIn(s.(map[string]any))); d != "" {
			t.Errorf("%s (-struct +schema)\n%s", name, d)
		}
	}
}

// fieldsOf describes the JSON fields of a struct: type, "null" where it can be
// null, "?" where it can be absent.
func fieldsOf(t reflect.Type, out map[string]string) {
	for f := range fields(t) {
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			fieldsOf(f.Type, out)
			continue
		}
		if name == "-" {
			continue
		}
		desc := typeName(f.Type)
		if strings.Contains(opts, "omit") { // absent instead of null
			desc = strings.TrimSuffix(desc, "|null") + "?"
		}
		out[name] = desc
	}
}

func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

func typeName(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Pointer:
		return typeName(t.Elem()) + "|null"
	case t.String() == "intel.Date":
		return "string|null"
	case t.Kind() == reflect.String, t.String() == "time.Time", t.String() == "intel.Kind":
		return "string"
	case t.String() == "intel.Fields", t.Kind() == reflect.Map, t.Kind() == reflect.Struct:
		return "object"
	case t.Kind() == reflect.Slice:
		return "array"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.Float64:
		return "number"
	}
	return "integer"
}

func fieldsIn(schema map[string]any) map[string]string {
	out := map[string]string{}
	required, _ := schema["required"].([]any)
	for name, p := range schema["properties"].(map[string]any) {
		m := p.(map[string]any)
		if ref, ok := m["$ref"].(string); ok {
			v, _, _ := openDoc().at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			m = v.(map[string]any)
		}
		desc := ""
		switch ty := m["type"].(type) {
		case string:
			desc = ty
		case []any:
			desc = fmt.Sprintf("%v|%v", ty[0], ty[1])
		}
		if !slices.Contains(required, any(name)) {
			desc += "?"
		}
		out[name] = desc
	}
	return out
}
