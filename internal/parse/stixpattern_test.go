package parse

import (
	"strings"
	"testing"
)

// TestPattern reads patterns of the kinds that the standard's examples have.
func TestPattern(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{`[file:hashes.'SHA-256' = 'ab' OR file:hashes.MD5 = 'cd'] AND [a:b = 'x']`, "file:hashes.SHA-256 = ab; file:hashes.MD5 = cd; a:b = x (or)"},
		{`([file:hashes.MD5 = 'ab'] FOLLOWEDBY [win-registry-key:key = 'HKEY\\foo']) WITHIN 300 SECONDS`, `file:hashes.MD5 = ab; win-registry-key:key = HKEY\foo`},
		{`[file:extensions.'windows-pebinary-ext'.sections[*].entropy > 7.0]`, "file:extensions.windows-pebinary-ext.sections[*].entropy > 7.0"},
		{`[a:b IN ('x', 'y') AND c:d NOT IN (1,-2)]`, "a:b IN x,y; c:d not IN 1,-2"},
		{`[(file:name = 'pdf.exe' OR file:size = 3) AND file:created = t'2014-01-13T07:03:17Z']`, "file:name = pdf.exe; file:size = 3; file:created = 2014-01-13T07:03:17Z (or)"},
		{`[process:command_line MATCHES'^.+ -s$'] REPEATS 5 TIMES WITHIN 2 SECONDS START t'x' STOP t'y'`, "process:command_line MATCHES ^.+ -s$"},
		{`[file:magic_number_hex = h'ffd8' and EXISTS a:b and not c:d = true]`, "file:magic_number_hex = ffd8; a:b EXISTS ; c:d not = true"},
		{``, "error: the pattern ends where [ belongs"},
		{`[a:b = 'x`, "error: the pattern has a text that is not closed"},
		{`[a:b ~ 'x']`, `error: the pattern has "~ 'x']" where an operator belongs`},
		{`[b = 'x']`, `error: the pattern has "b = 'x']" where a path such as ipv4-addr:value belongs`},
		{`[a:b = 'x'] 7`, `error: the pattern has "7" where nothing more belongs`},
		{`[a:b = 'x'] WITHIN 5`, "error: the pattern ends where SECONDS belongs"},
	} {
		var p pattern
		got := ""
		if err := p.parse(c.pattern); err != nil {
			got = "error: " + err.Error()
		} else {
			var terms []string
			for _, term := range p.terms {
				not := ""
				if term.not {
					not = "not "
				}
				terms = append(terms, term.path+" "+not+term.op+" "+strings.Join(term.values, ","))
			}
			got = strings.Join(terms, "; ")
			if p.or {
				got += " (or)"
			}
		}
		if got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.pattern, got, c.want)
		}
	}
}
