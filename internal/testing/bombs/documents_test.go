package bombs

import (
	"fmt"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
)

const (
	mega = 1 << 20
	giga = 1<<30 - mega // just below the cap on unpacked bytes
)

// bombs are all of them.
func bombs() []bomb {
	list := packed()
	for i := range list {
		list[i].spec = lines
	}
	list = append(list, documents()...)
	list = append(list, pages()...)
	list = append(list, objects()...)
	return append(list, lists()...)
}

func of(kind string) parse.Spec { return parse.Spec{Type: kind, Kinds: intel.AnyKind} }

// documents are bombs in XML.
func documents() []bomb {
	laughs := "<!DOCTYPE rss [<!ENTITY a0 \"ha\">"
	for i := 1; i < 10; i++ {
		laughs += fmt.Sprintf("<!ENTITY a%d \"%s\">", i, strings.Repeat(fmt.Sprintf("&a%d;", i-1), 10))
	}
	const item, end = "<rss><channel><item><title>", "</title></item></channel></rss>"
	return []bomb{
		{name: "XML with an external entity", spec: of("rss"), open: text(`<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + item + "&x;" + end), want: "a single word"},
		{name: "XML, billion laughs", spec: of("rss"), open: text(laughs + "]>" + item + "&a9;" + end), want: "a single word"},
		{name: "XML, one entity of 512 KiB 100,000 times", spec: of("rss"), open: repeated(`<!DOCTYPE rss [<!ENTITY a "`+strings.Repeat("a", mega/2)+`">]>`+item, "&a;", 300_000, end), want: "more than 16384"},
		{name: "XML, 100,000 deep", spec: of("rss"), open: repeated("<rss>", "<a>", 300_000, ""), want: "elements inside each other"},
		{name: "XML, an attribute of 1 GiB", spec: of("rss"), open: repeated(`<rss a="`, "a", giga, `"/>`), want: "text or a tag of more than"},
		{name: "XML, a text of 1 GiB", spec: of("rss"), open: repeated(item, "a", giga, end), want: "text or a tag of more than"},
		{name: "XML, a million attributes", spec: of("openioc"), open: repeated("<ioc", " a='b'", 7*mega, "/>"), want: "text or a tag of more than"},
		{name: "XML, an item of a million elements", spec: of("rss"), open: repeated("<rss><channel><item>", "<aa>b</aa>", 10*mega, "<title>a.example</title></item></channel></rss>"), want: "longer than"},
		{name: "XML of any kind, 100,000 attributes and as many elements", spec: parse.Spec{Type: "xml", Kinds: intel.AnyKind, Records: "list/item", Columns: []parse.Column{{Source: "v", Field: parse.Indicator}}},
			open: repeated("<list><item", " a='b'", 600_000, ">"+strings.Repeat("<aa>b</aa>", 100_000)+"<v>a.example</v></item></list>"), want: "longer than"},
		{name: "XML, a comment of 1 GiB", spec: of("openioc"), open: repeated("<ioc><!--", "a", giga, "--></ioc>"), want: "text or a tag of more than"},
	}
}

// pages are bombs in HTML.
func pages() []bomb {
	html := parse.Spec{Type: "html", Kinds: intel.AnyKind, Columns: []parse.Column{{Source: "col1", Field: parse.Indicator}, {Source: "col2", Field: "tags"}}}
	const row, end = "<table><tr><td>a.example</td>", "</tr></table>"
	return []bomb{
		{name: "HTML, a million tables inside each other", spec: html, open: repeated("", "<table><tr><td>", 15*mega, ""), want: "tables inside each other"},
		{name: "HTML, a row of a million cells", spec: html, open: repeated(row, "<td>b</td>", 10*mega, end), want: "more than 1000 columns"},
		{name: "HTML, a cell over a billion columns and rows", spec: html, open: repeated(row, "<td colspan=1000000000 rowspan=1000000000>b</td>", 5*mega, end), want: "more than 1000 columns"},
		{name: "HTML, a text of 1 GiB", spec: html, open: repeated(row+"<td>", "a", giga, "</td>"+end), want: "text or a tag of more than"},
		{name: "HTML, an attribute of 1 GiB", spec: html, open: repeated(row+"<td a='", "a", giga, "'></td>"+end), want: "text or a tag of more than"},
		{name: "HTML, a comment of 1 GiB", spec: html, open: repeated(row+"<!--", "a", giga, "-->"+end), want: "text or a tag of more than"},
		{name: "HTML, a tag of a million attributes", spec: html, open: repeated(row+"<td", " a=b", 5*mega, ">b</td>"+end), want: "text or a tag of more than"},
	}
}

// objects are bombs in JSON and what is made of it.
func objects() []bomb {
	json := parse.Spec{Type: "json", Kinds: intel.AnyKind, Columns: []parse.Column{{Source: "v", Field: parse.Indicator}, {Source: "t", Field: "tags"}}, Records: "[]"}
	nd := json
	nd.Type, nd.Records = "ndjson", ""
	return []bomb{
		{name: "JSON, 100,000 deep", spec: json, open: text(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)), want: "inside each other"},
		{name: "JSON, 1 GiB of opening brackets", spec: json, open: repeated("[", "[", giga, ""), want: "inside each other"},
		{name: "JSON, a skipped member 1 GiB deep", spec: of("stix"), open: repeated(`{"a":`, "[", giga, ""), want: "inside each other"},
		{name: "JSON, a string of 1 GiB", spec: json, open: repeated(`[{"v":"`, "a", giga, `"}]`), want: "longer than"},
		{name: "JSON, a name of 1 GiB", spec: of("stix"), open: repeated(`{"`, "a", giga, `":1}`), want: "longer than"},
		{name: "JSON, a number of 1 GiB", spec: json, open: repeated(`[{"v":`, "9", giga, `}]`), want: "longer than"},
		{name: "JSON, huge exponents", spec: json, open: repeated("[", `{"v":1e999999999},`, 20*mega, "{}]"), want: "a single word"},
		{name: "JSON, one name a million times", spec: json, open: repeated(`[{"v":"a.example"`, `,"v":"b"`, 8*mega, `}]`), want: "longer than"},
		{name: "JSON, a million members", spec: json, open: around(`[{"v":"a.example"`, mega, func(i int) string { return fmt.Sprintf(`,"m%d":%d`, i, i) }, `}]`), want: "longer than"},
		{name: "JSON, a record of 8 million numbers", spec: json, open: repeated(`[{"v":[1`, ",1", 16*mega-1000, `]}]`), want: "longer than"},
		{name: "JSON, a million tags", spec: json, open: around(`[{"v":"a.example","t":["a"`, mega, func(i int) string { return fmt.Sprintf(`,"t%d"`, i) }, `]}]`), want: "longer than"},
		{name: "NDJSON, a line of 1 GiB", spec: nd, open: repeated(`{"v":"`, "a", giga, `"}`), want: "longer than"},
		{name: "STIX, brackets inside each other", spec: of("stix"), open: repeated(`[{"type":"indicator","pattern":"`, "(", mega, `"}]`), want: "brackets inside each other"},
		{name: "STIX, a million comparisons", spec: of("stix"), open: around(`[{"type":"indicator","pattern":"[a:b = 1`, mega, func(i int) string {
			return fmt.Sprintf(" OR ipv4-addr:value = '198.51.%d.%d'", i>>8&255, i&255)
		}, `]"}]`), want: "longer than"},
		{name: "STIX, a million labels", spec: of("stix"), open: around(`[{"type":"indicator","pattern":"[domain-name:value = 'a.example']","labels":["a"`, mega, func(i int) string { return fmt.Sprintf(`,"l%d"`, i) }, `]}]`), want: "longer than"},
		{name: "STIX, a million relationships in circles", spec: of("stix"), open: around(`[{"type":"indicator","id":"i--0","pattern":"[domain-name:value = 'a.example']"}`, mega, func(i int) string {
			return fmt.Sprintf(`,{"type":"relationship","source_ref":"i--%d","target_ref":"i--%d"}`, i%1000, (i+1)%1000)
		}, `]`), want: "", most: 1},
		{name: "STIX, a million names", spec: of("stix"), open: around(`[{"type":"indicator","id":"i--0","pattern":"[domain-name:value = 'a.example']"}`, mega, func(i int) string {
			return fmt.Sprintf(`,{"type":"malware","id":"m--%d","name":"m%d"},{"type":"relationship","source_ref":"i--0","target_ref":"m--%d"}`, i, i, i)
		}, `]`), want: "", most: 1},
		{name: "MISP, answers inside each other", spec: of("misp"), open: repeated("", `{"response":[`, 10_000*13, ""), want: "answers and events inside each other"},
		{name: "MISP, a million tags", spec: of("misp"), open: around(`{"Event":{"info":"x","Attribute":[{"type":"domain","value":"a.example","Tag":[{"name":"a"}`, mega, func(i int) string {
			return fmt.Sprintf(`,{"name":"t%d"}`, i)
		}, `]}]}}`), want: "longer than"},
		{name: "MISP, a million tags of the event", spec: of("misp"), open: around(`{"Event":{"info":"x","Attribute":[{"type":"domain","value":"a.example"}],"Tag":[{"name":"a"}`, mega, func(i int) string {
			return fmt.Sprintf(`,{"name":"t%d"}`, i)
		}, `]}}`), want: "longer than", most: 1},
		{name: "MISP, a million attributes that are not held", spec: of("misp"), open: around(`{"Event":{"info":"x","Attribute":[{"type":"domain","value":"a.example"}`, mega, func(i int) string {
			return fmt.Sprintf(`,{"type":"text","value":"t%d","comment":"%s"}`, i, "0123456789")
		}, `]}}`), want: "kind that is not held", most: 1},
		{name: "OTX, a million tags", spec: of("otx"), open: around(`{"results":[{"name":"x","indicators":[{"indicator":"a.example","type":"domain"}],"tags":["a"`, mega, func(i int) string {
			return fmt.Sprintf(`,"t%d"`, i)
		}, `]}]}`), want: "longer than", most: 1},
		{name: "warning list, a record of 1 GiB", spec: of("misp-warninglist"), open: repeated(`{"name":"x","type":"hostname","list":["`, "a", giga, `"]}`), want: "longer than"},
	}
}

// lists are bombs in lines.
func lists() []bomb {
	csv := parse.Spec{Type: "csv", Kinds: intel.AnyKind, Columns: []parse.Column{{Source: "v", Field: parse.Indicator}}}
	const long, notClosed = "the line is longer than", "a quote is not closed"
	return []bomb{
		{name: "a line of 1 GiB", spec: lines, open: repeated("", "a", giga, ""), want: long},
		{name: "UTF-16, a line of 512 MiB", spec: lines, open: repeated("\xff\xfe", "a\x00", giga/2, ""), want: long},
		{name: "a value of 1 MiB of dots and brackets", spec: lines, open: repeated("", "[.]", mega-100_000, "\n"), want: ""},
		{name: "CSV, a field of 1 GiB", spec: csv, open: repeated(`"`, "a", giga, `"`), want: long},
		{name: "CSV, a million columns", spec: csv, open: repeated("", "a,", 2*mega, "\n"), want: ""},
		{name: "CSV, a quote open for 256 MiB", spec: csv, open: repeated("\"", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b\n", 256*mega, ""), want: notClosed},
		{name: "CSV, a quote open on every line", spec: csv, open: repeated("", "\"a b,\n", 8*mega, ""), want: notClosed},
		{name: "a word of 1 GiB", spec: of("text"), open: repeated("", "a", giga, ""), want: long},
		{name: "text of brackets", spec: of("text"), open: repeated("", strings.Repeat("((((([[[[[", 5000)+"hxxp://a\n", 16*mega, ""), want: ""},
		{name: "text of labels", spec: of("text"), open: repeated("", "a=b=c:d=e[.]f:g=hxxp: ", mega-1000, "\n"), want: ""},
		{name: "hosts, a line of 500,000 names", spec: parse.Spec{Type: "hosts"}, open: repeated("0.0.0.0", " a", mega-1000, "\n"), want: "a single word"},
		{name: "ipset, every IPv4 address", spec: parse.Spec{Type: "ipset"}, open: text("0.0.0.0-255.255.255.255\n"), want: "whole address space"},
		{name: "ipset, every IPv6 address", spec: parse.Spec{Type: "ipset"}, open: text("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n"), want: ""},
		{name: "ipset, 40,000 ranges of 60 networks", spec: parse.Spec{Type: "ipset"}, open: repeated("", "1.0.0.1-254.255.255.254\n", 24*40_000, ""), want: "", most: 62},
		{name: "rbldnsd, 40,000 ranges of 60 networks", spec: parse.Spec{Type: "rbldnsd"}, open: repeated("", "1.0.0.1-254.255.255.254\n", 24*40_000, ""), want: "", most: 254},
		{name: "rules, a rule of 100,000 addresses", spec: parse.Spec{Type: "rules"}, open: around("alert ip [198.51.100.1", 100_000, func(i int) string {
			return fmt.Sprintf(",198.%d.%d.%d", 18+i>>16, i>>8&255, i&255)
		}, "] any -> any any (msg:\"x\"; sid:1;)\n"), want: long},
		{name: "rules, brackets inside each other", spec: parse.Spec{Type: "rules"}, open: repeated("alert ip ", "[", mega-1000, " any -> any any (msg:\"x\"; sid:1;)\n"), want: ""},
		{name: "rpz, $GENERATE of a billion names", spec: parse.Spec{Type: "rpz"}, open: text("$TTL 60\n$GENERATE 1-1000000000 a$.example CNAME .\n"), want: ""},
		{name: "rpz, $INCLUDE of a file", spec: parse.Spec{Type: "rpz"}, open: text("$INCLUDE /etc/passwd\na.example CNAME .\n"), want: "", most: 1},
		{name: "adblock, a regular expression of 1 MiB", spec: parse.Spec{Type: "adblock"}, open: repeated("/", "(a+)+", mega-1000, "$/\n"), want: ""},
	}
}
