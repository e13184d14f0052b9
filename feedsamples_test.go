package elasticintel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
	"github.com/elasticintel/elasticintel/internal/source"
)

const (
	samplesDir = "feeds.d/samples"
	wantSuffix = ".want.json"
	maxSample  = 8 << 10 // bytes
)

// wanted is a file ID.want.json: what a definition makes of its sample. -update
// writes all but ExpectRejects.
type wanted struct {
	Read          int      `json:"read"`
	Accepted      int      `json:"accepted"`
	Duplicate     int      `json:"duplicate"`
	Suppressed    int      `json:"suppressed"`
	Rejected      int      `json:"rejected"`
	ExpectRejects []string `json:"expect_rejects,omitempty"` // values that are rightly rejected; written by hand
	Kinds         []string `json:"kinds"`                    // of all entries
	Fields        []string `json:"fields"`                   // names of the context fields of all entries
	First         listing  `json:"first"`
}

// listing is one accepted listing as `feeds test -o ndjson` prints it.
type listing struct {
	Kind     string       `json:"kind"`
	Value    string       `json:"value"`
	Original string       `json:"original"`
	Context  intel.Fields `json:"context"`
	Line     int          `json:"line"`
}

// TestFeedSamples reads the sample of every feed with its definition, as
// `elasticintel feeds test` does, and compares what comes out with ID.want.json.
func TestFeedSamples(t *testing.T) {
	samples := sampleFiles(t)
	defs := catalogue(t).All()
	for _, d := range defs {
		t.Run(d.ID, func(t *testing.T) {
			file := samples[d.ID]
			if file == "" {
				t.Fatalf("feed %s (feeds.d/%s:%d) has no sample.\nPut 5 to 30 records as the publisher serves them (at most 8 KiB, real ones only where the licence lets others pass "+
					"them on, else made by hand with documentation addresses and names in .example) into %s/%s.txt (or another ending), run\n"+
					"  go test . -run FeedSamples/%s -update\nand read %s/%s%s: is each value where it belongs?", d.ID, d.File, d.Line, samplesDir, d.ID, d.ID, samplesDir, d.ID, wantSuffix)
			}
			checkSample(t, d, file)
		})
	}
	ids := map[string]bool{}
	for _, d := range defs {
		ids[d.ID] = true
	}
	for id, file := range samples {
		if !ids[id] {
			t.Errorf("%s/%s is the sample of no feed; the file's name without its ending must be the id of one", samplesDir, file)
		}
	}
}

// TestSampleAttribution wants every name in ATTRIBUTION.md to be that of a sample.
func TestSampleAttribution(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(samplesDir, "ATTRIBUTION.md"))
	if err != nil {
		t.Fatal(err)
	}
	samples, named := sampleFiles(t), 0
	for line := range strings.Lines(string(raw)) {
		cells := strings.Split(line, " | ")
		if len(cells) != 4 || !strings.HasPrefix(cells[0], "| `") {
			continue
		}
		for name := range strings.SplitSeq(strings.Trim(cells[0], "| "), ", ") {
			if named++; samples[strings.Trim(name, "`")] == "" {
				t.Errorf("ATTRIBUTION.md names %s, which has no sample", name)
			}
		}
		if licence := cells[2]; !slices.Contains([]string{"CC0-1.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "Unlicense"}, licence) {
			t.Errorf("licence %q does not let us pass samples on: make them by hand", licence)
		}
	}
	if named == 0 {
		t.Error("ATTRIBUTION.md names no sample")
	}
}

// sampleFiles returns the files of feeds.d/samples by feed.
func sampleFiles(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(samplesDir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		name := e.Name()
		if strings.HasSuffix(name, wantSuffix) || name == "ATTRIBUTION.md" {
			continue
		}
		id := strings.TrimSuffix(name, filepath.Ext(name))
		if other := files[id]; other != "" {
			t.Errorf("%s: both %s and %s are samples of %s; one is enough", samplesDir, other, name, id)
		}
		files[id] = name
	}
	return files
}

