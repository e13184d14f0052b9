package dashboards

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/opensearch"
	"github.com/elasticintel/elasticintel/internal/testing/savedobjects"
)

var update = flag.Bool("update", false, "write deploy/opensearch/dashboards.ndjson")

const file = "../../../deploy/opensearch/dashboards.ndjson"

// TestFile: the file in deploy is what the table says.
func TestFile(t *testing.T) {
	var want bytes.Buffer
	if err := Write(&want, opensearch.Alias); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the tables say (%v): go test ./internal/opensearch/dashboards -run TestFile -update", file, err)
	}
}

// TestAlias: an index of another name is asked everywhere.
func TestAlias(t *testing.T) {
	var a, b bytes.Buffer
	if err := Write(&a, "other-listings"); err != nil {
		t.Fatal(err)
	}
	if err := Write(&b, opensearch.Alias); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(a.String(), "other-listings"); n != 2 || strings.ReplaceAll(a.String(), "other-listings", opensearch.Alias) != b.String() {
		t.Errorf("the name stands there %d times, or something else is another, too", n)
	}
}

// TestShapes holds every object against what its type needs, and every reference
// against the file.
func TestShapes(t *testing.T) {
	needs := map[string][]string{
		"index-pattern": {"title", "fields"},
		"visualization": {"title", "visState", "uiStateJSON", "description", "version", "kibanaSavedObjectMeta"},
		"search":        {"title", "description", "hits", "columns", "sort", "version", "kibanaSavedObjectMeta"},
		"dashboard": {"title", "description", "hits", "panelsJSON", "optionsJSON", "version", "timeRestore", "timeTo", "timeFrom", "refreshInterval",
			"kibanaSavedObjectMeta"},
	}
	all := savedobjects.Read(t, file)
	there, used := map[string]bool{}, map[string]bool{}
	for _, l := range all {
		if there[l.Type+" "+l.ID] {
			t.Errorf("%s %s is there twice", l.Type, l.ID)
		}
		there[l.Type+" "+l.ID] = true
	}
	titles := map[string]bool{}
	for _, l := range all {
		where := l.Type + " " + l.ID
		title, _ := l.Attributes["title"].(string)
		if needs[l.Type] == nil || l.ID == "" || title == "" || l.Type != "index-pattern" && titles[l.Type+title] {
			t.Errorf("%s: the type is not known, or has no id or no title of its own (%q)", where, title)
		}
		titles[l.Type+title] = true
		for _, a := range needs[l.Type] {
			if _, ok := l.Attributes[a]; !ok {
				t.Errorf("%s has no %s", where, a)
			}
		}
		for a := range l.Attributes { // the mapping of saved objects is strict, but for index patterns
			if !slices.Contains(needs[l.Type], a) && !(l.Type == "index-pattern" && a == "timeFieldName") {
				t.Errorf("%s has %s, which the type does not know", where, a)
			}
		}
		if v := l.Migration[l.Type]; len(l.Migration) != 1 || v != migrations[l.Type] {
			t.Errorf("%s: migrationVersion %v", where, l.Migration)
		}
		names := refNames(l)
		for _, r := range l.References {
			if !there[r.Type+" "+r.ID] {
				t.Errorf("%s: %s names %s %s, which is not in the file", where, r.Name, r.Type, r.ID)
			}
			used[r.Type+" "+r.ID] = true
			if !slices.Contains(names, r.Name) {
				t.Errorf("%s: nothing uses the reference %s", where, r.Name)
			}
		}
		for _, n := range names {
			if !slices.ContainsFunc(l.References, func(r savedobjects.Reference) bool { return r.Name == n }) {
				t.Errorf("%s: %s is no reference", where, n)
			}
		}
		checkPanels(t, where, l)
	}
	for _, l := range all {
		if l.Type != "dashboard" && !used[l.Type+" "+l.ID] {
			t.Errorf("%s %s is on no dashboard", l.Type, l.ID)
		}
	}
}

// refNames are the names of references that the attributes use.
func refNames(l savedobjects.Object) (out []string) {
	if l.Source.IndexRef != "" {
		out = append(out, l.Source.IndexRef)
	}
	for _, f := range l.Source.Filter {
		s, _ := f.Meta["indexRefName"].(string)
		out = append(out, s)
	}
	for _, c := range l.Controls() {
		s, _ := c["indexPatternRefName"].(string)
		out = append(out, s)
	}
	for _, p := range l.Panels {
		out = append(out, p.Ref)
	}
	return out
}

