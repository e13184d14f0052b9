package parse

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// allFormats are the names of all formats, as messages list them.
const allFormats = "txt csv json ndjson xml html hosts dnsmasq unbound bind adblock ipset rpz rbldnsd dshield delegated ip2asn rules stix taxii misp misp-warninglist rss openioc otx text"

func TestFormats(t *testing.T) {
	if want := strings.Fields(allFormats); !slices.Equal(Formats(), want) {
		t.Errorf("Formats() = %v, want %v", Formats(), want)
	}
}

// TestCheck checks that each mistake is found and names its key.
func TestCheck(t *testing.T) {
	value := []Column{{Source: "v", Field: Indicator}}
	domain := intel.Domain.Set()
	for _, c := range []struct {
		spec Spec
		want string // "" = good
	}{
		{Spec{Type: "txt", Kinds: domain}, ""},
		{Spec{Type: "hosts"}, ""},
		{Spec{Type: "stix"}, ""},
		{Spec{Type: "stix", Kinds: domain, Filter: []FilterRule{{Column: "tags", Values: []string{"x"}}}}, ""},
		{Spec{Type: "rules", Filter: []FilterRule{{Column: "threat_type", Values: []string{"x"}}}}, ""},
		{Spec{Type: "txt", Kinds: domain, Separator: "\t", Columns: value}, ""},
		{Spec{Type: "json", Kinds: domain, Records: "a.b[]", Columns: value}, ""},
		{Spec{Type: "csv", Kinds: domain, Columns: []Column{{Field: Indicator, Kinds: domain}, {Field: Indicator, Kinds: domain}}}, ""},
		{Spec{Type: "csv", Kinds: domain, HasHeaders: true, Columns: value, Filter: []FilterRule{{Column: "later", Values: []string{"x"}}}}, ""},
		{Spec{Type: "csv", Kinds: domain, Columns: value, Filter: []FilterRule{{Column: "col9", Values: []string{"x"}}}}, ""},
		{Spec{}, `feed_type: "" is not known`},
		{Spec{Type: "yaml", Kinds: domain}, `feed_type: "yaml" is not known (known: ` + allFormats + `)`},
		{Spec{Type: "txt"}, "indicator_type: missing"},
		{Spec{Type: "csv", Kinds: domain}, "field_mapping.destination: no column"},
		{Spec{Type: "json", Kinds: domain}, "field_mapping.destination: no column"},
		{Spec{Type: "csv", Kinds: domain, Columns: []Column{{Field: "x"}}}, "field_mapping.destination: no column"},
		{Spec{Type: "txt", Kinds: domain, Columns: []Column{{Field: "x"}}}, "field_mapping.destination: no column"},
		{Spec{Type: "csv", Kinds: domain, Columns: []Column{{Source: "a", Field: Indicator}, {Source: "b", Field: Indicator}}}, `field_mapping.destination: 2 columns are "indicator" (source[0] "a", source[1] "b")`},
		{Spec{Type: "stix", Columns: value}, "field_mapping: stix has a fixed layout"},
		{Spec{Type: "hosts", Columns: value}, "field_mapping: hosts has a fixed layout"},
		{Spec{Type: "csv", Kinds: domain, Columns: make([]Column, maxColumns+1)}, "field_mapping.source: 1001 columns"},
		{Spec{Type: "csv", Kinds: domain, Columns: []Column{{Field: Indicator, Type: "date"}}}, `field_mapping.types: source[0] "": type "date"`},
		{Spec{Type: "csv", Kinds: domain, Columns: value, Separator: "\n"}, "field_mapping.separator"},
		{Spec{Type: "csv", Kinds: domain, Columns: value, Separator: `""`}, "field_mapping.separator"},
		{Spec{Type: "txt", Kinds: domain, Comments: &[]string{"#", ""}}, "comments: an empty prefix"},
		{Spec{Type: "txt", Kinds: domain, Inline: &[]string{""}}, "inline_comments: an empty prefix"},
		{Spec{Type: "json", Kinds: domain, Columns: value, Exclude: "!"}, "exclude: json"},
		{Spec{Type: "csv", Kinds: domain, Columns: value, Records: "data[]"}, "records: csv"},
		{Spec{Type: "xml", Kinds: domain, Records: "//a/b", Columns: []Column{{Source: "c/@d", Field: Indicator}}}, ""},
		{Spec{Type: "xml", Kinds: domain, Columns: value, Records: "a//b"}, `records: "a//b": a name is missing`},
		{Spec{Type: "xml", Kinds: domain, Columns: value, Records: "a/@b"}, `records: "a/@b": an attribute is no record`},
		{Spec{Type: "xml", Kinds: domain, Columns: value, Records: "a[1]/b"}, `records: "a[1]/b": "a[1]" is no name`},
		{Spec{Type: "xml", Kinds: domain, Columns: []Column{{Source: "@a/b", Field: Indicator}}}, `field_mapping.source[0]: "@a/b": nothing can stand behind an attribute`},
		{Spec{Type: "xml", Kinds: domain, Columns: []Column{{Source: "*/b", Field: Indicator}}}, `field_mapping.source[0]: "*/b": * can stand alone only`},
		{Spec{Type: "html", Kinds: domain, Records: "#list", Columns: []Column{{Source: "IP Address/@href", Field: Indicator}}}, ""},
		{Spec{Type: "html", Kinds: domain, Columns: value, Records: "0"}, `records: "0" chooses no table`},
		{Spec{Type: "html", Kinds: domain, Columns: value, Records: "#"}, `records: "#" chooses no table`},
		{Spec{Type: "html", Kinds: domain, Columns: []Column{{Source: "/@href", Field: Indicator}}}, `field_mapping.source[0]: "/@href": the header`},
		{Spec{Type: "xml", Kinds: domain}, "field_mapping.destination: no column"},
		{Spec{Type: "json", Kinds: domain, Columns: value, Records: "data[0]"}, `records: "data[0]"`},
		{Spec{Type: "json", Kinds: domain, Columns: value, Records: "a..b"}, `records: "a..b"`},
		{Spec{Type: "json", Kinds: domain, Columns: value, Records: "a["}, `records: "a["`},
		{Spec{Type: "json", Kinds: domain, Columns: value, Records: "[]a"}, `records: "[]a"`},
		{Spec{Type: "json", Kinds: domain, Columns: []Column{{Source: "a.*.b", Field: Indicator}}}, `field_mapping.source[0]: "a.*.b"`},
		{Spec{Type: "json", Kinds: domain, Columns: []Column{{Field: Indicator}}}, "field_mapping.source[0]: the path of the indicator is missing"},
		{Spec{Type: "csv", Kinds: domain, Columns: value, Filter: []FilterRule{{Column: "later", Values: []string{"x"}}}}, `filter[0].column: no column is called "later"`},
		{Spec{Type: "csv", Kinds: domain, Columns: value, Filter: []FilterRule{{Column: "v"}}}, "filter[0]: needs"},
	} {
		err := c.spec.Check()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%+v: %v", c.spec, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v:\ngot  %v\nwant %s", c.spec, err, c.want)
		case c.want != "":
			// A wrong spec must not be read with, and says so in the same words.
			res, again := Collect(context.Background(), bytes.NewReader(nil), c.spec, Options{})
			if again == nil || again.Error() != err.Error() || res == nil {
				t.Errorf("Collect: %v, Check: %v", again, err)
			}
		}
	}
}

// TestCheckJoins checks that one call reports all mistakes.
func TestCheckJoins(t *testing.T) {
	err := Spec{Type: "json", Records: "a..b", Exclude: "!", Filter: []FilterRule{{}}}.Check()
	if err == nil {
		t.Fatal("no error")
	}
	for _, key := range []string{"indicator_type", "records", "exclude", "filter[0]", "field_mapping.destination"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not reported in %v", key, err)
		}
	}
}

func TestTypedName(t *testing.T) {
	for in, want := range map[string]string{
		"first_seen": intel.FieldFeedFirstSeen, "First_Seen": intel.FieldFeedFirstSeen, "last_online": intel.FieldFeedLastSeen,
		"confidence_level": intel.FieldConfidence, "TLP": intel.FieldTLP, "tags": intel.FieldTags, "feed_first_seen": intel.FieldFeedFirstSeen,
		"malware_family": intel.FieldMalware, "threat": intel.FieldThreatType, "description": intel.FieldDescription,
		"date": "date", "Reporter": "Reporter", "": "",
	} {
		if got := typedName(in); got != want {
			t.Errorf("typedName(%q) = %q, want %q", in, got, want)
		}
	}
}
