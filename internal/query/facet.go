package query

import (
	"fmt"
	"strings"

	"github.com/elasticintel/elasticintel/internal/near"
)

// FacetFields returns the fields whose values can be counted, but context.NAME,
// for help and completion.
func FacetFields() []Field {
	var out []Field
	for _, f := range Fields() {
		if CanFacet(f) {
			out = append(out, f)
		}
	}
	return out
}

// ParseFacet reads the name of a field whose values can be counted, in any case.
func ParseFacet(name string) (Field, error) {
	if f, ok := lookupField(name); ok && CanFacet(f.field) {
		return f.field, nil
	}
	var names []string
	for _, f := range FacetFields() {
		names = append(names, string(f))
	}
	hint := ""
	if best := meant[strings.ToLower(name)]; best != "" && CanFacet(Field(best)) {
		hint = "; did you mean " + best + "?"
	} else if best := near.Name(strings.ToLower(name), names); best != "" && len(name) <= 32 {
		hint = "; did you mean " + best + "?"
	}
	return "", fmt.Errorf("%s is no field whose values can be counted, expected one of %s, or context.NAME%s", quote(name), strings.Join(names, ", "), hint)
}
