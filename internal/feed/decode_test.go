package feed

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
)

// original is the 2018 format: a txt feed with an empty mapping, a csv feed with
// null entries and has_headers as text, hours with 24 in them.
const original = `{"feeds": [
  {"feed_name": "Blocklist.de all", "feed_type": "txt", "indicator_type": "ipaddress",
   "feed_url": "http://www.blocklist.example/lists/all.txt",
   "field_mapping": {"source": [], "destination": []}, "check_interval": [8]},
  {"feed_name": "Phish Tank", "feed_type": "csv", "indicator_type": "url",
   "feed_url": "http://data.phishtank.example/data/online-valid.csv",
   "field_mapping": {"separator": ",",
     "source":      ["phish_id", "url", null, "submission_time", "online"],
     "destination": ["phish_id", "url", null, "submission_timestamp", null],
     "has_headers": "true"},
   "check_interval": [24, 8, 16, 8]}
]}`

func TestDecodeOriginal(t *testing.T) {
	defs, err := Decode("original.json", []byte(original))
	if err != nil || len(defs) != 2 {
		t.Fatalf("got %d definitions, error %v", len(defs), err)
	}
	txt, csv := defs[0], defs[1]
	if txt.ID != "blocklist-de-all" || len(txt.Spec().Columns) != 0 || txt.Spec().Kinds != intel.Address {
		t.Errorf("txt feed: id %q, spec %+v", txt.ID, txt.Spec())
	}
	if !slices.Equal(csv.CheckInterval, []int{0, 8, 16}) || csv.Interval != 0 {
		t.Errorf("hours %v, interval %v", csv.CheckInterval, csv.Interval)
	}
	spec := csv.Spec()
	var fields []string
	for _, c := range spec.Columns {
		fields = append(fields, c.Source+">"+c.Field)
	}
	want := []string{"phish_id>phish_id", "url>indicator", ">", "submission_time>submission_timestamp", "online>"}
	if !slices.Equal(fields, want) || !spec.HasHeaders || spec.Separator != "," {
		t.Errorf("columns %q, want %q; headers %v", fields, want, spec.HasHeaders)
	}
	if !csv.OnByDefault() || csv.NeedsKey() || csv.Presence != intel.Snapshot || csv.Info().Confidence != DefaultConfidence {
		t.Errorf("defaults: %+v", csv)
	}
}

// good is a feed without a mistake; tests put extra keys in front.
func good(extra string) string {
	return `{"feeds": [{` + extra + `"feed_name": "A", "feed_type": "txt", "indicator_type": "ipaddress", "feed_url": "https://a.example/x"}]}`
}

