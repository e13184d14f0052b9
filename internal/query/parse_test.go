package query

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// TestParse holds trees against what their text must give, columns included.
func TestParse(t *testing.T) {
	inf := math.Inf(1)
	day := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	for q, want := range map[string]Node{
		"*":             All{1},
		"  phishing ":   Term{3, "", "phishing"},
		"Phishing-Kit":  Phrase{1, "", []string{"phishing", "kit"}, false},
		`"AND"`:         Term{1, "", "and"},
		"and":           Term{1, "", "and"},
		"phish*":        Prefix{1, "", "phish"},
		"ＰＨＩＳＨ*":        Prefix{1, "", "phish"},
		"cobalt-st*":    Phrase{1, "", []string{"cobalt", "st"}, true},
		`"cobalt st"*`:  Phrase{1, "", []string{"cobalt", "st"}, true},
		`"cobalt"*`:     Prefix{1, "", "cobalt"},
		"*ayp?l":        Wildcard{1, "", "*ayp?l", false},
		"PAY**?al":      Wildcard{1, "", "pay?*al", false},
		`a\*b`:          Phrase{1, "", []string{"a", "b"}, false},
		`a\ b`:          Phrase{1, "", []string{"a", "b"}, false},
		`a\b`:           Phrase{1, "", []string{"a", "b"}, false},
		"a(b)":          Phrase{1, "", []string{"a", "b"}, false},
		"évil":          Term{1, "", "évil"},
		"a b":           And{1, []Node{Term{1, "", "a"}, Term{3, "", "b"}}},
		"a AND b":       And{1, []Node{Term{1, "", "a"}, Term{7, "", "b"}}},
		"é OR b c":      Or{1, []Node{Term{1, "", "é"}, And{6, []Node{Term{6, "", "b"}, Term{8, "", "c"}}}}},
		"(a OR b) c":    And{2, []Node{Or{2, []Node{Term{2, "", "a"}, Term{7, "", "b"}}}, Term{10, "", "c"}}},
		"a(b OR c)":     And{1, []Node{Term{1, "", "a"}, Or{3, []Node{Term{3, "", "b"}, Term{8, "", "c"}}}}},
		"NOT a":         Not{1, Term{5, "", "a"}},
		"NOT(a)":        Not{1, Term{5, "", "a"}},
		`NOT"a"`:        Not{1, Term{4, "", "a"}},
		"-(a)":          Not{1, Term{3, "", "a"}},
		"-a -b":         And{1, []Node{Not{1, Term{2, "", "a"}}, Not{4, Term{5, "", "b"}}}},
		"NOT NOT a":     Not{1, Not{5, Term{9, "", "a"}}},
		"NOT a OR b":    Or{1, []Node{Not{1, Term{5, "", "a"}}, Term{10, "", "b"}}},
		"((a))":         Term{3, "", "a"},
		"tag:a":         Term{1, "tag", "a"},
		"TAG: a":        Term{1, "tag", "a"},
		"tag:AND":       Term{1, "tag", "and"},
		"tag:(a -b)":    And{6, []Node{Term{6, "tag", "a"}, Not{8, Term{9, "tag", "b"}}}},
		`tag:("a:b" c)`: And{6, []Node{Phrase{6, "tag", []string{"a", "b"}, false}, Term{12, "tag", "c"}}},
		"tag:=A_b":      Equal{1, "tag", "a b"},
		"tag:=a-*b":     Wildcard{1, "tag", "a *b", true},
		"tag:=#ab-*":    Wildcard{1, "tag", "ab *", true},
		"tag:*":         Exists{1, "tag"},
		"context.x:*":   Exists{1, "context.x"},
		"feed:a-b":      Equal{1, "feed", "a-b"},
		"feed:a-*":      Wildcard{1, "feed", "a-*", true},
		"tlp:WHITE":     Equal{1, "tlp", "clear"},
		"tlp:tlp:amber": Equal{1, "tlp", "amber"},
		"country:NO":    Equal{1, "country", "no"},

		"203.0.113.7":                Exact{1, "", intel.Indicator{Kind: intel.IPv4, Value: "203.0.113.7"}, []string{"203", "0", "113", "7"}},
		"hxxp://Bad[.]example/a?b":   Exact{1, "", intel.Indicator{Kind: intel.URL, Value: "http://bad.example/a?b"}, []string{"http", "bad", "example", "a", "b"}},
		"(evil(dot)example)":         Exact{2, "", intel.Indicator{Kind: intel.Domain, Value: "evil.example"}, []string{"evil", "example"}},
		"feed:1::2":                  Exact{1, "", intel.Indicator{Kind: intel.IPv6, Value: "feed:1::2"}, []string{"feed", "1", "2"}},
		"beef::1":                    Exact{1, "", intel.Indicator{Kind: intel.IPv6, Value: "beef::1"}, []string{"beef", "1"}},
		"feed://a.example/":          Exact{1, "", intel.Indicator{Kind: intel.URL, Value: "feed://a.example/"}, []string{"feed", "a", "example"}},
		"value:bad.example":          Exact{1, "value", intel.Indicator{Kind: intel.Domain, Value: "bad.example"}, []string{"bad", "example"}},
		`value:="bad(.)example"`:     Exact{1, "value", intel.Indicator{Kind: intel.Domain, Value: "bad.example"}, nil},
		"value:paypal":               Term{1, "value", "paypal"},
		"value:=ABC":                 Equal{1, "value", "abc"},
		"value:*.PHP\\?x":            Wildcard{1, "value", `*.php\?x`, true},
		`value:"http://a.example/"*`: Wildcard{1, "value", "http://a.example/*", true},

		"domain:A.example.":                     Domain{1, "a.example", false},
		"domain:*.a[.]example":                  Domain{1, "a.example", true},
		"domain:*.zip":                          Domain{1, "zip", true},
		"domain:*.рф":                           Domain{1, "xn--p1ai", true},
		"domain:pay*.example":                   Wildcard{1, "domain", "pay*.example", true},
		"*.a.example":                           Domain{1, "a.example", true},
		"domain:*":                              Exists{1, "domain"},
		"net:203.0.113.9/24":                    Net{1, netip.MustParsePrefix("203.0.113.0/24")},
		"net:2001:db8::/32":                     Net{1, netip.MustParsePrefix("2001:db8::/32")},
		"net:203.0.113[.]9":                     Net{1, netip.MustParsePrefix("203.0.113.9/32")},
		"kind:SHA256":                           Kinds{1, intel.SHA256.Set()},
		"kind:hash":                             Kinds{1, intel.Hashes},
		"kind:ip":                               Kinds{1, intel.Networks},
		"kind:cidr":                             Kinds{1, intel.CIDR.Set()},
		"listed:True":                           Listed{1, true},
		"port:80":                               Number{Pos: 1, Field: "port", Min: 80, Max: 80},
		"port:=80":                              Number{Pos: 1, Field: "port", Min: 80, Max: 80},
		"port: > 80":                            Number{Pos: 1, Field: "port", Min: 81, Max: inf},
		"port:<80":                              Number{Pos: 1, Field: "port", Min: -inf, Max: 79},
		"port:1..1024":                          Number{Pos: 1, Field: "port", Min: 1, Max: 1024},
		"asn:as64500..":                         Number{Pos: 1, Field: "asn", Min: 64500, Max: inf},
		"context.A-b:>-1.5":                     Number{Pos: 1, Field: "context.a b", Min: -1.5, Max: inf, MinOpen: true},
		"context.x:..5":                         Number{Pos: 1, Field: "context.x", Min: -inf, Max: 5},
		"context.x:5":                           Term{1, "context.x", "5"},
		"context.x:-5":                          Term{1, "context.x", "5"},
		"context.x:=5":                          Equal{1, "context.x", "5"},
		"context.x:a..b":                        Phrase{1, "context.x", []string{"a", "b"}, false},
		`context.x:"1..5"`:                      Phrase{1, "context.x", []string{"1", "5"}, false},
		"context.x:>2026-01-31":                 Date{1, "context.x", day.AddDate(0, 0, 1), time.Time{}, ">2026-01-31"},
		"first_seen:2026-01-31":                 Date{1, "first_seen", day, day.AddDate(0, 0, 1), "2026-01-31"},
		"first_seen:<2026-01-31":                Date{1, "first_seen", time.Time{}, day, "<2026-01-31"},
		"first_seen:<=2026-01-31":               Date{1, "first_seen", time.Time{}, day.AddDate(0, 0, 1), "<=2026-01-31"},
		"first_seen:>=2026-01-31":               Date{1, "first_seen", day, time.Time{}, ">=2026-01-31"},
		"first_seen:2026-01..":                  Date{1, "first_seen", day.AddDate(0, 0, -30), time.Time{}, "2026-01.."},
		"first_seen:2026..2026":                 Date{1, "first_seen", day.AddDate(0, 0, -30), day.AddDate(1, 0, -30), "2026..2026"},
		"first_seen:>2026-01-31T01:00:00+01:00": Date{1, "first_seen", day.Add(1), time.Time{}, ">2026-01-31T01:00:00+01:00"},
		"last_seen:<30d":                        Date{1, "last_seen", now.AddDate(0, 0, -30).Add(1), time.Time{}, "<30d"},
		"last_seen:<=1w":                        Date{1, "last_seen", now.AddDate(0, 0, -7), time.Time{}, "<=7d"},
		"last_seen:>90m":                        Date{1, "last_seen", time.Time{}, now.Add(-90 * time.Minute), ">90m"},
		"last_seen:>=24h":                       Date{1, "last_seen", time.Time{}, now.AddDate(0, 0, -1).Add(1), ">=1d"},
		"last_seen:1d..7d":                      Date{1, "last_seen", now.AddDate(0, 0, -7), now.AddDate(0, 0, -1).Add(1), "1d..7d"},
		"last_seen:..7d":                        Date{1, "last_seen", now.AddDate(0, 0, -7), time.Time{}, "..7d"},
	} {
		got, err := Parse(q, now)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got  %#v, %v\n want %#v", q, got, err, want)
			continue
		}
		if again := reparse(t, got); again.String() != got.String() {
			t.Errorf("%s: printed as %s, which gives %s", q, got, again)
		}
	}
}

