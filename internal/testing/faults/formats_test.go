package faults

import (
	"fmt"
	"strings"
)

// format is one wire format: how a list of values looks in it, and how it looks
// after its publisher changed the layout.
type format struct {
	kind  string // feed_type
	keys  string // of the definition, beside the type
	value func(i int) string
	first string
	entry func(v string) string
	last  string
	moved func(list string) string
}

func (f *format) list(values []string) string {
	var b strings.Builder
	b.WriteString(f.first)
	for _, v := range values {
		b.WriteString(f.entry(v))
	}
	b.WriteString(f.last)
	return b.String()
}

// put makes an entry of a pattern with %s for the value.
func put(pattern string) func(string) string {
	return func(v string) string { return strings.ReplaceAll(pattern, "%s", v) }
}

// column puts a new first column before every line.
func column(list string) string {
	return "2026-01-01|" + strings.ReplaceAll(strings.TrimSuffix(list, "\n"), "\n", "\n2026-01-01|") + "\n"
}

func renamed(old, name string) func(string) string {
	return func(list string) string { return strings.ReplaceAll(list, old, name) }
}

func names(kind string) func(int) string {
	return func(i int) string { return fmt.Sprintf("host%d.%s.example", i, kind) }
}

// hosts are addresses in a block of TEST-NET-3 or the like, each format its own.
func hosts(block string) func(int) string {
	return func(i int) string { return fmt.Sprintf("%s.%d", block, i+1) }
}

// A comment of this size comes first where a format has comments: half of the
// bytes then hold less than half of the list.
var comment = strings.Repeat("# what this list is about, and who made it\n", 4)

const mapped = `"indicator_type":"domain","field_mapping":{"source":["seen","value"],"destination":["feed_first_seen","indicator"]%s}`

// formats are those of the test, in an order in which no two neighbours can read each other.
func formats() []format {
	csv := func(v string) string { return "2026-03-01," + v + "\n" }
	object := put(`{"seen":"2026-03-01","value":"%s"}`)
	return []format{
		{kind: "txt", keys: `"indicator_type":"ipaddress","field_mapping":{"source":[],"destination":[]}`, value: hosts("198.51.100"), first: comment, entry: put("%s\n"), moved: column},
		{kind: "csv", keys: fmt.Sprintf(mapped, `,"has_headers":true`), value: names("csv"), first: comment + "seen,value\n", entry: csv,
			moved: func(list string) string { // the columns change places
				var out []string
				for _, line := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(list, comment), "\n"), "\n") {
					a, b, _ := strings.Cut(line, ",")
					out = append(out, b+","+a)
				}
				return comment + strings.Join(out, "\n") + "\n"
			}},
		{kind: "stix", value: names("stix"), first: `{"type":"bundle","id":"bundle--1","objects":[{"type":"identity","id":"identity--1","name":"x"}`,
			entry: put("\n" + `,{"type":"indicator","spec_version":"2.1","id":"indicator--%s","pattern":"[domain-name:value = '%s']","pattern_type":"stix"}`), last: "]}", moved: renamed(`"pattern"`, `"rule"`)},
		{kind: "hosts", value: names("hosts"), first: comment, entry: put("0.0.0.0 %s\n"), moved: column},
		{kind: "json", keys: fmt.Sprintf(mapped, "") + `,"records":"data[]"`, value: names("json"), first: `{"about":"a list","data":[null`, entry: func(v string) string { return "," + object(v) }, last: "]}", moved: renamed(`"value"`, `"ioc"`)},
		{kind: "rules", value: hosts("203.0.113"), first: comment, entry: put("alert ip any any -> %s any (msg:\"x\"; sid:1;)\n"), moved: column},
		{kind: "misp", value: names("misp"), first: `{"Event":{"info":"x","uuid":"x","Attribute":[null`, entry: put("\n" + `,{"type":"domain","value":"%s","to_ids":true}`), last: "]}}", moved: renamed(`"value"`, `"content"`)},
		{kind: "adblock", value: names("adblock"), first: strings.ReplaceAll(comment, "#", "!"), entry: put("||%s^\n"), moved: column},
		{kind: "rss", value: names("rss"), first: `<?xml version="1.0"?><rss><channel><title>x</title>`, entry: put("\n<item><title>%s</title><link>https://rss.example/</link></item>"), last: "</channel></rss>",
			moved: func(list string) string {
				return strings.ReplaceAll(strings.ReplaceAll(list, "<title>", "<name>"), "</title>", "</name>")
			}},
		{kind: "ndjson", keys: fmt.Sprintf(mapped, ""), value: names("ndjson"), first: "", entry: func(v string) string { return object(v) + "\n" }, moved: renamed(`"value"`, `"ioc"`)},
		{kind: "dnsmasq", value: names("dnsmasq"), first: comment, entry: put("address=/%s/0.0.0.0\n"), moved: column},
		{kind: "otx", value: names("otx"), first: `{"results":[{"name":"x","indicators":[null`, entry: put("\n" + `,{"indicator":"%s","type":"domain"}`), last: "]}]}", moved: renamed(`"indicator"`, `"value"`)},
		{kind: "unbound", value: names("unbound"), first: comment, entry: put("local-zone: \"%s\" always_nxdomain\n"), moved: column},
		{kind: "rpz", value: names("rpz"), first: strings.ReplaceAll(comment, "#", ";") + "$TTL 60\n@ SOA localhost. root.localhost. 1 2 3 4 5\n", entry: put("%s CNAME .\n"), moved: column},
		{kind: "openioc", value: names("openioc"), first: `<ioc id="1"><definition><Indicator operator="OR">`, entry: put("\n" + `<IndicatorItem condition="is"><Context search="Network/DNS"/><Content>%s</Content></IndicatorItem>`), last: "</Indicator></definition></ioc>", moved: renamed("Content>", "Value>")},
		{kind: "ipset", value: hosts("192.0.2"), first: comment, entry: put("%s\n"), moved: column},
		{kind: "xml", keys: fmt.Sprintf(mapped, "") + `,"records":"list/item"`, value: names("xml"), first: "<list>", entry: put("\n<item><seen>2026-03-01</seen><value>%s</value></item>"), last: "</list>", moved: renamed("value>", "ioc>")},
		{kind: "bind", value: names("bind"), first: comment, entry: put("zone \"%s\" { type master; file \"x\"; };\n"), moved: column},
		{kind: "dshield", value: func(i int) string { return fmt.Sprintf("198.18.%d.0/24", i) }, first: comment + "Start\tEnd\tNetmask\tAttacks\tName\n",
			entry: func(v string) string {
				start := strings.TrimSuffix(v, ".0/24")
				return start + ".0\t" + start + ".255\t24\t1\tX\n"
			}, moved: column},
		{kind: "rbldnsd", value: func(i int) string { return fmt.Sprintf("198.19.0.%d", i+1) }, first: comment, entry: put("%s :127.0.0.2:bad\n"), moved: column},
	}
}