func TestDecodeMistakes(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"unknown key", good(`"enabeld": true, `), `x.json:1: feed "A": key "enabeld": unknown key; did you mean "enabled"?`},
		{"unknown nested", good(`"auth": {"secret": "K", "inn": "bearer", "in": "bearer"}, `), `key "auth.inn": unknown key; did you mean "in"?`},
		{"short name", good(`"name": "x", `), `did you mean "feed_name"?`},
		{"case", good(`"Tags": [], `), `key "Tags": unknown key; did you mean "tags"?`},
		{"no likeness", good(`"zzzzzzzzzz": 1, `), `unknown key; known are allow_networks, archive_entry`},
		{"doubled key", good(`"tlp": "red", ` + "\n" + `"tlp": "green", `), `x.json:2: feed "A": key "tlp": stands twice; "tlp" is in line 1 already`},
		{"alias and key", good(`"kind": "url", `), `key "indicator_type": stands twice`},
		{"wrong type", good(`"tags": "a", `), `key "tags": want a list, not the string "a"`},
		{"wrong element", good(`"tags": ["a", 3], `), `key "tags[1]": want a string, not 3`},
		{"fraction", good(`"confidence": 1.5, `), `key "confidence": want a whole number, not 1.5`},
		{"flag", good(`"field_mapping": {"has_headers": "yes"}, `), `key "field_mapping.has_headers": want true or false, not the string "yes"`},
		{"enabled as text", good(`"enabled": "true", `), `key "enabled": want true or false`},
		{"duration", good(`"interval": "soon", `), `key "interval": "soon"`},
		{"too often", good(`"interval": "5s", `), `key "interval": must be between 1m and 366d`},
		{"hour", good(`"check_interval": [25], `), `key "check_interval": 25 is no hour of the day`},
		{"hour text", good(`"check_interval": ["8"], `), `key "check_interval[0]": want a whole number`},
		{"prefix", good(`"allow_networks": ["127.0.0.1"], `), `key "allow_networks[0]": "127.0.0.1"`},
		{"host bits", good(`"allow_networks": ["127.0.0.1/8"], `), `write 127.0.0.0/8`},
		{"ttl kind", good(`"ttl": {"ipv5": "7d"}, `), `x.json:1: feed "A": key "ttl.ipv5": unknown kind; did you mean "ipv4"?; "default" is for all others`},
		{"ttl auto", good(`"ttl": {"auto": "7d"}, `), `key "ttl.auto": unknown kind; `},
		{"ttl case", good(`"ttl": {"URL": "7d"}, `), `key "ttl.URL": unknown kind; did you mean "url"?`},
		{"ttl twice", good(`"ttl": {"url": "7d",` + "\n" + `"url": "8d"}, `), `x.json:2: feed "A": key "ttl.url": "url" in line 1 says it for the same kinds already`},
		{"ttl two names", good(`"ttl": {"proxy": "7d", "ip-port": "8d"}, `), `key "ttl.ip-port": "proxy" in line 1 says it for the same kinds already`},
		{"ttl of a kind", good(`"ttl": {"url": "-7h"}, `), `key "ttl.url": "-7h": duration "-7h": negative`},
		{"ttl number", good(`"ttl": {"url": 7}, `), `key "ttl.url": want a string, not 7`},
		{"ttl list", good(`"ttl": ["7d"], `), `key "ttl": want a duration such as "30d", or an object of durations by kind, not a list`},
		{"ttl empty", good(`"ttl": {}, `), `key "ttl": an empty object; write a duration`},
		{"reserved id", good(`"id": "report", `), `key "id": "report" is where the API has the report of all feeds`},
		{"keep history", good(`"keep_history": "for ever", `), `key "keep_history": "for ever": duration`},
		{"presence", good(`"presence": "snapshoot", `), `key "presence": "snapshoot" is not known; did you mean "snapshot"?`},
		{"tlp", good(`"tlp": "purple", `), `key "tlp": "purple" is not known`},
		{"reliability", good(`"reliability": "G", `), `key "reliability"`},
		{"confidence", good(`"confidence": 101, `), `101 is not between 0 and 100`},
		{"expect", good(`"expect_min": 5, "expect_max": 4, `), `key "expect_max": 4 is below expect_min, 5`},
		{"expect below", good(`"expect": 4, "expect_min": 5, `), `key "expect": 4 is below expect_min, 5`},
		{"expect above", good(`"expect": 6, "expect_max": 5, `), `key "expect": 6 is above expect_max, 5`},
		{"expect negative", good(`"expect": -1, `), `key "expect": must not be negative`},
		{"life", good(`"life": "alife", `), `key "life": "alife" is not known; did you mean "alive"?`},
		{"checked", good(`"checked": "22.8.2026", `), `key "checked": "22.8.2026" is no day; write it as 2026-08-22`},
		{"checked no day", good(`"checked": "2026-02-30", `), `key "checked": "2026-02-30" is no day`},
		{"replaced alive", good(`"life": "alive", "replaced_by": "b", `), `key "replaced_by": only a feed with "life": "ended" is replaced`},
		{"replaced by itself", good(`"life": "ended", "replaced_by": "a", `), `key "replaced_by": "a" is this feed itself`},
		{"ended and on", good(`"life": "ended", "enabled": true, `), `key "enabled": a feed with "life": "ended" cannot be on`},
		{"guard", good(`"guards": {"max_shrink": 0}, `), `key "guards.max_shrink"`},
		{"guard of replacing", good(`"guards": {"max_replace": 1.1}, `), `key "guards.max_replace": 1.1 is no share above 0 and up to 1`},
		{"guard of replacing a window", good(`"presence": "rolling", "guards": {"max_replace": 0.9}, `), `key "guards.max_replace": only a feed with "presence": "snapshot"`},
		{"body", good(`"body": "x", `), `key "body": needs "method": "POST"`},
		{"auth place", good(`"auth": {"secret": "K", "in": "cookie"}, `), `key "auth.in": "cookie" is not known`},
		{"auth path", good(`"auth": {"secret": "K", "in": "path"}, `), `path needs {secret} in feed_url`},
		{"auth query", good(`"auth": {"secret": "K", "in": "query"}, `), `key "auth.name": query needs`},
		{"auth header", good(`"auth": {"secret": "K", "in": "header"}, `), `key "auth.name": missing: the name of the header`},
		{"auth secret", good(`"auth": {"secret": "a b", "in": "bearer"}, `), `key "auth.secret": "a b"`},
		{"id", good(`"id": "Not An Id", `), `key "id": "Not An Id"`},
		{"types of no column", good(`"field_mapping": {"source": ["ip", "tags"], "destination": ["indicator", "tags"], "types": {"tag": {"type": "list"}}}, `),
			`key "field_mapping.types.tag": no column has the destination "tag"; did you mean "tags"?`},
		{"lengths", good(`"field_mapping": {"source": ["a", "b"], "destination": ["indicator"]}, `), `has 2 sources and 1 destinations`},
		{"no value column", good(`"field_mapping": {"source": ["a"], "destination": ["b"]}, `), `no column holds the indicator`},
		{"two value columns", good(`"field_mapping": {"source": ["a", "b"], "destination": ["domain", "url"]}, `), `2 columns may hold the indicator ("domain", "url")`},
		{"path", `{"feeds": [{"feed_name": "A", "feed_type": "json", "indicator_type": "url", "feed_url": "https://a.example/", "records": "a[1]", "field_mapping": {"source": ["url"]}}]}`,
			`key "records": "a[1]": only [] may stand in brackets`},
		{"rows have no paths", good(`"records": "a[]", `), `key "records": txt has rows`},
		{"paging", good(`"pages": {"by": "curser"}, `), `key "pages.by": "curser" is not known; did you mean "cursor"?`},
		{"paging without path", good(`"pages": {"by": "url"}, `), `key "pages.path": missing: the path of it in the answer, or header:NAME`},
		{"paging path", good(`"pages": {"by": "url", "path": "a[1]"}, `), `key "pages.path": "a[1]": only [] may stand in brackets`},
		{"paging header", good(`"pages": {"by": "url", "path": "header: "}, `), `key "pages.path": "header: " names no header`},
		{"paging param", good(`"pages": {"by": "page"}, `), `key "pages.param": missing: the name of the parameter`},
		{"link param", good(`"pages": {"by": "link", "param": "p"}, `), `key "pages.param": is not used with this`},
		{"link path", good(`"pages": {"by": "link", "path": "next"}, `), `key "pages.path": link pages need no path`},
		{"offset step", good(`"pages": {"by": "offset", "param": "o"}, `), `key "pages.step": missing: the records of a page`},
		{"paging first", good(`"pages": {"by": "page", "param": "p", "first": -1}, `), `key "pages.first": must not be negative`},
		{"too many pages", good(`"pages": {"by": "link", "max": 10001}, `), `key "pages.max": 10001 is not between 1 and 10000`},
		{"param in the body of a GET", good(`"pages": {"by": "page", "param": "p", "in": "body"}, `), `key "pages.in": body needs "method": "POST"`},
		{"param in a form", good(`"pages": {"by": "page", "param": "p", "in": "body"}, "method": "POST", "body": "a=b", `), `a body that is a JSON object, or none`},
		{"since of a snapshot", good(`"since": {"param": "s"}, `), `key "since": only what is new is asked for, so what an answer lacks must stay listed: say "presence": "append"`},
		{"since of a window", good(`"since": {"param": "s"}, "presence": "rolling", `), `or "rolling" with a "ttl"`},
		{"since param", good(`"since": {}, "presence": "append", `), `key "since.param": missing`},
		{"since format", good(`"since": {"param": "s", "format": "day"}, "presence": "append", `), `key "since.format": "day" is not known; did you mean`},
		{"items records", good(`"items": {"url": "{a}"}, `), `key "items.records": missing: the path of the items in the list, or "lines"`},
		{"items mark", good(`"items": {"records": "a[]", "url": "https://a.example/{b"}, `), `key "items.url": "https://a.example/{b": a { is not closed`},
		{"items without mark", good(`"items": {"records": "a[]", "url": "https://a.example/"}, `), `key "items.url": has no {path} that says what differs from item to item`},
		{"items reference", good(`"items": {"records": "a[]", "url": "{b}", "reference": "https://a.example/"}, `), `key "items.reference": has no {path}`},
		{"items host", good(`"items": {"records": "a[]", "url": "{b}", "hosts": ["https://b.example/"]}, `), `key "items.hosts": entry 1, "https://b.example/", is no host name`},
		{"items and pages", good(`"items": {"records": "a[]", "url": "{b}"}, "pages": {"by": "link"}, `), `key "pages": does not go together with items`},
		{"items and since", good(`"items": {"records": "a[]", "url": "{b}"}, "since": {"param": "s"}, "presence": "append", `), `key "since": does not go together with items`},
		{"taxii of a list", good(`"taxii": {}, `), `key "taxii": needs "feed_type": "taxii"`},
		{"taxii snapshot", `{"feeds": [{"feed_name": "A", "feed_type": "taxii", "indicator_type": "auto", "presence": "snapshot", "feed_url": "https://a.example/"}]}`, `only what is new is asked for`},
		{"pause", good(`"pause": "2h", `), `key "pause": must be between 0s and 1h`},
		{"secret in a body", good(`"method": "POST", "body": "{secret}", `), `key "auth": missing: the body has {secret}`},
		{"secret not in the body", good(`"method": "POST", "body": "x", "auth": {"secret": "K", "in": "body"}, `), `key "auth.in": body and a {secret} in the body of a POST go together`},
		{"secret in body and header", good(`"method": "POST", "body": "{secret}", "auth": {"secret": "K", "in": "header", "name": "X"}, `), `key "auth.in": body and a {secret} in the body`},
		{"filter", good(`"filter": [{"column": "a", "values": []}], `), `key "filter": each rule needs a column and values`},
		{"two indicators", good(`"field_mapping": {"source": ["a", "b"], "destination": ["indicator", "indicator"]}, `), `2 columns may hold`},
		{"missing", `{"feeds": [{"feed_name": "A"}]}`, `feed "A": key "feed_url": missing`},
		{"type of feed", `{"feeds": [{"feed_name": "A", "feed_type": "cvs", "indicator_type": "url", "feed_url": "https://a.example/"}]}`, `key "feed_type": "cvs" is not known; did you mean "csv"?`},
		{"kind", `{"feeds": [{"feed_name": "A", "feed_type": "txt", "indicator_type": "urls", "feed_url": "https://a.example/"}]}`, `key "indicator_type": unknown indicator type "urls"`},
		{"scheme", `{"feeds": [{"feed_name": "A", "feed_type": "txt", "indicator_type": "url", "feed_url": "ftp://a.example/"}]}`, `only http and https can be pulled, not "ftp"`},
		{"user in URL", `{"feeds": [{"feed_name": "A", "feed_type": "txt", "indicator_type": "url", "feed_url": "https://u:p@a.example/"}]}`, `user and password belong into "auth"`},
		{"mark without auth", `{"feeds": [{"feed_name": "A", "feed_type": "txt", "indicator_type": "url", "feed_url": "https://a.example/{secret}"}]}`, `key "auth": missing`},
		{"no id", `{"feeds": [{"feed_name": "日本", "feed_type": "txt", "indicator_type": "url", "feed_url": "https://a.example/"}]}`, `the name "日本" gives no id`},
		{"not an object", `{"feeds": [7]}`, `x.json:1: feed "#1": want an object, not 7`},
		{"bare feed", `{"feed_name": "A"}`, `a file of definitions is {"feeds": [{…}, …]}`},
		{"no feeds", `{}`, `key "feeds": missing`},
		{"list", `[]`, `want {"feeds": […]}, not a list`},
		{"empty", ``, `not valid JSON: it ends in the middle`},
		{"cut", "{\"feeds\": [\n{\"feed_name\":", `x.json:2: not valid JSON: it ends in the middle`},
		{"syntax", "{\"feeds\": [\n\n{,}]}", `x.json:3: not valid JSON`},
		{"more", `{"feeds": []} {}`, `there is more after the end`},
		{"latin-1", "{\"feeds\": [\"\xe9\"]}", `not UTF-8`},
		{"deep", `{"feeds": ` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, `nested more than`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Decode("x.json", []byte(tt.data))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v\nwant  %s", err, tt.want)
			}
			if err != nil && strings.Count(err.Error(), "\n") > 0 && tt.name != "missing" {
				t.Errorf("one mistake gives more than one error:\n%v", err)
			}
		})
	}
}