// TestErrors: the column, and a piece of the sentence.
func TestErrors(t *testing.T) {
	for q, want := range map[string]struct {
		column int
		text   string
	}{
		"":                                {1, "got the end, expected a term"},
		"   ":                             {4, "got the end, expected a term"},
		"...":                             {1, "at least one letter or digit"},
		"a OR":                            {5, "got the end, expected a term"},
		"OR a":                            {1, "got OR, expected a term; to search for the word itself, write it in lower case"},
		"a AND AND b":                     {7, "got AND, expected a term"},
		"é AND )":                         {7, `got ")", expected a term`},
		"()":                              {2, `got ")", expected a term`},
		"(a":                              {1, `"(" that is never closed`},
		"a (b (c)":                        {3, `"(" that is never closed`},
		"a)":                              {2, `no "(" is open`},
		"NOT":                             {4, "got the end, expected a term"},
		"a -":                             {3, `got "-" alone`},
		"a - b":                           {3, `got "-" alone`},
		`é "b c`:                          {3, "a quote that is never closed"},
		`é "b"c`:                          {6, `got "c", expected a blank`},
		`ab"c"`:                           {3, "a quote inside a word"},
		`a\`:                              {2, "a backslash at the end"},
		"!a":                              {1, `write NOT or -`},
		"a && b":                          {3, "write AND"},
		"a || b":                          {3, "write OR"},
		">5":                              {1, "a comparison without a field"},
		"tag=x":                           {4, "a colon behind tag; write tag:…"},
		"context.x>=5":                    {10, "write context.x:>…"},
		"a p*":                            {3, "at least 2 characters in front of *"},
		"a-p*":                            {1, "at least 2 characters in front of *"},
		"*ab":                             {1, "or 3 in a row"},
		"p*yp*":                           {1, "or 3 in a row"},
		"a bad-*x":                        {3, "write value:PATTERN"},
		"phishing-*":                      {1, "write value:PATTERN"},
		"tag:bad-*x":                      {5, "write tag:=PATTERN"},
		"tgg:x":                           {1, "did you mean tag:?"},
		"a (tyep:x)":                      {4, "unknown field \"tyep\""},
		"Malwrae:x":                       {1, "did you mean malware:?"},
		"type:x":                          {1, "did you mean kind:?"},
		"score:>80":                       {1, "confidence:>=80"},
		"context:x":                       {1, "write context.NAME"},
		"context.:x":                      {1, "write context.NAME"},
		"context._:x":                     {1, "unknown field"},
		"qqqqqqqq:x":                      {1, "in quotes"},
		strings.Repeat("q", 99) + ":x":    {1, "in quotes"},
		"tag:":                            {5, "got the end, expected a value for tag"},
		"tag: OR a":                       {6, "got OR, expected a value for tag"},
		"(tag:)":                          {6, `got ")", expected a value for tag`},
		"tag:(a feed:b)":                  {8, "the field feed inside tag:( )"},
		"tag:-a":                          {5, "write -tag:…"},
		"tag:!a":                          {5, "write -tag:…"},
		"tag:(a !b)":                      {8, "write -tag:…"},
		"tag:>a":                          {5, "tag has no order"},
		"tag:!=a":                         {5, "write NOT tag:…"},
		"tag:=":                           {6, "got the end, expected a value for tag"},
		"feed:p*":                         {6, "at least 2 characters"},
		`feed:""`:                         {6, "a value for feed"},
		"tlp:blue":                        {5, "one of clear green amber amber+strict red"},
		"kind:ipv5":                       {6, "the unknown kind \"ipv5\", expected one of ipv4"},
		"kind:ip*":                        {6, "a wildcard"},
		"kind:*":                          {1, "every listing has one"},
		"net:*":                           {1, "write kind:ip"},
		"net:203.0.113.0/33":              {5, "the prefix length is not a number from 1 to 32"},
		"net:bad.example":                 {5, "of kind domain"},
		"listed:yes":                      {8, "expected true or false"},
		"domain:203.0.113.7":              {8, "write net: for addresses"},
		"domain:http://bad.example/x":     {8, "write domain:bad.example"},
		"domain:*.":                       {8, "a domain behind *."},
		"domain:a..example":               {8, "a domain such as"},
		"port:99999":                      {6, "from 0 to 65535"},
		"port:x":                          {6, "from 0 to 65535"},
		"port:5..1":                       {6, "the range runs backwards"},
		"port:..":                         {6, "from 0 to 65535"},
		"port:>1..5":                      {7, "from 0 to 65535"},
		"port:>65535":                     {7, "no number is >65535"},
		"port:<0":                         {7, "no number is <0"},
		"confidence:1.5":                  {12, "a whole number from 0 to 100"},
		"asn:ASX":                         {5, "from 0 to 4294967295"},
		"last_seen:30d":                   {11, "write <30d for younger than that"},
		"last_seen:<30y":                  {12, "a time needs seconds and a zone"},
		"last_seen:<1.2.3d":               {12, "an age is a number of"},
		"last_seen:7d..1d":                {11, "the younger age comes first"},
		"last_seen:7d..2026":              {11, "an age is a number of"},
		"last_seen:>1d..7d":               {12, "a range stands alone"},
		"first_seen:2026-13":              {12, "no such date"},
		"first_seen:2026-02-30":           {12, "no such date"},
		"first_seen:0026":                 {12, "a year before 1900"},
		"first_seen:2026-02..2026-01":     {12, "the range runs backwards"},
		"first_seen:2026-01-01T10:00":     {12, "a time needs seconds and a zone"},
		"context.x:>abc":                  {12, "a number, a date (2026-01-31) or an age"},
		"context.x:5..1":                  {11, "a range that runs upwards"},
		strings.Repeat("a ", 256) + "é x": {513, "a clause too many, expected at most 256"},
		strings.Repeat("(", 33) + "a":     {33, "at most 32 parentheses"},
		strings.Repeat("-", 40) + "a":     {33, "at most 32 parentheses"},
		strings.Repeat("é", 4097):         {4097, "a query of 8194 bytes, expected at most 8192"},
		"é \xff":                          {3, "not UTF-8"},
	} {
		_, err := Parse(q, now)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %v, want an *Error at column %d", q, err, want.column)
			continue
		}
		if e.Column != want.column || !strings.Contains(e.Error(), want.text) {
			t.Errorf("%q: %v\n want column %d, … %s …", q, err, want.column, want.text)
		}
		if e.Got == "" || e.Expected == "" || strings.ContainsAny(e.Error(), "\n\t") || len(e.Error()) > 400 {
			t.Errorf("%q: not a sentence: %q", q, e.Error())
		}
	}
}

// TestLimits: what is just allowed.
func TestLimits(t *testing.T) {
	for _, q := range []string{
		strings.Repeat("a ", 255) + "b",
		strings.Repeat("(", 32) + "a" + strings.Repeat(")", 32),
		strings.Repeat("NOT ", 32) + "a",
		strings.Repeat("x", MaxLength),
		"http://a.example/" + strings.Repeat("a/", 4000),
	} {
		n, err := Parse(q, now)
		if err != nil {
			t.Errorf("%.40s…: %v", q, err)
			continue
		}
		Normal(n)
	}
}

// hostile are texts of about n bytes that are built to take long.
func hostile(n int) map[string]string {
	fill := func(s string) string { return strings.Repeat(s, n/len(s)) }
	return map[string]string{
		"word": fill("a"), "open": fill("a("), "pairs": "x" + fill("(a)"), "close": "(" + fill("a)"), "nest": "x" + strings.Repeat("(", n/2) + strings.Repeat(")", n/2),
		"colons": fill("a:"), "stars": fill("*a"), "ones": fill("a?"), "escapes": fill(`\(`), "quotes": fill(`" `), "dots": fill("a."),
		"domain": fill("xn--a."), "idn": fill("é."), "hosts": "http://" + fill("é"), "defanged": fill("[.]"), "not": fill("-"), "words": fill("ab "),
		"ranges": "port:" + fill(".."), "marks": "a" + fill("\u0301"), "field": "context." + fill("a") + ":x", "unknown": fill("q") + ":x",
		"groups": fill("tag:(a "), "dashes": fill("a-"), "ipv6": fill("1:"), "slashes": "a.example/" + fill("../"), "value": "value:*" + fill("ab*"),
	}
}

// TestLinear: twice the text takes at most about twice the memory, and no text more
// than a few hundred bytes a byte.
func TestLinear(t *testing.T) {
	cost := func(q string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, err := Parse(q, now)
		if err == nil {
			_ = Normal(n).String()
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	whole := hostile(MaxLength - 40)
	for name, half := range hostile(MaxLength/2 - 20) {
		a, b := cost(half), cost(whole[name])
		if b > 3*a+200_000 || b > 500*MaxLength {
			t.Errorf("%s: %d bytes for 4 KiB, %d for 8 KiB", name, a, b)
		}
	}
}

func FuzzParse(f *testing.F) {
	_, finds, errs := guide(f)
	for _, r := range append(finds, errs...) {
		f.Add(r.query)
	}
	for _, q := range hostile(60) {
		f.Add(q)
	}
	listings, _, _ := guide(f)
	f.Fuzz(func(t *testing.T, q string) {
		n, err := Parse(q, now)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Column < 1 || e.Column > len(q)+1 || n != nil {
				t.Fatalf("%q: %v", q, err)
			}
			return
		}
		if err := checkTree(n, n, len(q)); err != nil {
			t.Fatalf("%q: %v", q, err)
		}
		if len(n.String()) <= MaxLength {
			if again := reparse(t, n); again.String() != n.String() {
				t.Fatalf("%q: printed as %s, which gives %s", q, n, again)
			}
		}
		normal := Normal(n)
		if s := Normal(normal).String(); s != normal.String() {
			t.Fatalf("%q: normal form %s, of which it is %s", q, normal, s)
		}
		for _, l := range listings {
			if d := l.doc(); Match(n, d) != Match(normal, d) {
				t.Fatalf("%q: %s and its normal form %s differ on %s", q, n, normal, l.Letter)
			}
		}
	})
}

// checkTree holds what the comments of the node types promise.
func checkTree(root, n Node, length int) error {
	if n.Column() < 1 || n.Column() > length {
		return fmt.Errorf("%T %s at column %d of %d", n, n, n.Column(), length)
	}
	var inner []Node
	switch n := n.(type) {
	case And:
		inner = n.Nodes
	case Or:
		inner = n.Nodes
	case Not:
		inner = []Node{n.Node}
	case Phrase:
		if len(n.Tokens) < 2 {
			return fmt.Errorf("phrase of %q", n.Tokens)
		}
	case Wildcard:
		if !n.Pattern.Match(strings.NewReplacer("*", "", "?", "x", `\*`, "*", `\?`, "?", `\\`, `\`).Replace(string(n.Pattern))) {
			return fmt.Errorf("pattern %q does not match itself without stars", n.Pattern)
		}
		if strings.Contains(string(n.Pattern), "**") && !strings.Contains(string(n.Pattern), `\`) {
			return fmt.Errorf("pattern %q is not in order", n.Pattern)
		}
	}
	for _, m := range inner {
		if err := checkTree(root, m, length); err != nil {
			return err
		}
	}
	return nil
}

func BenchmarkParse(b *testing.B) {
	for _, q := range []string{
		"phishing",
		"bad-site.example",
		"phishing kit -tag:test last_seen:<7d (provider:abuse.ch OR confidence:>=80)",
	} {
		b.Run(q[:8], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(q, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for name, q := range hostile(MaxLength - 40) {
		b.Run("8KiB-"+name, func(b *testing.B) {
			b.SetBytes(int64(len(q)))
			for b.Loop() {
				if n, err := Parse(q, now); err == nil {
					_ = Normal(n)
				}
			}
		})
	}
}