func checkSample(t *testing.T, d *feed.Definition, file string) {
	res := readSample(t, d, filepath.Join(samplesDir, file))
	if res.Accepted == 0 {
		t.Fatalf("%s: none of %d records was accepted; first rejects: %+v", file, res.Read, res.Rejects)
	}
	path := filepath.Join(samplesDir, d.ID+wantSuffix)
	want := readWanted(t, path)
	checkRejects(t, res, want)
	checkDestinations(t, d, res)
	got := summary(res, want.ExpectRejects)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if old, err := os.ReadFile(path); err != nil || !bytes.Equal(old, got) {
		t.Errorf("%s differs (%v).\nIf what comes out now is right, run go test . -run FeedSamples/%s -update\ngot:\n%s", path, err, d.ID, got)
	}
}

// readSample unpacks, parses and judges like `feeds test`, but for expect_min: a
// sample is small.
func readSample(t *testing.T, d *feed.Definition, file string) *parse.Result {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Size() > maxSample {
		t.Errorf("%s has %d bytes, more than %d: take fewer records (%v)", file, st.Size(), maxSample, err)
	}
	small := *d
	small.ExpectMin = 0
	res, perr := source.Parse(context.Background(), f, &small, source.ParseOptions{MaxRejects: 20,
		Refuse: func(head []byte) string { return ingest.NoList(d.Type, head) }})
	if code, reason := ingest.Judge(&small, 0, res, perr); code != "" {
		t.Errorf("a run would be held back (%s): %s", code, reason)
	}
	return res.Result
}

func readWanted(t *testing.T, path string) wanted {
	t.Helper()
	var w wanted
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &w)
	}
	if err != nil && !*update {
		t.Errorf("%v: go test . -run FeedSamples -update writes it", err)
	}
	return w
}

// checkRejects wants every rejected record to be known.
func checkRejects(t *testing.T, res *parse.Result, want wanted) {
	t.Helper()
	for _, r := range res.Rejects {
		if !slices.Contains(want.ExpectRejects, r.Value) {
			t.Errorf("line %d: %q is rejected: %s.\nMend the definition (comments, separator, indicator_type), or, where the publisher does write such lines, "+
				"add it to \"expect_rejects\" in the .want.json", r.Line, r.Value, r.Reason)
		}
	}
	for _, v := range want.ExpectRejects {
		if !slices.ContainsFunc(res.Rejects, func(r intel.Reject) bool { return r.Value == v }) {
			t.Errorf("%q stands in expect_rejects, and was not rejected", v)
		}
	}
}

// checkDestinations wants every column that the definition maps to have held
// something in the sample: a mapping that is off by one shows here.
func checkDestinations(t *testing.T, d *feed.Definition, res *parse.Result) {
	t.Helper()
	fields := fieldNames(res)
	for i, c := range d.Spec().Columns {
		switch {
		case c.Field == "":
		case c.Field == parse.Indicator && !slices.ContainsFunc(res.Entries, func(e intel.Entry) bool {
			return c.Kinds == 0 || c.Kinds.Has(e.Indicator.Kind)
		}):
			t.Errorf("column %d (%q) should hold %v, and no entry of the sample is one", i+1, c.Source, c.Kinds)
		case c.Field != parse.Indicator && !slices.Contains(fields, c.Field):
			t.Errorf("column %d (%q) goes to %q, and no entry of the sample has that; the entries have %s.\nWrite the destination as the entries call it, "+
				"give the sample a record that has it, or skip the column with null", i+1, c.Source, c.Field, strings.Join(fields, ", "))
		}
	}
}

func fieldNames(res *parse.Result) []string {
	var names []string
	for _, e := range res.Entries {
		for _, f := range e.Fields {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func summary(res *parse.Result, expectRejects []string) []byte {
	w := wanted{Read: res.Read, Accepted: res.Accepted, Duplicate: res.Duplicate, Suppressed: res.Suppressed, Rejected: res.Rejected,
		ExpectRejects: expectRejects, Fields: fieldNames(res)}
	for _, e := range res.Entries {
		w.Kinds = append(w.Kinds, e.Indicator.Kind.String())
	}
	slices.Sort(w.Kinds)
	w.Kinds = slices.Compact(w.Kinds)
	e := res.Entries[0]
	w.First = listing{e.Indicator.Kind.String(), e.Indicator.Value, e.Original, e.Fields, e.Line}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(w); err != nil { // plain data, which always marshals
		return []byte(err.Error())
	}
	return b.Bytes()
}
