package feed

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	schemaFile = "../../docs/feed.schema.json"
	docsFile   = "../../docs/feeds.md"
)

// schemaNode is the part of a JSON Schema that the tests look at.
type schemaNode struct {
	Properties map[string]*schemaNode `json:"properties"`
	Defs       map[string]*schemaNode `json:"$defs"`
	Enum       []any                  `json:"enum"`
	If         *schemaNode            `json:"if"`
}

func readSchema(t *testing.T) (*schemaNode, *jsonschema.Schema) {
	t.Helper()
	raw, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var shape schemaNode
	if err := json.Unmarshal(raw, &shape); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("feed.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("feed.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return &shape, compiled
}

// TestSchemaNamesTheKeys compares the schema's keys with the structs' both ways.
func TestSchemaNamesTheKeys(t *testing.T) {
	shape, _ := readSchema(t)
	for name, pair := range map[string]struct {
		node *schemaNode
		typ  reflect.Type
	}{
		"file":        {shape, reflect.TypeFor[File]()},
		"definition":  {shape.Defs["definition"], reflect.TypeFor[Definition]()},
		"mapping":     {shape.Defs["mapping"], reflect.TypeFor[Mapping]()},
		"column_type": {shape.Defs["column_type"], reflect.TypeFor[ColumnType]()},
		"auth":        {shape.Defs["auth"], reflect.TypeFor[Auth]()},
		"guards":      {shape.Defs["guards"], reflect.TypeFor[Guards]()},
		"filter":      {shape.Defs["filter"], reflect.TypeFor[Filter]()},
		"pages":       {shape.Defs["pages"], reflect.TypeFor[Pages]()},
		"since":       {shape.Defs["since"], reflect.TypeFor[Since]()},
		"items":       {shape.Defs["items"], reflect.TypeFor[Items]()},
		"taxii":       {shape.Defs["taxii"], reflect.TypeFor[Taxii]()},
	} {
		got, want := slices.Sorted(maps.Keys(pair.node.Properties)), keyNames(keysOf(pair.typ))
		if !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %q, Go has %q", name, got, want)
		}
	}
}

// TestSchemaNamesTheValues compares the schema's lists of values with the decoder's.
func TestSchemaNamesTheValues(t *testing.T) {
	shape, _ := readSchema(t)
	def := shape.Defs["definition"].Properties
	for key, pair := range map[string]struct {
		node *schemaNode
		want []string
	}{
		"feed_type": {def["feed_type"], parse.Formats()},
		"presence":  {def["presence"], stringsOf(presences)},
		"life":      {def["life"], lives},
		"role":      {def["role"], roles},
		"method":    {def["method"], methods},
		"in":        {shape.Defs["auth"].Properties["in"], places},
		"type":      {shape.Defs["column_type"].Properties["type"], columnTypes[1:]},
		"kindless":  {shape.Defs["definition"].If.Properties["feed_type"], slices.DeleteFunc(parse.Formats(), parse.Fixed)}, // those that need an indicator_type
		"by":        {shape.Defs["pages"].Properties["by"], pagings},
		"pages in":  {shape.Defs["pages"].Properties["in"], paramPlaces},
		"since in":  {shape.Defs["since"].Properties["in"], paramPlaces},
		"format":    {shape.Defs["since"].Properties["format"], sinceFormats},
	} {
		var got []string
		for _, v := range pair.node.Enum {
			got = append(got, v.(string))
		}
		if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(pair.want))) {
			t.Errorf("%s: the schema has %q, the decoder %q", key, got, pair.want)
		}
	}
	kinds := shape.Defs["kind"].Enum
	for _, k := range kinds {
		if _, err := intel.ParseKindSet(k.(string)); err != nil {
			t.Errorf("the schema's kind %v: %v", k, err)
		}
	}
	for _, k := range intel.AnyKind.Kinds() {
		if !slices.Contains(kinds, any(k.String())) {
			t.Errorf("the schema lacks the kind %v", k)
		}
	}
}