// TestDecodeHidesURL wants no part of a refused feed_url that may be a secret in the error.
func TestDecodeHidesURL(t *testing.T) {
	const noURL, userInURL, scheme = "this is no URL", "user and password belong", "only http and https"
	tests := []struct{ name, value, want string }{
		{"broken escape in the path", `"https://CANARYu:CANARYp@x.example:443/%zz?key=CANARYq"`, noURL},
		{"secret in a broken path", `"https://x.example/CANARYp%zz"`, noURL},
		{"secret is the broken escape", `"https://x.example/%zCANARYp"`, noURL},
		{"newline", `"https://CANARYu:CANARYp@x.example/\nCANARYl?key=CANARYq"`, noURL},
		{"newline in the user part", `"https://CANARYu:CANARY\np@x.example/"`, noURL},
		{"broken escape in the user part", `"https://CANARYu:CANARY%zz@x.example/"`, noURL},
		{"character no user part may have", `"https://CANARYu:CANARY p@x.example/"`, noURL},
		{"slash in the password", `"https://CANARYu:CANARY/p@x.example/"`, noURL},
		{"broken port", `"https://CANARYu:CANARYp@x.example:port/?key=CANARYq"`, noURL},
		{"broken IPv6", `"https://CANARYu:CANARYp@[::1/?key=CANARYq"`, noURL},
		{"broken fragment", `"https://x.example/?key=CANARYq#%zzCANARYf"`, noURL},
		{"no scheme", `"CANARYu:CANARYp@x.example/?key=CANARYq"`, noURL},
		{"empty scheme", `"://CANARYu:CANARYp@x.example/?key=CANARYq"`, noURL},
		{"no host", `"https:///CANARYp?key=CANARYq"`, noURL},
		{"no host, user", `"https://CANARYu:CANARYp@/?key=CANARYq"`, noURL},
		{"only a path", `"/CANARYp?key=CANARYq"`, noURL},
		{"other scheme", `"ftp://CANARYu:CANARYp@x.example/?key=CANARYq"`, scheme},
		{"user", `"https://CANARYu@x.example/?key=CANARYq"`, userInURL},
		{"user and password", `"https://CANARYu:CANARYp@x.example/?key=CANARYq#CANARYf"`, userInURL},
		{"mark without auth", `"https://x.example/{secret}?key=CANARYq"`, `key "auth": missing`},
		{"list", `["https://CANARYu:CANARYp@x.example/?key=CANARYq"]`, "want a string, not a list"},
		{"object", `{"CANARYu": "CANARYp"}`, "want a string, not an object"},
		{"twice", `"https://x.example/", "feed_url": "https://x.example/?key=CANARYq"`, "stands twice"},
		{"newline as such", "\"https://CANARYu:CANARYp@x.example/\nCANARYl?key=CANARYq\"", "not valid JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := `{"feeds": [{"feed_name": "A", "feed_type": "txt", "indicator_type": "url", "feed_url": ` + tt.value + `}]}`
			_, err := Decode("x.json", []byte(data))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q in it", err, tt.want)
			}
			if strings.Contains(strings.ToLower(err.Error()), "canary") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

func TestDecodeKeepsGoodFeedsAndReportsAll(t *testing.T) {
	data := `{"feeds": [
 {"feed_name": "One", "feed_type": "txt", "indicator_type": "url", "feed_url": "https://a.example/", "tga": 1, "tlp": 3},
 {"feed_name": "Two", "feed_type": "txt", "indicator_type": "url", "feed_url": "https://a.example/"},
 {"feed_name": "two", "feed_type": "txt", "indicator_type": "url", "feed_url": "https://b.example/"},
 {"id": "three", "feed_name": "Three", "feed_type": "txt", "indicator_type": "url", "feed_url": "https://a.example/", "confidence": -1}
]}`
	defs, err := Decode("x.json", []byte(data))
	if len(defs) != 1 || defs[0].ID != "two" || defs[0].Line != 3 {
		t.Errorf("kept %+v", defs)
	}
	want := []string{
		`x.json:2: feed "One": key "tga": unknown key; did you mean "tags"?`,
		`x.json:2: feed "One": key "tlp": want a string, not 3`,
		`x.json:4: feed "two": key "id": "two" is the id of the feed in line 3, too`,
		`x.json:5: feed "three": key "confidence": -1 is not between 0 and 100`,
	}
	if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("errors:\n%s\nwant:\n%s", err, strings.Join(want, "\n"))
	}
	var e *Error
	if !errors.As(err, &e) || e.Feed != "One" || e.Key != "tga" {
		t.Errorf("errors.As gave %+v", e)
	}
}

func TestLoad(t *testing.T) {
	fsys := fstest.MapFS{
		"a.json":     {Data: []byte(original)},
		"b.json":     {Data: []byte(strings.Replace(good(`"id": "bb", `), "{", `{"$schema": "feed.schema.json", `, 1))},
		"c.json":     {Data: []byte(`{"feeds": [`)},
		"d.json":     {Data: []byte(good(`"id": "phish-tank", `))},
		"e.json.bak": {Data: []byte(`nonsense`)},
		".f.json":    {Data: []byte(`nonsense`)},
		"sub/g.json": {Data: []byte(`nonsense`)},
	}
	c, err := Load(fsys)
	var ids []string
	for _, d := range c.All() {
		ids = append(ids, d.ID)
	}
	if !slices.Equal(ids, []string{"bb", "blocklist-de-all", "phish-tank"}) {
		t.Errorf("ids %q", ids)
	}
	if err == nil || !strings.Contains(err.Error(), "c.json:1: not valid JSON") ||
		!strings.Contains(err.Error(), `d.json:1: feed "phish-tank": key "id": "phish-tank" is the id of a feed in a.json:5, too`) ||
		strings.Contains(err.Error(), "nonsense") {
		t.Errorf("error %v", err)
	}
	if d := c.Get("phish-tank"); d == nil || d.File != "a.json" {
		t.Errorf("the first file keeps the id: %+v", d)
	}
	if c.Get("nope") != nil || c.Nearest("phishtank") != "phish-tank" || c.Nearest("q") != "" {
		t.Errorf("nearest: %q %q", c.Nearest("phishtank"), c.Nearest("q"))
	}
}

func TestColumns(t *testing.T) {
	tests := []struct {
		name, kind, mapping string
		want                string
	}{
		{"called indicator", "url", `{"source": ["a", "url", "v"], "destination": ["x", "url", "indicator"]}`, "x url indicator"},
		{"called like the feed's kind", "ipaddress", `{"source": ["a", "b"], "destination": ["url", "ipaddress"]}`, "url indicator"},
		{"called like a kind", "hash", `{"source": ["a", "b"], "destination": ["x", "sha256"]}`, "x indicator"},
		{"upper case", "domain", `{"source": ["a"], "destination": ["Domain"]}`, "indicator"},
		{"no destinations", "ipaddress", `{"source": ["ipaddress", null, "note"]}`, "indicator - note"},
		{"several", "hash", `{"source": ["a", "b", "c"], "destination": ["sha256", "md5", "x"], "several": true}`, "indicator:sha256 indicator:md5 x"},
		{"several of one kind", "ipaddress", `{"source": ["a", "b"], "destination": ["indicator", "ipaddress"], "several": true}`, "indicator:ipv4,ipv6 indicator:ipv4,ipv6"},
		{"kind of a column", "auto", `{"source": ["a"], "destination": ["indicator"], "types": {"indicator": {"kind": "url"}}}`, "indicator:url"},
		{"list", "url", `{"source": ["url", "t"], "destination": ["url", "tags"], "types": {"tags": {"type": "list", "split": " "}}}`, "indicator tags/list/ "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defs, err := Decode("x.json", []byte(`{"feeds": [{"feed_name": "A", "feed_type": "csv", "indicator_type": "`+tt.kind+
				`", "feed_url": "https://a.example/", "field_mapping": `+tt.mapping+`}]}`))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range defs[0].Spec().Columns {
				s := c.Field
				if s == "" {
					s = "-"
				}
				if c.Kinds != 0 {
					s += ":" + c.Kinds.String()
				}
				if c.Type != "" {
					s += "/" + c.Type + "/" + c.Split
				}
				got = append(got, s)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("columns %q, want %q", strings.Join(got, " "), tt.want)
			}
		})
	}
}

