package query

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestTokens(t *testing.T) {
	long := strings.Repeat("é", MaxToken) // 2 bytes each
	for s, want := range map[string]string{
		"":                                 "",
		" ... !":                           "",
		"phishing":                         "phishing",
		"#Phishing":                        "phishing",
		"bad-site.example":                 "bad site example",
		"hxxp://Bad.EXAMPLE:80/a_b?c=d#e":  "hxxp bad example 80 a b c d e",
		"203.0.113.7/24":                   "203 0 113 7 24",
		"2001:db8::bad":                    "2001 db8 bad",
		"a@b.example":                      "a b example",
		"CVE-2021-44228":                   "cve 2021 44228",
		"Ｆｕｌｌ　ｗｉｄｔｈ":                       "full width",
		"ﬁne ½ x²":                         "fine 1 2 x2",
		"İstanbul I\u0307 i\u0307":         "istanbul i i",
		"Straße STRAẞE":                    "straße straße",
		"ΣΊΣΥΦΟΣ σίσυφος":                  "σίσυφοσ σίσυφοσ",
		"K Å ſ µ":                          "k å s μ",
		"Привет, МИР":                      "привет мир",
		"日本語 テスト ﾃｽﾄ":                      "日本語 テスト テスト",
		"हिन्दी":                           "हिन्दी",
		"e\u0301 é":                        "é é",
		"J\u030c ǰ":                        "ǰ ǰ",
		"phi\u200bsh\u00ading":             "phishing",
		"❤\ufe0f a\ufe0f":                  "a",
		"\u0301a":                          "a",
		"\xffa\xc3b":                       "a b",
		"a" + strings.Repeat("\u0301", 20): "á" + strings.Repeat("\u0301", 8),
		long:                               long[:MaxToken],
		strings.Repeat("a", 129) + " b":    strings.Repeat("a", 128) + " b",
		strings.Repeat("f", 128):           strings.Repeat("f", 128),
	} {
		got := strings.Join(Tokens(nil, s), " ")
		if got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	if got := Tokens([]string{"x"}, "A b"); !slices.Equal(got, []string{"x", "a", "b"}) {
		t.Errorf("appended: %q", got)
	}
}

func TestKeyword(t *testing.T) {
	for s, want := range map[string]string{
		"#Cobalt_Strike": "cobalt strike", "  A  ": "a", "win.emotet": "win emotet", "": "", " + ": "+", "C++": "c",
		strings.Repeat("a", 200): strings.Repeat("a", 200), "Ｘ": "x",
	} {
		if got := Keyword(s); got != want || Keyword(got) != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

// TestFoldRunes: folding again changes nothing, and neither does writing the
// same in another case or another normal form, for every character there is.
func TestFoldRunes(t *testing.T) {
	fold := foldString
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if r >= 0xac00 && r < 0xd7a4 || r >= 0x20000 || utf8.RuneLen(r) < 0 {
			continue // Hangul syllables and most ideographs are alike
		}
		s := string(r)
		f := fold(s)
		if fold(f) != f {
			t.Errorf("%U: %q, then %q", r, f, fold(f))
		}
		if g := fold(norm.NFKD.String(s)); g != f {
			t.Errorf("%U: %q, decomposed %q", r, f, g)
		}
		if c := unicode.SimpleFold(r); c != r && !unicode.IsMark(c) && !unicode.IsMark(r) && fold(string(c)) != f {
			t.Errorf("%U: %q, but %U %q", r, f, c, fold(string(c)))
		}
	}
}

// TestFoldPairs: the same with a mark on each letter that has cases.
func TestFoldPairs(t *testing.T) {
	for r := rune('A'); r < 0x530; r++ {
		c := unicode.SimpleFold(r)
		if c == r || unicode.IsMark(r) || unicode.IsMark(c) {
			continue
		}
		for m := rune(0x300); m < 0x30d; m++ {
			a, b := foldString(string([]rune{r, m})), foldString(string([]rune{c, m}))
			if a != b || foldString(a) != a || foldString(norm.NFD.String(a)) != a {
				t.Errorf("%U %U: %q, other case %q, again %q", r, m, a, b, foldString(a))
			}
		}
	}
}

// naive cuts by the words of the definition.
func naive(s string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(string(Fold(nil, s)), func(r rune) bool { return !unicode.In(r, unicode.L, unicode.M, unicode.N) }) {
		w = strings.TrimLeftFunc(w, unicode.IsMark)
		if w == "" {
			continue
		}
		for len(w) > MaxToken {
			_, n := utf8.DecodeLastRuneInString(w)
			w = w[:len(w)-n]
		}
		out = append(out, w)
	}
	return out
}

// checkTokens holds both tokenizers against the naive one.
func checkTokens(t *testing.T, s string) {
	t.Helper()
	got, want := Tokens(nil, s), naive(s)
	if !slices.Equal(got, want) {
		t.Fatalf("%q: %q, want %q", s, got, want)
	}
	var k Tokenizer
	k.Reset("before")
	k.Reset(s)
	for i := 0; ; i++ {
		tok := k.Next()
		if tok == nil {
			if i != len(want) {
				t.Fatalf("%q: Tokenizer ends after %d of %d", s, i, len(want))
			}
			break
		}
		if i >= len(want) || string(tok) != want[i] {
			t.Fatalf("%q: Tokenizer has %q at %d of %q", s, tok, i, want)
		}
	}
	if again := Tokens(nil, strings.Join(got, " ")); !slices.Equal(again, got) {
		t.Fatalf("%q: tokens %q, of which the tokens are %q", s, got, again)
	}
	if f := foldString(s); string(Fold(nil, s)) != f || foldString(f) != f {
		t.Fatalf("%q: folded %q, %q, again %q", s, f, Fold(nil, s), foldString(f))
	}
	if k := Keyword(s); Keyword(k) != k {
		t.Fatalf("%q: keyword %q, of which it is %q", s, k, Keyword(k))
	}
}

// alphabet is what random texts are made of: mostly what feeds have, and all that is odd.
var alphabet = []rune("aaabbbccXYZ019-._/ :#@,éÉßẞΣςſKﬁ½²ǰJ\u030c\u0301\u0345\u200b\u00ad\ufe0f\u034f日本ﾃ❤हि\u0130ı\ufffd")

func randomText(r *rand.Rand, n int) string {
	out := make([]rune, r.IntN(n+1))
	for i := range out {
		out[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(out)
}

func TestTokensNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5_000 {
		checkTokens(t, randomText(r, 30))
	}
	for range 20 {
		checkTokens(t, randomText(r, 3)+strings.Repeat(randomText(r, 5), 200))
	}
}

func FuzzTokens(f *testing.F) {
	for _, s := range []string{"#Phishing", "bad-site.example", "Straße ΣΣ", "J\u030c", strings.Repeat("a\u0301", 90), "\xff\xfe", "\u1100\u1161\u11a8"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) < 4096 {
			checkTokens(t, s)
		}
	})
}

func BenchmarkTokens(b *testing.B) {
	for name, s := range map[string]string{
		"url":   "http://bad-site.example/login/gate.php?id=7&session=0a1b2c3d",
		"upper": "Was reported to ThreatFox as infrastructure or payload of the malware named.",
		"utf8":  "Фишинговый сайт, замечен 2026-09-25",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(s)))
			dst := make([]string, 0, 32)
			for b.Loop() {
				dst = Tokens(dst[:0], s)
			}
		})
		b.Run("tokenizer-"+name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(s)))
			var k Tokenizer
			for b.Loop() {
				k.Reset(s)
				for k.Next() != nil {
				}
			}
		})
	}
}
