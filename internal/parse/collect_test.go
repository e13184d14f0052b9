package parse

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// TestAccounting reads random lines made of the pieces that matter, in every
// format, and checks that every record is accounted for.
func TestAccounting(t *testing.T) {
	pieces := []string{
		"192.0.2.1", "198.51.100.7", "10.0.0.1", "a.example", "*.b.example", "http://c.example/x", "d41d8cd98f00b204e9800998ecf8427e", "localhost",
		"0.0.0.0 ", "127.0.0.1 ", "#", ";", "!", "//", ",", ", ", "\t", "|", " ", "\"", "\"\"", "\n", "\r\n", "\r", "\n\n", "x", "é", "\xe9", "\x00",
		"{", "}", "[", "]", ":", `"v"`, `"v":"192.0.2.9"`, `{"v":"a.example"}`, `{"v":["a.example","b.example"],"w":{"x":1}},`, "null", "1e5", `\u0041`, "<r>", "<v>", "</v>", "</r>", "<v w='a.example'>", "<![CDATA[", "]]>", "&amp;", "<table>", "</table>", "<tr>", "<td>", "<th rowspan=3>", "<td colspan=2>", "<a href=a.example>", "<br>", "<script>",
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		var in bytes.Buffer
		for range rng.IntN(60) {
			in.WriteString(pieces[rng.IntN(len(pieces))])
		}
		for _, spec := range variants() {
			var told int
			res, _ := Collect(context.Background(), bytes.NewReader(in.Bytes()), spec, Options{MaxRejects: 3, OnReject: func(intel.Reject) { told++ }})
			checkSum(t, res)
			if told != res.Rejected || len(res.Rejects) > 3 {
				t.Errorf("%d rejected, %d told, %d kept", res.Rejected, told, len(res.Rejects))
			}
			if t.Failed() {
				t.Fatalf("%+v of %q", spec, in.Bytes())
			}
		}
	}
}

// variants are specs of every format that use what can be used.
func variants() []Spec {
	one := []Column{{Source: "v", Field: Indicator}, {Source: "w", Field: "tags", Type: "list"}}
	several := []Column{{Source: "v", Field: Indicator, Kinds: intel.AnyKind}, {Source: "w.x", Field: Indicator, Kinds: intel.Address}, {Source: "y"}}
	filter := []FilterRule{{Column: "w", Values: []string{"x"}, Not: true}}
	return []Spec{
		{Type: "txt", Kinds: intel.AnyKind},
		{Type: "txt", Kinds: intel.Address, Exclude: "!", HasHeaders: true},
		{Type: "txt", Kinds: intel.AnyKind, Separator: "|", Columns: one, HasHeaders: true},
		{Type: "txt", Kinds: intel.AnyKind, Columns: several},
		{Type: "csv", Kinds: intel.AnyKind, Columns: one, Filter: filter, HasHeaders: true},
		{Type: "csv", Kinds: intel.AnyKind, Separator: ", ", Columns: several},
		{Type: "csv", Kinds: intel.AnyKind, NoQuotes: true, Columns: one, Constants: []intel.Field{{Name: "tags", Values: []string{"t"}}}},
		{Type: "json", Kinds: intel.AnyKind, Columns: one, Filter: filter},
		{Type: "json", Kinds: intel.AnyKind, Records: "v[]", Columns: []Column{{Source: ".", Field: Indicator}}},
		{Type: "json", Kinds: intel.AnyKind, Records: "*[]", Columns: several},
		{Type: "ndjson", Kinds: intel.AnyKind, Columns: several},
		{Type: "ndjson", Kinds: intel.AnyKind, Records: "v", Columns: []Column{{Source: ".", Field: Indicator}}},
		{Type: "xml", Kinds: intel.AnyKind, Columns: one, Filter: filter},
		{Type: "xml", Kinds: intel.AnyKind, Records: "//v", Columns: []Column{{Source: ".", Field: Indicator}, {Source: "@w", Field: "w"}, {Source: "*", Field: "x"}}},
		{Type: "html", Kinds: intel.AnyKind, Columns: []Column{{Source: "col1", Field: Indicator}, {Source: "v", Field: "tags", Type: "list"}}},
		{Type: "html", Kinds: intel.AnyKind, Records: "v", Columns: []Column{{Source: "col2/@href", Field: Indicator}, {Source: "v"}}},
		{Type: "hosts"},
		{Type: "rules", Kinds: intel.AnyKind},
		{Type: "dshield", Kinds: intel.AnyKind},
		{Type: "delegated"},
		{Type: "ip2asn"},
		{Type: "rbldnsd", Kinds: intel.AnyKind},
		{Type: "rpz", Kinds: intel.AnyKind},
		{Type: "ipset", Kinds: intel.AnyKind},
		{Type: "adblock", Kinds: intel.AnyKind},
		{Type: "bind", Kinds: intel.AnyKind},
		{Type: "unbound", Kinds: intel.AnyKind},
		{Type: "dnsmasq"},
	}
}

