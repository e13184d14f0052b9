package intel

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestDefang(t *testing.T) {
	for in, want := range map[string]string{
		"http://evil.example/x.php":        "hxxp://evil[.]example/x.php",
		"HTTPS://www.evil.example:8080?":   "hxxps://www[.]evil[.]example:8080?",
		"ftp://evil.example/":              "fxp://evil[.]example/",
		"tcp://192.0.2.1:443":              "tcp[:]//192.0.2[.]1:443",
		"http://user@evil.example/":        "hxxp://user@evil[.]example/",
		"http://192.0.2.1:8080/x":          "hxxp://192.0.2[.]1:8080/x",
		"http://[2001:db8::1]/x.y":         "hxxp://[2001:db8::1]/x.y",
		"evil.example":                     "evil[.]example",
		"evil.example/a.b":                 "evil[.]example/a.b",
		"192.0.2.1":                        "192.0.2[.]1",
		"192.0.2.0/24":                     "192.0.2[.]0/24",
		"192.0.2.1:443":                    "192.0.2[.]1:443",
		"2001:db8::1":                      "2001:db8::1",
		"a@b.c":                            "a[@]b[.]c",
		"hxxp://evil[.]example/x":          "hxxp://evil[.]example/x",
		"d41d8cd98f00b204e9800998ecf8427e": "d41d8cd98f00b204e9800998ecf8427e",
		"":                                 "",
	} {
		if got := Defang(in); got != want {
			t.Errorf("Defang(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestRefangLeavesTheRest(t *testing.T) {
	for _, s := range []string{
		"", "evil.example", "http://evil.example/a[.b", "http://[2001:db8::1]:80/", "http://x.example/?a[]=1&b{}",
		"http://x.example/(foo)", "hxxp.example", "hxxps", "meow.example:80", "hxxpx://evil.example", "a(b)c", `C:\dot\at`,
		"http://x.example/[dot", "(data)", "[att]", "x[1].y",
	} {
		if got := Refang(s); got != s {
			t.Errorf("Refang(%s) = %s", s, got)
		}
	}
}

func TestSplitComposite(t *testing.T) {
	md5 := strings.Repeat("a", 32)
	for _, c := range []struct {
		in, name, value string
		ok              bool
	}{
		{"evil.exe|" + md5, "evil.exe", md5, true},
		{"a|b.exe | " + md5, "a|b.exe", md5, true},
		{"|" + md5, "", md5, true},
		{"192.0.2.1|80", "", "192.0.2.1:80", true},
		{"2001:DB8::1|80", "", "[2001:db8::1]:80", true},
		{"[2001:db8::1]|80", "", "[2001:db8::1]:80", true},
		{"evil.example|192.0.2.1", "", "evil.example|192.0.2.1", false},
		{"evil.exe|" + md5 + "0", "", "evil.exe|" + md5 + "0", false},
		{"evil.example", "", "evil.example", false},
		{"", "", "", false},
	} {
		name, value, ok := SplitComposite(c.in)
		if name != c.name || value != c.value || ok != c.ok {
			t.Errorf("SplitComposite(%s) = %q, %q, %v", c.in, name, value, ok)
		}
	}
}

func TestValueError(t *testing.T) {
	long := strings.Repeat("ü", 150) + " x"
	_, err := Parse(long, AnyKind)
	var v *ValueError
	if !errors.As(err, &v) || v.Value != strings.Repeat("ü", 100) {
		t.Errorf("value %q, want it cut at 200 bytes", v.Value)
	}
	_, err = Parse("evil.example", IPv4.Set()|CIDR.Set())
	if want := `"evil.example": is of kind domain, not ipv4,cidr`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestReasonsNameTheRule holds the words that people see.
func TestReasonsNameTheRule(t *testing.T) {
	for value, want := range map[string]string{
		"192.0.2.01":            "leading zero",
		"192.0.2.300":           "above 255",
		"fe80::1%eth0":          "zone",
		"0.0.0.0/0":             "whole address space",
		"192.0.2.0/40":          "from 1 to 32",
		"2001:db8::/200":        "from 1 to 128",
		"192.0.2.1:99999":       "1 to 65535",
		"*.evil.example":        "wildcard",
		"evil.123":              "last label is a number",
		"intranet":              "single word",
		"evil.example:80":       "port",
		"file:///x":             "file URL",
		"xn--ü.example":         "international",
		"md5:00":                "32 hex digits",
		strings.Repeat("0", 33): "33 hex digits",
		"a@b":                   "domain of the mail address",
		"hello world":           "white space",
		"\u200b":                "blanks",
		"a..b/x":                "before the slash",
	} {
		if _, err := Detect(value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want it to say %q", value, err, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90m": 90 * time.Minute, "36h": 36 * time.Hour, "30d": 30 * 24 * time.Hour, "1d12h": 36 * time.Hour,
		"1h30m": 90 * time.Minute, "0s": 0, "1.5h": 90 * time.Minute, "0d": 0, "365d": 365 * 24 * time.Hour,
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want {
			t.Errorf("%s is %v, %v, want %v", text, d, err, want)
		}
	}
	for _, text := range []string{"", "30", "d", "-1h", "-1d", "1d-1h", "1.5d", "99999999d", "1w", "h", "65535d2000000h"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is accepted as %v", text, d)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 36 * time.Hour: "36h", 48 * time.Hour: "2d", 90 * time.Minute: "90m", 61 * time.Second: "61s", 1500 * time.Millisecond: "1.5s",
	} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%v is written %s, want %s", d, got, want)
		}
		b, err := json.Marshal(Duration(d))
		var back Duration
		if err != nil || json.Unmarshal(b, &back) != nil || back != Duration(d) {
			t.Errorf("%s reads back as %v", b, back)
		}
	}
}

func TestKinds(t *testing.T) {
	for k := IPv4; k < kindEnd; k++ {
		var back Kind
		if err := back.UnmarshalText([]byte(k.String())); err != nil || back != k {
			t.Errorf("%v reads back as %v, %v", k, back, err)
		}
		if s, err := ParseKindSet(k.String()); err != nil || !s.Has(k) {
			t.Errorf("the set named %v is %v, %v", k, s, err)
		}
	}
	for name, want := range map[string]string{
		"ipaddress": "ipv4,ipv6", " IP ": "ipv4,ipv6,cidr", "hash": "md5,sha1,sha256,sha512", "proxy": "ip-port",
		"auto": "auto", "cidr": "ipv4,ipv6,cidr", "URL": "url",
	} {
		if s, err := ParseKindSet(name); err != nil || s.String() != want {
			t.Errorf("%s is %v, %v, want %s", name, s, err, want)
		}
	}
	if _, err := ParseKindSet("ips"); err == nil || !strings.Contains(err.Error(), "known: auto") {
		t.Errorf("error %v", err)
	}
	var k Kind
	if err := k.UnmarshalText([]byte("")); err == nil {
		t.Error("an empty kind is accepted")
	}
	if got := Kind(99).String(); got != "kind(99)" {
		t.Error(got)
	}
}

// TestOddIndicators: what no parser gives, but damaged data may, is no address.
func TestOddIndicators(t *testing.T) {
	for _, k := range AnyKind.Kinds() {
		for _, v := range []string{"", ":", "x", "[", "]:", "://", "@", "/", "http://[", "1.2.3.4", "\xff"} {
			i := Indicator{k, v}
			i.Host()
			i.Prefix()
			if a, ok := i.Addr(); ok && v != "1.2.3.4" {
				t.Errorf("%v %q is the address %v", k, v, a)
			}
		}
	}
}
