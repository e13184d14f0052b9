package cli

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestValueSource_ReadsWhatIsPasted(t *testing.T) {
	for name, in := range map[string]string{
		"UTF-8":                    "a.example\r\n\r\n b.example\n",
		"UTF-16, little end first": "\xff\xfea\x00.\x00e\x00x\x00a\x00m\x00p\x00l\x00e\x00\r\x00\n\x00 \x00b\x00.\x00e\x00x\x00a\x00m\x00p\x00l\x00e\x00",
		"UTF-16, big end first":    "\xfe\xff\x00a\x00.\x00e\x00x\x00a\x00m\x00p\x00l\x00e\x00\n\x00 \x00b\x00.\x00e\x00x\x00a\x00m\x00p\x00l\x00e\x00\n",
	} {
		for how, r := range map[string]io.Reader{
			"at once":   strings.NewReader(in),
			"with EOF":  iotest.DataErrReader(strings.NewReader(in)),
			"in halves": iotest.HalfReader(strings.NewReader(in)),
		} {
			s := newValueSource([]string{"first.example", "-", "last.example"}, r)
			var got []string
			for {
				v, ok, err := s.next()
				if err != nil {
					t.Fatalf("%s, %s: %v", name, how, err)
				}
				if !ok {
					break
				}
				got = append(got, strings.TrimSpace(v))
			}
			if want := []string{"first.example", "a.example", "b.example", "last.example"}; !slices.Equal(got, want) {
				t.Errorf("%s, %s: %q, want %q", name, how, got, want)
			}
		}
	}
}

func TestValueSource_SaysThatStdinBroke(t *testing.T) {
	broken := errors.New("gone")
	s := newValueSource([]string{"-"}, io.MultiReader(strings.NewReader("a.example\n"), iotest.ErrReader(broken)))
	if v, ok, err := s.next(); v != "a.example" || !ok || err != nil {
		t.Fatal(v, ok, err)
	}
	if _, _, err := s.next(); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
}