// TestCSVAgrees checks rows that a standard writer wrote.
func TestCSVAgrees(t *testing.T) {
	pieces := []string{"a", "b c", ",", "\"", "\"\"", "\n", "é", "\t", "'", "#", ";", "|", "x=\"1\""}
	rng := rand.New(rand.NewPCG(5, 6))
	for round := range 300 {
		var in bytes.Buffer
		w := csv.NewWriter(&in)
		w.UseCRLF = round%2 == 0
		var want [][]string
		for i := range 20 {
			row := []string{fmt.Sprintf("h%d.example", i)}
			for range 3 {
				var cell strings.Builder
				for range rng.IntN(6) {
					cell.WriteString(pieces[rng.IntN(len(pieces))])
				}
				row = append(row, intel.Trim(cell.String()))
			}
			want = append(want, row)
			if err := w.Write(row); err != nil {
				t.Fatal(err)
			}
		}
		w.Flush()
		columns := []Column{{Field: Indicator}, {Field: "a"}, {Field: "b"}, {Field: "c"}}
		res, err := Collect(context.Background(), &in, Spec{Type: "csv", Kinds: intel.Domain.Set(), Columns: columns}, Options{})
		if err != nil || res.Rejected > 0 {
			t.Fatal(err, res.Rejects)
		}
		var got [][]string
		for _, e := range res.Entries {
			got = append(got, []string{e.Original, e.Fields.First("a"), e.Fields.First("b"), e.Fields.First("c")})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	}
}

// TestStrayQuotes checks that a quote that is never closed costs its row only,
// wherever in a long file it stands.
func TestStrayQuotes(t *testing.T) {
	var in strings.Builder
	for i := range 5000 {
		if i%1000 == 7 {
			fmt.Fprintf(&in, "h%d.example,\"stray\n", i)
		} else {
			fmt.Fprintf(&in, "h%d.example,plain\n", i)
		}
	}
	spec := Spec{Type: "csv", Kinds: intel.Domain.Set(), Columns: []Column{{Field: Indicator}, {Field: "x"}}}
	res, err := Collect(context.Background(), strings.NewReader(in.String()), spec, Options{})
	if err != nil || res.Accepted != 4995 || res.Rejected != 5 || res.Rejects[1].Line != 1008 {
		t.Errorf("%+v %+v %v", res.Counts, res.Rejects, err)
	}
}

// TestManyDuplicates merges one value's context a hundred thousand times, which
// takes hours where every merge copies what there is.
func TestManyDuplicates(t *testing.T) {
	const n = 100_000
	var in strings.Builder
	for i := range n {
		fmt.Fprintf(&in, "192.0.2.1,%d,same\n", (i*7919)%n)
	}
	spec := Spec{Type: "csv", Kinds: intel.Address, Columns: []Column{{Field: Indicator}, {Field: "when"}, {Field: "tags"}}}
	res, err := Collect(context.Background(), strings.NewReader(in.String()), spec, Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, res)
	want := intel.Counts{Read: n, Accepted: 1, Duplicate: n - 1}
	if e := res.Entries[0]; res.Counts != want || len(e.Fields.Get("when")) != n || !slices.Equal(e.Fields.Get("tags"), []string{"same"}) {
		t.Errorf("%+v, %d values, tags %v", res.Counts, len(e.Fields.Get("when")), e.Fields.Get("tags"))
	}
}

// TestMergeKeepsOthers checks that entries which share their fields do not get
// what a duplicate of one of them adds.
func TestMergeKeepsOthers(t *testing.T) {
	in := "a.example,x\nb.example,x\na.example,y\nc.example,x\n"
	spec := Spec{Type: "csv", Kinds: intel.Domain.Set(), Columns: []Column{{Field: Indicator}, {Field: "tags"}}}
	res, err := Collect(context.Background(), strings.NewReader(in), spec, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range res.Entries {
		got = append(got, strings.Join(e.Fields.Get("tags"), "+"))
	}
	if want := []string{"x+y", "x", "x"}; !slices.Equal(got, want) {
		t.Errorf("tags %v, want %v", got, want)
	}
}

// TestMemory reads far more than may stay in memory: what is kept must follow
// the entries, not the bytes.
func TestMemory(t *testing.T) {
	const records, limit = 300_000, 24 << 20
	junk := strings.Repeat("z", 40)
	for format, record := range map[string]string{
		"txt":    "192.0.2.1 # " + junk + "\n",
		"csv":    "192.0.2.1,\"" + junk + "\"\n",
		"hosts":  "0.0.0.0 a.example #" + junk + "\n",
		"ndjson": `{"v":"192.0.2.1","junk":"` + junk + "\"}\n",
		"json":   `{"v":"192.0.2.1","junk":"` + junk + "\"},",
	} {
		spec := Spec{Type: format, Kinds: intel.Address, Columns: []Column{{Source: "v", Field: Indicator}}}
		if f, _ := formatOf(format); f.kinds != 0 || format == "txt" {
			spec.Kinds, spec.Columns = intel.AnyKind, nil
		}
		in := io.MultiReader(strings.NewReader("\n"), &repeated{text: record, times: records}, strings.NewReader("\n"))
		want := records
		if format == "json" {
			in = io.MultiReader(strings.NewReader("["), in, strings.NewReader(`{"v":"192.0.2.1"}]`))
			want++
		}
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		res, err := Collect(context.Background(), in, spec, Options{})
		runtime.GC()
		runtime.ReadMemStats(&after)
		if err != nil || res.Read != want || res.Accepted != 1 {
			t.Errorf("%s: %+v %v", format, res.Counts, err)
		}
		if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > limit {
			t.Errorf("%s: the heap grew by %d MiB", format, grown>>20)
		}
		runtime.KeepAlive(res)
	}
}

// repeated gives a text many times over.
type repeated struct {
	text  string
	times int
	rest  string
}

func (r *repeated) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if r.rest == "" {
			if r.times == 0 {
				return n, io.EOF
			}
			r.times--
			r.rest = r.text
		}
		m := copy(p[n:], r.rest)
		r.rest = r.rest[m:]
		n += m
	}
	return n, nil
}

// TestArena checks that strings which share a block stay what they are.
func TestArena(t *testing.T) {
	var a arena
	rng := rand.New(rand.NewPCG(7, 8))
	var want, got []string
	for range 20_000 {
		s := strings.Repeat(string(rune('a'+rng.IntN(26))), rng.IntN(40))
		if rng.IntN(1000) == 0 {
			s = strings.Repeat("L", arenaBlock)
		}
		want, got = append(want, s), append(got, a.keep(s))
	}
	if !slices.Equal(want, got) {
		t.Error("a kept string changed")
	}
}
