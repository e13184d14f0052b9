package lookup

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

var allow = cmp.AllowUnexported(cursor{})

func TestCursor_readsBack(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 123e6, time.UTC)
	for _, c := range []cursor{
		{after: query.Position{Feed: "f", Indicator: intel.Indicator{Kind: intel.IPv4, Value: "192.0.2.7"}}},
		{now: at, asOf: at.Add(-time.Hour), sort: query.Sort{By: query.ByValue, Reverse: true}, query: 1 << 31,
			after: query.Position{Key: -5, Feed: "a/b", Indicator: intel.Indicator{Kind: intel.URL, Value: "http://x.example/" + strings.Repeat("%00", 16000)}}},
	} {
		text := c.encode()
		got, err := decodeCursor(text)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c, got, allow); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
		for i := 0; i < len(text); i += 1 + len(text)/50 { // cut anywhere it is none
			if _, err := decodeCursor(text[:i]); !errors.Is(err, ErrCursor) {
				t.Errorf("%d of %d characters: %v", i, len(text), err)
			}
		}
		if _, err := decodeCursor("B" + text[1:]); err == nil {
			t.Error("a changed cursor is read")
		}
	}
	if _, err := decodeCursor("AgAAAAAAAAAAAAAA"); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("another version: %v", err)
	}
}

// Nothing that is read makes trouble, and what is read is what is written.
func FuzzCursor(f *testing.F) {
	c := cursor{now: time.UnixMilli(1), after: query.Position{Feed: "f", Indicator: intel.Indicator{Kind: intel.IPv4, Value: "192.0.2.7"}}}
	f.Add(c.encode(), false)
	f.Add("", false)
	f.Add("\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01f\x04ipv4\x01v", true)
	f.Fuzz(func(t *testing.T, text string, raw bool) {
		if raw { // bytes for which the sum is made, so that the fuzzer gets behind it
			text = sealed([]byte(text))
		}
		c, err := decodeCursor(text)
		if err != nil {
			if !errors.Is(err, ErrCursor) {
				t.Fatal(err)
			}
			return
		}
		again, err := decodeCursor(c.encode())
		if d := cmp.Diff(c, again, allow); err != nil || d != "" {
			t.Fatalf("%v\n%s", err, d)
		}
	})
}
