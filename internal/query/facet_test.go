package query

import (
	"strings"
	"testing"
)

func TestParseFacet(t *testing.T) {
	for name, want := range map[string]Field{"feed": FieldFeed, "TAG": FieldTag, "context.File-Name": Context("file name"), "last_seen": FieldLastSeen} {
		if got, err := ParseFacet(name); err != nil || got != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	for name, want := range map[string]string{
		"net": "expected one of value, kind, domain, port,", "": `"" is no field`, "context.": "is no field", "tags": "did you mean tag?", "mallware": "did you mean malware?",
		"ip": "or context.NAME", strings.Repeat("x", 100): "…",
	} {
		if _, err := ParseFacet(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
	for _, f := range FacetFields() {
		if got, err := ParseFacet(f.String()); err != nil || got != f {
			t.Errorf("%s: got %q, %v", f, got, err)
		}
	}
	if n := len(FacetFields()); n != len(Fields())-2 {
		t.Errorf("%d fields", n)
	}
}