// TestDecodeWithoutKind leaves indicator_type away: formats that say it themselves
// do without it, all others say that it is missing.
func TestDecodeWithoutKind(t *testing.T) {
	fixed := 0
	for _, format := range parse.Formats() {
		defs, err := Decode("x.json", []byte(`{"feeds": [{"feed_name": "A", "feed_type": "`+format+`", "feed_url": "https://a.example/x"}]}`))
		switch {
		case !parse.Fixed(format):
			if err == nil || !strings.Contains(err.Error(), `key "indicator_type": missing`) {
				t.Errorf("%s: %v", format, err)
			}
		case err != nil:
			t.Errorf("%s: %v", format, err)
		default:
			fixed++
			if d := defs[0]; d.KindName() != "auto" || d.Spec().Kinds != 0 || NewView(Facts{Def: d, Enabled: true, HaveKey: true}, time.Time{}).Kind != "auto" {
				t.Errorf("%s: %+v", format, d)
			}
		}
	}
	if fixed < 17 {
		t.Errorf("only %d formats have a fixed layout", fixed)
	}
}

func TestDecodeSuperset(t *testing.T) {
	_, err := Decode("x.json", []byte(good(`"id": "a", "kind": "url", "interval": "36h", "tlp": "TLP:WHITE", "reliability": "b",
		"confidence": 0, "ttl": "30d", "presence": "rolling", "allow_networks": ["127.0.0.1/32", "::1/128"],
		"guards": {"max_shrink": 0.9, "allow_empty": true}, "comments": [], "quotes": false, "enabled": false, "commercial_use": false, `)))
	if err == nil {
		t.Fatal("kind beside indicator_type was accepted")
	}
	data := strings.Replace(good(`"id": "a", "interval": "36h", "tlp": "TLP:WHITE", "reliability": "b",
		"confidence": 0, "ttl": "30d", "presence": "rolling", "allow_networks": ["127.0.0.1/32", "::1/128"],
		"guards": {"max_shrink": 0.9, "allow_empty": true}, "comments": [], "quotes": false, "enabled": false, "commercial_use": false, `),
		`"indicator_type"`, `"kind"`, 1)
	defs, err := Decode("x.json", []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	d := defs[0]
	spec, info := d.Spec(), d.Info()
	if time.Duration(d.Interval) != 36*time.Hour || time.Duration(d.TTL.Default) != 30*24*time.Hour || info.TLP != "clear" ||
		info.Reliability != "B" || info.Confidence != 0 || len(d.Allowed()) != 2 || d.OnByDefault() {
		t.Errorf("definition %+v", d)
	}
	if d.Guards != (Guards{MaxShrink: 0.9, MaxGrowth: 5, MaxReplace: 1, MaxReject: 0.2, AllowEmpty: true}) {
		t.Errorf("guards %+v", d.Guards)
	}
	if spec.Comments == nil || len(*spec.Comments) != 0 || spec.Inline != nil || !spec.NoQuotes {
		t.Errorf("spec %+v", spec)
	}
}

// TestTTLOfTheFeed: what is said of the feed goes by the kinds that it may list.
func TestTTLOfTheFeed(t *testing.T) {
	for _, x := range []struct {
		extra string
		least time.Duration
		all   bool
	}{
		{`"ttl": "48h", `, 48 * time.Hour, true},
		{``, 0, false},
		{`"ttl": {"url": "1h"}, `, 0, false}, // it lists addresses
		{`"ttl": {"url": "1h", "default": "48h"}, `, 48 * time.Hour, true},
		{`"ttl": {"ipv4": "24h"}, `, 24 * time.Hour, false}, // IPv6 has none
		{`"ttl": {"ipaddress": "24h"}, `, 24 * time.Hour, true},
		{`"field_mapping": {"source": ["ipaddress"], "types": {"ipaddress": {"kind": "url"}}}, "ttl": {"ipaddress": "24h", "url": "1h"}, `, time.Hour, true},
		{`"field_mapping": {"source": ["ipaddress"], "types": {"ipaddress": {"kind": "url"}}}, "ttl": {"ipaddress": "24h"}, `, 24 * time.Hour, false},
	} {
		data := good(x.extra + `"presence": "rolling", `)
		if strings.Contains(x.extra, "field_mapping") {
			data = strings.Replace(data, `"feed_type": "txt"`, `"feed_type": "csv"`, 1)
		}
		defs, err := Decode("x.json", []byte(data))
		if err != nil {
			t.Errorf("%s: %v", x.extra, err)
			continue
		}
		if d := defs[0]; time.Duration(d.shortestTTL()) != x.least || d.allLive() != x.all || d.keepsAbsent() != x.all {
			t.Errorf("%s: shortest %v, all %v, keeps what is absent %v", x.extra, d.shortestTTL(), d.allLive(), d.keepsAbsent())
		}
	}
}

func TestEndedIsOff(t *testing.T) {
	for life, on := range map[string]bool{"": true, "alive": true, "listed": true, "static": true, "blocked": true, "ended": false} {
		defs, err := Decode("x.json", []byte(good(`"life": "`+life+`", `)))
		if err != nil || defs[0].OnByDefault() != on || defs[0].Ended() == on {
			t.Errorf("life %q: on %v, ended %v, error %v", life, defs[0].OnByDefault(), defs[0].Ended(), err)
		}
	}
}

// TestTTL: the narrower of two names holds, and only what differs from the rest
// is kept, so that one rule has one form.
func TestTTL(t *testing.T) {
	for _, x := range []struct{ ttl, want string }{
		{`"30d"`, `"30d"`},
		{`"0"`, `"0s"`},
		{`{"default": "90d"}`, `"90d"`},
		{`{"ipv4": "7d", "url": "30d", "hash": "365d", "default": "90d"}`, `{"default":"90d","ipv4":"7d","md5":"365d","sha1":"365d","sha256":"365d","sha512":"365d","url":"30d"}`},
		{`{"sha256": "1d", "hash": "2d"}`, `{"default":"0s","md5":"2d","sha1":"2d","sha256":"1d","sha512":"2d"}`},
		{`{"cidr": "3d", "ip": "2d", "ipaddress": "1d"}`, `{"cidr":"3d","default":"0s","ipv4":"1d","ipv6":"1d"}`},
		{`{"ipv6": "3d", "ip": "2d", "default": "2d"}`, `{"default":"2d","ipv6":"3d"}`},
		{`{"cidr": "3d"}`, `{"cidr":"3d","default":"0s"}`},
		{`{"proxy": "1d", "default": "1d"}`, `"1d"`},
		{`{"url": "0s", "default": "1d"}`, `{"default":"1d","url":"0s"}`},
	} {
		defs, err := Decode("x.json", []byte(good(`"presence": "append", "ttl": `+x.ttl+`, `)))
		if err != nil {
			t.Errorf("%s: %v", x.ttl, err)
			continue
		}
		d := defs[0]
		got, err := json.Marshal(d.TTL)
		if err != nil || string(got) != x.want {
			t.Errorf("%s: %s %v, want %s", x.ttl, got, err, x.want)
		}
		again, err := Decode("x.json", []byte(good(`"presence": "append", "ttl": `+string(got)+`, `)))
		if err != nil || !reflect.DeepEqual(again[0].TTL, d.TTL) {
			t.Errorf("%s: written and read again: %+v %v", x.ttl, again, err)
		}
		info := d.Info()
		for _, k := range intel.AnyKind.Kinds() {
			want, own := d.TTL.Kinds[k]
			if !own {
				want = d.TTL.Default
			}
			if got := info.TTLOf(k); got != want {
				t.Errorf("%s: %v lives for %v, want %v", x.ttl, k, got, want)
			}
		}
	}
}

func TestRoleDecidesConfidence(t *testing.T) {
	for role, want := range map[string]int{"threat": 80, "context": 0, "allow": 0} {
		defs, err := Decode("x.json", []byte(good(`"confidence": 80, "role": "`+role+`", `)))
		if err != nil || defs[0].Info().Confidence != want {
			t.Errorf("role %s: confidence %+v, error %v, want %d", role, defs, err, want)
		}
	}
}

func TestParseHash(t *testing.T) {
	hash := func(extra string) string {
		defs, err := Decode("x.json", []byte(good(extra)))
		if err != nil {
			t.Fatal(err)
		}
		return defs[0].ParseHash()
	}
	base := hash("")
	if len(base) != 32 || hash("") != base {
		t.Errorf("hash %q is not stable", base)
	}
	for _, same := range []string{`"interval": "2h", `, `"note": "x", `, `"enabled": false, `, `"allow_networks": ["127.0.0.1/32"], `, `"expect_min": 2, `, `"expect": 2, `, `"life": "ended", `} {
		if hash(same) != base {
			t.Errorf("%s changes the hash", same)
		}
	}
	seen := map[string]string{base: "nothing"}
	for _, other := range []string{`"tlp": "red", `, `"comments": ["%"], `, `"inline_comments": [], `, `"confidence": 51, `, `"archive_entry": "a", `,
		`"description": "x", `, `"exclude": "!", `, `"quotes": false, `, `"field_mapping": {"separator": "|"}, `, `"tags": ["a"], `, `"blanks": ["None"], `} {
		h := hash(other)
		if seen[h] != "" {
			t.Errorf("%s and %s have one hash", other, seen[h])
		}
		seen[h] = other
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(original))
	f.Add([]byte(good(`"auth": {"secret": "K", "in": "bearer"}, `)))
	f.Add([]byte(`{"feeds": [[]]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		defs, _ := Decode("x.json", data)
		for _, d := range defs {
			if d.ID == "" || !idPattern.MatchString(d.ID) {
				t.Errorf("id %q", d.ID)
			}
			d.Spec()
			d.Endpoint("s")
		}
	})
}
