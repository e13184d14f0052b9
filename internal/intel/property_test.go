package intel

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// checkProperties fails where a value breaks what must hold for every value.
func checkProperties(t *testing.T, s string) {
	t.Helper()
	i, err := Detect(s)
	if err != nil {
		checkValueError(t, s, err)
		return
	}
	if again, err := Parse(i.Value, i.Kind.Set()); err != nil || again != i {
		t.Errorf("%q is %v %q; parsed again it is %v %q, %v", s, i.Kind, i.Value, again.Kind, again.Value, err)
	}
	if d, err := Detect(i.Value); err != nil || d != i {
		t.Errorf("%q is %v %q; detected again it is %v %q, %v", s, i.Kind, i.Value, d.Kind, d.Value, err)
	}
	for _, x := range []string{s, i.Value} {
		if d, err := Detect(Refang(Defang(x))); err != nil || d != i {
			t.Errorf("%q defanged is %q, which gives %v %q, %v; want %v %q", x, Defang(x), d.Kind, d.Value, err, i.Kind, i.Value)
		}
	}
	checkShortCut(t, s)
	checkDerived(t, i)
}

// checkValueError fails where a refusal is not of the promised form.
func checkValueError(t *testing.T, s string, err error) {
	t.Helper()
	var v *ValueError
	if !errors.As(err, &v) || v.Code == "" || v.Reason == "" || len(v.Value) > 200 || !strings.HasPrefix(s, v.Value) {
		t.Errorf("%q: error %#v", s, err)
	}
}

// checkShortCut fails where the short cut of Parse decides otherwise than the long way.
func checkShortCut(t *testing.T, s string) {
	t.Helper()
	s = Trim(s)
	plain, ok := parsePlain(s, AnyKind)
	if !ok {
		return
	}
	if i, f := parseAny(s, AnyKind); f != nil || i != plain {
		t.Errorf("%q: the short cut gives %v %q, the long way %v %q %v", s, plain.Kind, plain.Value, i.Kind, i.Value, f)
	}
}

// checkDerived fails where what is derived from an indicator contradicts it.
func checkDerived(t *testing.T, i Indicator) {
	t.Helper()
	q := Ask(i)
	if q.Indicator != i || len(q.Keys) == 0 || q.Keys[0] != (Key{i, RelExact}) {
		t.Errorf("Ask(%v) starts with %v", i, q.Keys)
	}
	seen := map[Indicator]bool{}
	for _, k := range q.Keys {
		if seen[k.Indicator] {
			t.Errorf("Ask(%v) asks twice for %v", i, k)
		}
		seen[k.Indicator] = true
	}
	if a, ok := i.Addr(); ok && (a.Is4In6() || a.Zone() != "") {
		t.Errorf("Addr of %v is %v", i, a)
	}
	p, ok := i.Prefix()
	if want := i.Kind == CIDR || i.Kind == IPv4 || i.Kind == IPv6; ok != want {
		t.Errorf("Prefix of %v is %v, %v", i, p, ok)
	}
	if i.Kind != URL && (i.Host() == "") != (i.Kind == CIDR || Hashes.Has(i.Kind)) { // http://./ is a URL
		t.Errorf("Host of %v is %q", i, i.Host())
	}
	_ = Reserved(i)
}

func TestPropertiesOfGoldenTable(t *testing.T) {
	for _, c := range goldenCases(t) {
		checkProperties(t, c.input)
		if c.kind != "-" {
			checkProperties(t, c.canonical)
		}
	}
}

// alphabet has what values are made of and what they are disguised with.
var alphabet = strings.Split("a|b|x|evil|example|com|co.uk|xn--|mnchen-3ya|www|1|0|255|192.0.2.|198.51.100.7|198.51.100.7|198.51.100.0/2|:443|0x7f|08|.|.|.|:|:|/|/|//|://|http|https|hxxp|hXXps|ftp|tcp|@|[|]|(|)|{|}|[.]|(dot)|[dot]|[:]|[@]|(at)|\\|\\.|?|#|=|&|%|%2e|%2F|%41|-|_|*|::|ffff|2001:db8|443|80|24|32|ü|ß|ø|а|。|\u200b|\u00ad|\ufeff| |\t|\x00|+|'|\"|<|^|d41d8cd98f00b204e9800998ecf8427e|md5:|mailto:|~|!|$|,|;", "|")

func TestPropertiesOfRandomValues(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	found := map[Kind]int{}
	for range 100_000 {
		var b strings.Builder
		for range 1 + rnd.IntN(9) {
			b.WriteString(alphabet[rnd.IntN(len(alphabet))])
		}
		if i, err := Detect(b.String()); err == nil {
			found[i.Kind]++
		}
		checkProperties(t, b.String())
		if r := Refang(b.String()); Refang(r) != r {
			t.Errorf("Refang(%q) = %q, and again %q", b.String(), r, Refang(r))
		}
		if t.Failed() {
			return
		}
	}
	for _, k := range []Kind{IPv4, IPv6, CIDR, IPPort, Domain, URL, Email, MD5} {
		if found[k] < 3 {
			t.Errorf("only %d random values were of kind %v", found[k], k)
		}
	}
	t.Log(found)
}

func FuzzRefang(f *testing.F) {
	for _, s := range []string{"hxxp://evil[.]example", "a[@]b(dot)c", `evil\.example`, "[[.]]", "h[tt]p[s][:]//x", `\[.]\.`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := Refang(s)
		if again := Refang(r); again != r {
			t.Errorf("Refang(%q) = %q, and again %q", s, r, again)
		}
		if d := Defang(s); Defang(d) != d {
			t.Errorf("Defang(%q) = %q, and again %q", s, d, Defang(d))
		}
		if utf8.ValidString(s) != utf8.ValidString(r) {
			t.Errorf("Refang(%q) = %q", s, r)
		}
	})
}

func FuzzDetect(f *testing.F) {
	for _, c := range goldenInputs(f) {
		f.Add(c)
	}
	f.Fuzz(checkProperties)
}

func FuzzParse(f *testing.F) {
	for n, c := range goldenInputs(f) {
		f.Add(c, uint32(1)<<(n%12))
	}
	f.Fuzz(func(t *testing.T, s string, set uint32) {
		kinds := KindSet(set) & AnyKind
		i, err := Parse(s, kinds)
		if err != nil {
			checkValueError(t, s, err)
			return
		}
		if !kinds.Has(i.Kind) {
			t.Errorf("Parse(%q, %v) = %v", s, kinds, i)
		}
		if again, err := Parse(i.Value, kinds); err != nil || again != i {
			t.Errorf("Parse(%q, %v) = %v; parsed again %v, %v", s, kinds, i, again, err)
		}
	})
}

// goldenInputs returns the short inputs of the golden table, as seeds.
func goldenInputs(f *testing.F) []string {
	var out []string
	for _, c := range goldenCases(f) {
		if len(c.input) < 300 {
			out = append(out, c.input)
		}
	}
	return out
}
