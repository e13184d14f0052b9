package parse

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/klauspost/compress/zstd"
)

// outcome is what came of a sample.
type outcome struct {
	intel.Counts
	keys    []uint64 // of the indicators
	refused []uint64 // of the rejected values
}

// TestSamples reads real feed files. Those of EI_SAMPLES are checked against the
// independent counts of its feeds/INDEX.tsv, all of them; without it, the few that
// lie in testdata/samples are checked against the table alone.
func TestSamples(t *testing.T) {
	table := readTable(t)
	root, whole := os.Getenv("EI_SAMPLES"), true
	if root == "" {
		root, whole = filepath.Join("testdata", "samples"), false
		t.Log("EI_SAMPLES is not set: only the small samples in testdata/samples are read")
	} else {
		root = filepath.Join(root, "feeds")
		checkIndex(t, readTSV(t, filepath.Join(root, "INDEX.tsv")), table)
	}
	read := 0
	got := make([]outcome, len(table))
	seed := maphash.MakeSeed()
	t.Run("files", func(t *testing.T) {
		for i, s := range table {
			file := filepath.Join(root, filepath.FromSlash(s.file))
			info, err := os.Stat(file)
			if err != nil {
				if whole {
					t.Errorf("%s: %v", s.file, err)
				}
				continue
			}
			if raceEnabled && info.Size() > 256<<10 {
				continue // ten times slower, and nothing here is concurrent
			}
			read++
			t.Run(s.file, func(t *testing.T) {
				t.Parallel()
				got[i] = readSample(t, file, s, seed)
			})
		}
	})
	if read < 7 {
		t.Errorf("only %d samples found in %s", read, root)
	}
	if read < len(table) || t.Failed() {
		return
	}
	if *update {
		writeTable(t, table, got)
	}
	checkTotals(t, table, got)
}

// readSample reads one file and compares the account.
func readSample(t *testing.T, file string, s sample, seed maphash.Seed) (o outcome) {
	t.Helper()
	spec, err := decodeSpec([]byte(s.spec))
	if err != nil {
		t.Fatal(err)
	}
	in := open(t, file)
	if s.as != "" {
		in = sampleAs(t, in, s.as)
	}
	res, err := Collect(context.Background(), in, spec, Options{OnReject: func(r intel.Reject) {
		o.refused = append(o.refused, maphash.String(seed, r.Value))
	}})
	switch {
	case s.err == "" && err != nil:
		t.Fatal(err)
	case s.err != "" && (err == nil || !strings.Contains(err.Error(), s.err)):
		t.Errorf("error %v, want one with %q", err, s.err)
	}
	checkSum(t, res)
	if res.Counts != s.Counts && !*update {
		t.Errorf("got  %+v %v\nwant %+v", res.Counts, res.SuppressedFor, s.Counts)
		for _, r := range res.Rejects {
			t.Logf("line %d: %s: %q", r.Line, r.Reason, r.Value)
		}
	}
	o.Counts = res.Counts
	for _, e := range res.Entries {
		o.keys = append(o.keys, maphash.String(seed, string(rune(e.Indicator.Kind))+e.Indicator.Value))
	}
	return o
}

// sampleAs makes a stream of the type's format out of a file that holds its
// content in another shape: STIX patterns one a line, or a TAXII server's data
// with the objects of its collections.
func sampleAs(t *testing.T, in io.Reader, as string) io.Reader {
	t.Helper()
	data, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	objects := []any{}
	switch as {
	case "patterns":
		for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
			objects = append(objects, map[string]string{"type": "indicator", "pattern_type": "stix", "pattern": line})
		}
	case "taxii-data":
		var roots map[string]struct {
			Collections []struct{ Objects []any }
		}
		if err := json.Unmarshal(data, &roots); err != nil {
			t.Fatal(err)
		}
		for _, root := range roots {
			for _, c := range root.Collections {
				objects = append(objects, c.Objects...)
			}
		}
	default:
		t.Fatalf("%q is no shape of a sample", as)
	}
	out, err := json.MarshalIndent(objects, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(out)
}

// checkIndex checks that the table has every file of the index, and that it
// agrees with the independent counts or says why not.
func checkIndex(t *testing.T, index []map[string]string, table []sample) {
	t.Helper()
	if len(index) != allSamples {
		t.Fatalf("INDEX.tsv has %d files, not the %d that the table is of", len(index), allSamples)
	}
	rows := map[string][]sample{}
	for _, s := range table {
		rows[s.file] = append(rows[s.file], s)
	}
	for _, row := range index {
		file := row["file"]
		if len(rows[file]) == 0 {
			t.Errorf("%s (%s) is missing in %s", file, row["fmt"], tableFile)
		}
		for _, s := range rows[file] {
			if row["records"] != strconv.Itoa(s.records) || row["unique"] != strconv.Itoa(s.distinct) {
				t.Errorf("%s: INDEX.tsv has %s records, %s distinct; the table says %d and %d", file, row["records"], row["unique"], s.records, s.distinct)
			}
		}
		delete(rows, file)
	}
	for file := range rows {
		t.Errorf("%s is not in INDEX.tsv", file)
	}
}

// checkTotals compares the sums over all files. The allow lists are left out, as
// in the totals of the index.
func checkTotals(t *testing.T, table []sample, got []outcome) {
	t.Helper()
	var keys, refused []uint64
	seen := map[string]bool{}
	for i, s := range table {
		if !s.allowList() && !seen[s.file] {
			keys = append(keys, got[i].keys...)
			refused = append(refused, got[i].refused...)
		}
		seen[s.file] = true
	}
	n, r, sum := distinct(keys), distinct(refused), totals(table)
	t.Logf("INDEX.tsv: %d records, %d distinct in all; read %d, accepted %d, %d distinct indicators in all, %d distinct values rejected",
		sum.records, indexDistinct, sum.Read, sum.Accepted, n, r)
	if sum.records != indexRecords || n != indicatorsInAll || r != rejectedInAll {
		t.Errorf("%d records, %d distinct indicators and %d rejected values, want %d, %d and %d", sum.records, n, r, indexRecords, indicatorsInAll, rejectedInAll)
	}
}

func distinct(list []uint64) int {
	slices.Sort(list)
	return len(slices.Compact(list))
}

// open opens a file and unpacks it by its name.
func open(t testing.TB, file string) io.Reader {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	switch filepath.Ext(file) {
	case ".gz":
		r, err := gzip.NewReader(bufio.NewReader(f))
		if err != nil {
			t.Fatal(err)
		}
		return r
	case ".zst":
		r, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	case ".br":
		return brotli.NewReader(f)
	}
	return f
}