// checkPanels: panels lie on the grid, and none on another.
func checkPanels(t *testing.T, where string, l savedobjects.Object) {
	t.Helper()
	taken := map[[2]int]string{}
	for _, p := range l.Panels {
		g := p.Grid
		if g.I != p.Index || g.W <= 0 || g.H <= 0 || g.X < 0 || g.X+g.W > gridWidth || p.Version == "" || p.Embedded == nil {
			t.Errorf("%s: panel %+v", where, p)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if o, ok := taken[[2]int{x, y}]; ok {
					t.Fatalf("%s: panels %s and %s lie on each other", where, o, p.Index)
				}
				taken[[2]int{x, y}] = p.Index
			}
		}
	}
}

// aggregates is which types of fields an aggregation takes. Read-only.
var aggregates = map[string][]string{
	"terms": {"keyword", "ip", "integer", "long", "byte", "date"}, "cardinality": {"keyword", "ip", "integer", "long", "byte", "date"},
	"date_histogram": {"date"}, "max": {"date", "integer", "long", "byte"}, "min": {"date", "integer", "long", "byte"},
	"avg": {"integer", "long", "byte"}, "histogram": {"integer", "long", "byte"},
}

var luceneField = regexp.MustCompile(`([A-Za-z@][A-Za-z0-9_.@]*):`)

// TestFields: every field that is named exists, with a type that its use needs.
func TestFields(t *testing.T) {
	list, err := opensearch.MappedFields()
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]opensearch.MappedField{}
	for _, f := range list {
		fields[f.Name] = f
	}
	need := func(where, name string, ok func(opensearch.MappedField) bool) {
		t.Helper()
		if f, there := fields[name]; !there || !ok(f) {
			t.Errorf("%s: field %q: %+v does not serve", where, name, f)
		}
	}
	any := func(opensearch.MappedField) bool { return true }
	for _, l := range savedobjects.Read(t, file) {
		where := l.Type + " " + l.ID
		if name, ok := l.Attributes["timeFieldName"].(string); ok {
			need(where, name, func(f opensearch.MappedField) bool { return f.Type == "date" })
		}
		for _, f := range l.Source.Filter {
			for _, name := range queried(f.Query) {
				need(where, name, any)
			}
		}
		for _, c := range l.Controls() {
			name, _ := c["fieldName"].(string)
			need(where, name, func(f opensearch.MappedField) bool { return f.Aggregatable && f.Type == "keyword" })
		}
		for _, name := range l.Columns { // Dashboards makes them of the _source
			need(where, name, func(f opensearch.MappedField) bool { return f.Shown })
		}
		for _, s := range l.Sort {
			need(where, s[0], func(f opensearch.MappedField) bool { return f.Aggregatable })
		}
		if l.Vis == nil {
			continue
		}
		for _, a := range l.Vis.Aggs {
			switch a.Type {
			case "count":
			case "filters":
				for _, f := range a.Named(t) {
					for _, m := range luceneField.FindAllStringSubmatch(f.Input.Query, -1) {
						need(where, m[1], any)
					}
				}
			default:
				name, _ := a.Params["field"].(string)
				need(where+" "+a.Type, name, func(f opensearch.MappedField) bool {
					return f.Aggregatable && slices.Contains(aggregates[a.Type], f.Type)
				})
			}
		}
	}
}

// queried are the fields that a query names.
func queried(q map[string]any) (out []string) {
	for kind, v := range q {
		body, _ := v.(map[string]any)
		if kind != "bool" {
			for name := range body {
				out = append(out, name)
			}
			continue
		}
		should, _ := body["should"].([]any)
		for _, s := range should {
			out = append(out, queried(s.(map[string]any))...)
		}
	}
	return out
}

// TestPlace: panels fill the grid from above, and what is too wide has no place.
func TestPlace(t *testing.T) {
	if x, y, ok := place([]int{4, 4, 2, 2, 9}, 2); x != 2 || y != 2 || !ok {
		t.Error(x, y, ok)
	}
	if _, _, ok := place(make([]int, 3), 4); ok {
		t.Error("4 columns in 3")
	}
	if _, err := (board{panels: []panel{{id: "x", width: 49, height: 1}}}).object(); err == nil {
		t.Error("no error")
	}
}