// TestSchemaAndDecoderAgree feeds both the same definitions.
func TestSchemaAndDecoderAgree(t *testing.T) {
	_, schema := readSchema(t)
	for _, tt := range []struct {
		data string
		ok   bool
	}{
		{original, true},
		{good(""), true},
		{good(`"ttl": "30d", "guards": {"max_shrink": 1}, "confidence": 0, "tlp": "TLP:AMBER+STRICT", `), true},
		{good(`"auth": {"secret": "K", "in": "header", "name": "X"}, `), true},
		{good(`"ttl": {"ipv4": "7d", "url": "30d", "hash": "365d", "default": "90d"}, "keep_history": "0", `), true},
		{good(`"ttl": {"ip": "7d", "ipaddress": "0", "proxy": "1d12h"}, "keep_history": "730d", `), true},
		{good(`"id": "report", `), false},
		{good(`"ttl": {}, `), false},
		{good(`"ttl": {"auto": "7d"}, `), false},
		{good(`"ttl": {"proxy": "7d", "ip-port": "7d"}, `), false},
		{good(`"ttl": {"url": 7}, `), false},
		{good(`"ttl": 7, `), false},
		{good(`"keep_history": "long", `), false},
		{good(`"kind": "url", `), false},
		{good(`"enabeld": true, `), false},
		{good(`"tags": "a", `), false},
		{good(`"confidence": 101, `), false},
		{good(`"confidence": 1.5, `), false},
		{good(`"interval": "soon", `), false},
		{good(`"guards": {"max_shrink": 0}, `), false},
		{good(`"guards": {"max_grow": 2}, `), false},
		{good(`"check_interval": [25], `), false},
		{good(`"field_mapping": {"has_headers": "yes"}, `), false},
		{good(`"field_mapping": {"source": [1]}, `), false},
		{good(`"presence": "never", `), false},
		{good(`"life": "ended", "evidence": "a notice", "checked": "2026-05-02", "replaced_by": "b", `), true},
		{good(`"expect": 5, "expect_min": 1, "expect_max": 9, `), true},
		{good(`"life": "dead", `), false},
		{good(`"checked": "yesterday", `), false},
		{good(`"expect": -1, `), false},
		{good(`"allow_networks": ["127.0.0.1"], `), false},
		{good(`"auth": {"secret": "K", "in": "cookie"}, `), false},
		{good(`"filter": [{"column": "a"}], `), false},
		{good(`"pages": {"by": "link"}, "pause": "1s", `), true},
		{good(`"pages": {"by": "book"}, `), false},
		{good(`"pages": {"by": "link", "max": 100000}, `), false},
		{good(`"since": {"param": "s", "format": "days"}, "presence": "append", `), true},
		{good(`"since": {"param": "s", "format": "weeks"}, "presence": "append", `), false},
		{good(`"items": {"records": "lines", "url": "{.}"}, `), true},
		{good(`"items": {"records": "lines", "url": "https://a.example/"}, `), false},
		{good(`"items": {"records": "lines"}, `), false},
		{`{"feeds": [{"feed_name": "A"}]}`, false},
		{`{"feeds": [{"feed_name": "A", "feed_type": "csv", "feed_url": "https://a.example/x"}]}`, false},
		{`{"feeds": [{"feed_name": "A", "feed_type": "stix", "feed_url": "https://a.example/x"}]}`, true},
		{`{"feeds": [{"feed_name": "A", "feed_type": "stix", "kind": "hash", "feed_url": "https://a.example/x"}]}`, true},
		{`{"feeds": [{"feed_name": "A", "feed_type": "stix", "kind": "hash", "indicator_type": "hash", "feed_url": "https://a.example/x"}]}`, false},
		{`{}`, false},
	} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(tt.data))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); (err == nil) != tt.ok {
			t.Errorf("schema on %s: %v", tt.data, err)
		}
		if _, err := Decode("x.json", []byte(tt.data)); (err == nil) != tt.ok {
			t.Errorf("decoder on %s: %v", tt.data, err)
		}
	}
}

// TestCatalogueFilesKeepTheSchema validates every file that comes with the program.
func TestCatalogueFilesKeepTheSchema(t *testing.T) {
	_, schema := readSchema(t)
	files, err := filepath.Glob("../../feeds.d/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err == nil {
			err = schema.Validate(doc)
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestDocs decodes every example of docs/feeds.md and looks for every key in its text.
func TestDocs(t *testing.T) {
	raw, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	_, schema := readSchema(t)
	text := string(raw)
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(blocks) < 5 {
		t.Errorf("%d examples", len(blocks))
	}
	var examples strings.Builder
	for _, b := range blocks {
		examples.WriteString(b[1])
		defs, err := Decode(docsFile, []byte(b[1]))
		if err != nil || len(defs) == 0 {
			t.Errorf("example does not decode: %v\n%s", err, b[1])
		}
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(b[1]))
		if err == nil {
			err = schema.Validate(doc)
		}
		if err != nil {
			t.Errorf("example breaks the schema: %v\n%s", err, b[1])
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[File](), reflect.TypeFor[Definition](), reflect.TypeFor[Mapping](),
		reflect.TypeFor[ColumnType](), reflect.TypeFor[Auth](), reflect.TypeFor[Guards](), reflect.TypeFor[Filter](),
		reflect.TypeFor[Pages](), reflect.TypeFor[Since](), reflect.TypeFor[Items](), reflect.TypeFor[Taxii]()} {
		for _, key := range keyNames(keysOf(typ)) {
			if !strings.Contains(text, "`"+key+"`") {
				t.Errorf("docs/feeds.md does not explain `%s`", key)
			}
			if !strings.Contains(examples.String(), `"`+key+`":`) {
				t.Errorf("no example uses %q", key)
			}
		}
	}
}
