package parse

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// maxSeed is how long the seeds of a fuzz target are at most, in bytes: longer
// ones slow down everything that is made of them.
const maxSeed = 4 << 10

// seed is an input and the spec that reads it, as its number among the target's.
type seed struct {
	input []byte
	which byte
}

// fuzzSeeds are the specs and seeds of a format: its golden inputs, what is made
// of each by cutting and changing it where the format has its joints, and what is
// known to be hard for its family.
func fuzzSeeds(t testing.TB, format string) (specs []Spec, seeds []seed) {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join("testdata", format, "*", "spec.json"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no seeds for %s: %v", format, err)
	}
	for _, s := range variants() {
		if s.Type == format {
			specs = append(specs, s)
		}
	}
	add := func(input []byte, which int) {
		if len(input) <= maxSeed && !slices.ContainsFunc(seeds, func(s seed) bool { return bytes.Equal(s.input, input) }) {
			seeds = append(seeds, seed{input, byte(which)})
		}
	}
	for _, file := range dirs {
		spec, input := goldenCase(t, filepath.Dir(file))
		specs = append(specs, spec)
		for _, v := range kindred(input) {
			add(v, len(specs)-1)
		}
	}
	for i, v := range hard(format) {
		add([]byte(v), i)
	}
	return specs, seeds
}

// kindred is what is made of one input.
func kindred(in []byte) [][]byte {
	lines := bytes.SplitAfter(in, []byte("\n"))
	out := [][]byte{
		in,
		bytes.ReplaceAll(in, []byte("\n"), []byte("\r\n")),
		bytes.ReplaceAll(in, []byte("\n"), []byte("\r")),
		bytes.TrimRight(in, "\n"),
		in[:len(in)/2],
		in[len(in)/2:],
		in[:max(0, len(in)-2)], // without its last bracket, or the like
		append(slices.Clone(in), in...),
		append([]byte("\xef\xbb\xbf"), in...),
		append([]byte{0xff, 0xfe}, utf16Bytes(string(in))...),
		bytes.ReplaceAll(in, []byte(" "), []byte("\t")),
		bytes.ReplaceAll(in, []byte(`"`), nil),
		bytes.Map(func(r rune) rune { // keys and key words in the other case
			if r >= 'a' && r <= 'z' {
				return r - 32
			}
			return r
		}, in),
	}
	for i := range min(4, len(lines)) {
		out = append(out, lines[i], slices.Concat(lines[i:]...), slices.Concat(lines[:i]...))
	}
	return out
}

func utf16Bytes(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

// hard is what is known to be hard for a format's family.
func hard(format string) []string {
	deep := func(open, end string) string { return strings.Repeat(open, 201) + strings.Repeat(end, 201) }
	switch format {
	case "json", "ndjson", "stix", "misp", "misp-warninglist", "otx":
		return []string{"null", "[]", "{}", "[[]]", `[null,true,1e5,-0,"\ud800",{}]`, `{"":{"":[]}}`, `{"a":1,"a":2}`, "{\"v\":\"a\nb\"}", "[1,]", "{\"v\":}", `"`, "\x00", deep("[", "]"),
			deep(`{"a":`, "}"), `{"objects":[{"type":"indicator","pattern":"[a:b='\\'']"}],"more":true}`, `{"response":[{"Event":{"Attribute":[{}]}}]}`, `{"results":[{"indicators":[{"indicator":""}]}]}`}
	case "rss", "openioc", "xml", "html":
		return []string{"<", "<a", "<a>", "</a>", "<a b=", "<a b='c' B=d>&amp;&x;&#0;&#x10ffff;</a>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<![CDATA[<a>]]>", "<!-- -- -->", "<?xml version='1.0' encoding='utf-16'?><a/>",
			"<?xml version='1.0' encoding='iso-8859-1'?><a>\xe4</a>", "<a:b xmlns:a='x'><a:c/></a:b>", deep("<a>", "</a>"), "<rss><item><title>a.example</title></item></rss>", "<ioc><IndicatorItem><Content>a.example</Content></IndicatorItem></ioc>",
			"<table><tr><th>v<td rowspan=2 colspan=9>a.example<tr><td><table><tr><td>b.example</table></table>"}
	case "delegated", "ip2asn":
		return []string{"2|apnic|1|1|1|1|+10", "apnic|*|ipv4|*|1|summary", "apnic|AU|ipv4|1.0.0.0|4294967296|20110811|assigned", "apnic|AU|ipv4|255.255.255.255|2|20110811|assigned", "apnic|AU|ipv6|::|0|20110811|assigned|x",
			"apnic|AU|ipv6|2001::|129|20110811|assigned", "||||||", "apnic|AU|asn|1|1|20110811|allocated", "1.0.0.0\t1.0.0.255\t13335\tUS\tX", "::\tffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\t1\tUS\tX", "1.0.0.0\t0.0.0.1\t1", "\t\t\t\t",
			"1.0.0.0\t1.0.0.0\t-1", "1.0.0.1\t1.255.255.254\t1\tUS\t\xff", "0|", "|0", "apnic|AU|ipv4|1.0.0.1|16777214|0|allocated", "fe80::1%x\tfe80::2\t1", "a\tb\t1", "1e400|a|b|c|d|e|f"}
	case "ipset", "rbldnsd", "dshield", "rules":
		return []string{"0.0.0.0-255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "198.51.100.9-198.51.100.1", "198.51.100.1-", "2001:db8::/129", "1.2.3", "1.2.3.4/0", "!1.2.3.4", ":127.0.0.2:$", "$SOA",
			"alert ip [1.2.3.4,[5.6.7.8,!9.9.9.9]] any -> any any (content:\"|41|\"; sid:1;)", "alert\\\nip", "(;;;)", "add a 1.2.3.4,tcp:80 comment \"x\"", "Start\tEnd"}
	}
	return []string{"", "\n", "\r\r\n", ",", `"`, `"a""b",c`, "\"a\nb\",c", "a,b,c\n", "#", " # a", "a.example # b", "hxxp://a[.]example/", "*.a.example", ".a.example", "0.0.0.0 a.example b.example", "||a.example^$x", "@@||a.example^",
		"address=/a.example/b.example/0.0.0.0", "local-zone: \"a.example\" static", "zone \"a.example\" { type master; };", "zone { { {", "a CNAME .\n$ORIGIN b.example.\n@ IN CNAME .", "a.example CNAME ( ;x\n.)", "\xff\xfea\x00", "\x80\x81"}
}

// TestFuzzSeeds: every format has a target's worth of small, different seeds.
func TestFuzzSeeds(t *testing.T) {
	for _, f := range formats {
		if f.name == "taxii" {
			continue // the reader of stix
		}
		specs, seeds := fuzzSeeds(t, f.name)
		if len(specs) == 0 || len(seeds) < 20 {
			t.Errorf("%s: %d seeds", f.name, len(seeds))
		}
	}
}
