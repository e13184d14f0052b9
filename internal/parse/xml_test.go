package parse

import (
	"context"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/intel"
)

func xmlSpec(records, source string) Spec {
	return Spec{Type: "xml", Kinds: intel.Domain.Set(), Records: records, Columns: []Column{{Source: source, Field: Indicator}}}
}

// TestXMLRecordLimit checks that a record that is too long costs nothing but itself.
func TestXMLRecordLimit(t *testing.T) {
	text := "<x>" + strings.Repeat("a", 1<<20) + "</x>"
	in := "<l><i><n>a.example</n></i>\n<i><n>b.example</n>" + strings.Repeat(text, maxRecord>>20) + "</i>\n<i><n>c.example</n></i></l>"
	res, err := Collect(context.Background(), strings.NewReader(in), xmlSpec("l/i", "n"), Options{})
	if err != nil || res.Accepted != 2 || res.Rejected != 1 || res.Rejects[0].Line != 2 || res.Rejects[0].Reason != longRecord {
		t.Errorf("%+v %+v %v", res.Counts, res.Rejects, err)
	}
}

// TestXMLLimits checks that what no record can be ends the reading.
func TestXMLLimits(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"text":  {"<l><i>" + strings.Repeat("a", maxToken+4096) + "</i></l>", "line 1: text or a tag of more than 1 MiB"},
		"tag":   {"<l>\n<i " + strings.Repeat("a='' ", maxToken/5+1000) + "/></l>", "line 2: text or a tag of more than 1 MiB"},
		"depth": {strings.Repeat("<a>\n", maxDepth+1), "line 201: more than 200 elements inside each other"},
	} {
		_, err := Collect(context.Background(), strings.NewReader(c.in), xmlSpec("", "n"), Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
