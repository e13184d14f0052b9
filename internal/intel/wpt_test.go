package intel

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// readJSON reads a file of testdata into v.
func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// TestURLStandard holds parseURL against the standard's own test cases. What the
// standard accepts and we refuse on purpose has no host or names a local file; what
// we accept against it are A-labels.
func TestURLStandard(t *testing.T) {
	var cases []struct {
		Input, Href, Hash string
		Failure           bool
	}
	readJSON(t, "wpt/urls.json", &cases)
	equal, failed, hostless, aLabels := 0, 0, 0, 0
	for _, c := range cases {
		want, _, _ := strings.Cut(c.Href, "#")
		got, f := parseURL(strings.TrimFunc(c.Input, func(r rune) bool { return r <= ' ' }))
		switch {
		case c.Failure && f != nil:
			failed++
		case c.Failure && hasALabel(c.Input):
			aLabels++
		case c.Failure:
			t.Errorf("%q gives %q, want a failure", c.Input, got)
		case strings.HasPrefix(want, "file:") || !hasHost(want):
			hostless++
			if f == nil {
				t.Errorf("%q gives %q, want it refused: no host", c.Input, got)
			}
		case f != nil:
			t.Errorf("%q: %s, want %q", c.Input, f.reason, want)
		case got != want:
			t.Errorf("%q gives %q, want %q", c.Input, got, want)
		default:
			equal++
		}
	}
	t.Logf("%d equal, %d refused as the standard does, %d refused for want of a host, %d with A-labels that we accept", equal, failed, hostless, aLabels)
	if equal < 150 || failed < 150 {
		t.Error("too few cases were compared")
	}
}

// hasHost says whether a serialised URL has "//" and a host that is not empty.
func hasHost(href string) bool {
	_, rest, _ := strings.Cut(href, ":")
	return len(rest) > 2 && rest[:2] == "//" && strings.IndexByte("/?", rest[2]) < 0
}

// hasALabel says whether a host is in ASCII and has an A-label: those are not held
// against IDNA.
func hasALabel(s string) bool {
	return strings.Contains(strings.ToLower(s), "xn--") && strings.IndexFunc(s, func(r rune) bool { return r > '~' }) < 0
}

func TestHostStandard(t *testing.T) {
	var cases []struct {
		Input  string
		Output *string
	}
	readJSON(t, "wpt/hosts.json", &cases)
	for _, c := range cases {
		if c.Input == "" {
			continue
		}
		got, f := appendHost(nil, c.Input, true)
		switch {
		case f != nil && c.Output != nil:
			t.Errorf("%q: %s, want %q", c.Input, f.reason, *c.Output)
		case f == nil && c.Output == nil && hasALabel(c.Input):
		case f == nil && c.Output == nil:
			t.Errorf("%q gives %q, want a failure", c.Input, got)
		case f == nil && string(got) != *c.Output:
			t.Errorf("%q gives %q, want %q", c.Input, got, *c.Output)
		}
	}
}
