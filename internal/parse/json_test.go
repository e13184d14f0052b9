package parse

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// TestBigRecord checks that a record beyond the cap costs that record only.
func TestBigRecord(t *testing.T) {
	big := func(n int) string { return `{"v":"x.example","big":"` + strings.Repeat("z", n) + "\"}" }
	in := `[{"v":"a.example"},` + "\n" + big(maxRecord) + "," + big(1000) + ",\n" + `{"v":"b.example"}]`
	spec := Spec{Type: "json", Kinds: intel.Domain.Set(), Columns: []Column{{Source: "v", Field: Indicator}}}
	res, err := Collect(context.Background(), strings.NewReader(in), spec, Options{})
	want := intel.Counts{Read: 4, Accepted: 3, Rejected: 1}
	if err != nil || res.Counts != want || res.Rejects[0].Line != 2 || len(res.Rejects[0].Value) > maxShown {
		t.Fatalf("%+v %+v %v", res.Counts, res.Rejects, err)
	}
}

// TestDepth checks that nesting is bounded in records and costs no stack outside.
func TestDepth(t *testing.T) {
	deep := strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000)
	spec := Spec{Type: "json", Kinds: intel.Domain.Set(), Records: "data[]", Columns: []Column{{Source: "v", Field: Indicator}}}
	res, err := Collect(context.Background(), strings.NewReader(`{"skipped":`+deep+`,"data":[{"v":"a.example"}]}`), spec, Options{})
	if err != nil || res.Accepted != 1 {
		t.Errorf("%+v %v", res.Counts, err)
	}
	record := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	if _, err = Collect(context.Background(), strings.NewReader(`{"data":[`+record+`]}`), spec, Options{}); err == nil || !strings.Contains(err.Error(), "inside each other") {
		t.Errorf("a record 100,000 lists deep: %v", err)
	}
	res, err = Collect(context.Background(), strings.NewReader(`{"data":[`+deep+`]}`), spec, Options{})
	if err != nil || res.Rejected != 1 || res.Rejects[0].Reason != longRecord {
		t.Errorf("a record a million lists deep: %+v %v", res, err)
	}
	if _, err = Collect(context.Background(), strings.NewReader(`{"skipped":`+strings.Repeat("[", maxRecord+1)), spec, Options{}); err == nil || !strings.Contains(err.Error(), "inside each other") {
		t.Errorf("skipped, four million lists deep: %v", err)
	}
}

// TestManyValues checks that a record of many small values costs that record only,
// and that one just within the limit is taken.
func TestManyValues(t *testing.T) {
	spec := Spec{Type: "json", Kinds: intel.Domain.Set(), Columns: []Column{{Source: "v", Field: Indicator}}}
	in := `[{"v":"a.example","n":[1` + strings.Repeat(",1", maxValues-10) + `]},{"v":"b.example","n":[1` + strings.Repeat(",1", maxValues) + `]},{"v":"c.example"}]`
	res, err := Collect(context.Background(), strings.NewReader(in), spec, Options{})
	want := intel.Counts{Read: 3, Accepted: 2, Rejected: 1}
	if err != nil || res.Counts != want || res.Rejects[0].Reason != longRecord {
		t.Errorf("%+v %+v %v", res.Counts, res.Rejects, err)
	}
}

// tokens lists the plain values and names of a text in order, as the standard
// library reads them.
func tokens(text string) (list []string, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case json.Delim:
		case nil:
			list = append(list, "null")
		default:
			list = append(list, fmt.Sprint(tok))
		}
	}
}

// FuzzTree compares the JSON reader with the standard library's: what that
// accepts must be accepted, with the same values.
func FuzzTree(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-0.5e+10,true,false,null,"x"]}`, `"\u00fc\ud83d\ude00\ud83d\n\/\\\""`, `[]`, `{}`, ` [ { "a" : { } } , [ ] ] `, `0`, `-0`, `01`, `1.`, `1e`, `"`, `"\x"`, `{"a"}`, `[1,]`, `nul`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var tr tree
		bad := tr.parse(text)
		if !json.Valid([]byte(text)) || !utf8.ValidString(text) {
			return
		}
		if bad != nil {
			if strings.Contains(bad.reason, "inside each other") {
				return
			}
			t.Fatalf("refused: %v at %d", bad, bad.pos)
		}
		want, err := tokens(text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range tr.nodes {
			if n := &tr.nodes[i]; n.kind != '{' && n.kind != '[' {
				got = append(got, tr.string(n))
			}
		}
		if fmt.Sprintf("%q", want) != fmt.Sprintf("%q", got) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}
