package parse

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/klauspost/compress/zstd"
)

// sample is a line of testdata/samples.tsv: a file, how it is read, and what
// must come of it. Why explains every difference from the counts of INDEX.tsv,
// which were made without any parser.
type sample struct {
	file, spec string
	intel.Counts
	why string
}

// notCovered are the formats (beginnings of INDEX.tsv's fmt column) that the
// types do not read, and why.
var notCovered = map[string]string{
	"MISP feed hashes":   "no indicators: MD5 sums of values, for a client's quick look",
	"STIX patterns":      "patterns by themselves, for a pattern parser",
	"TAXII server":       "the data of a test server: collections, objects and manifests in one",
	"TAXII 2.1 coll":     "names collections, no indicators",
	"TAXII 2.1 disc":     "names servers, no indicators",
	"index of the TAXII": "names other files",
	"list of the STIX":   "names other files",
	"manifest":           "names other files",
}

// TestSamples reads real feed files. Those of EI_SAMPLES are checked against the
// independent counts of its feeds/INDEX.tsv; without it, the few that lie in
// testdata/samples are checked against the table alone.
func TestSamples(t *testing.T) {
	table := readTable(t)
	root := os.Getenv("EI_SAMPLES")
	if root == "" {
		root = filepath.Join("testdata", "samples")
		t.Log("EI_SAMPLES is not set: only the small samples in testdata/samples are read")
	} else {
		root = filepath.Join(root, "feeds")
		checkIndex(t, readIndex(t, filepath.Join(root, "INDEX.tsv")), table)
	}
	read := 0
	got := make([]intel.Counts, len(table))
	t.Run("files", func(t *testing.T) {
		for i, s := range table {
			file := filepath.Join(root, filepath.FromSlash(s.file))
			info, err := os.Stat(file)
			if err != nil {
				if os.Getenv("EI_SAMPLES") != "" {
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
				got[i] = readSample(t, file, s)
			})
		}
	})
	if read < 7 {
		t.Errorf("only %d samples found in %s", read, root)
	}
	if *update && !t.Failed() && read == len(table) {
		writeTable(t, table, got)
	}
}

// readSample reads one file and compares the account.
func readSample(t *testing.T, file string, s sample) intel.Counts {
	t.Helper()
	spec, err := decodeSpec([]byte(s.spec))
	if err != nil {
		t.Fatal(err)
	}
	res, err := Collect(context.Background(), open(t, file), spec, Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, res)
	if res.Counts != s.Counts && !*update {
		t.Errorf("got  %+v\nwant %+v", res.Counts, s.Counts)
		for _, r := range res.Rejects {
			t.Logf("line %d: %s: %q", r.Line, r.Reason, r.Value)
		}
	}
	return res.Counts
}

// checkIndex checks that the table has every file that the types cover, and that
// it agrees with the independent counts or says why not.
func checkIndex(t *testing.T, index []map[string]string, table []sample) {
	t.Helper()
	rows := map[string][]sample{}
	for _, s := range table {
		rows[s.file] = append(rows[s.file], s)
	}
	for _, row := range index {
		file := row["file"]
		if len(rows[file]) == 0 && reasonNotCovered(row["fmt"]) == "" {
			t.Errorf("%s (%s) is missing in testdata/samples.tsv", file, row["fmt"])
		}
		for _, s := range rows[file] {
			agrees := row["records"] == strconv.Itoa(s.Read) && row["unique"] == strconv.Itoa(s.Accepted)
			if !agrees && !strings.Contains(s.why, "line") {
				t.Errorf("%s: INDEX.tsv has %s records, %s distinct; the table has %d read, %d accepted and does not say why",
					file, row["records"], row["unique"], s.Read, s.Accepted)
			}
			if agrees && s.why != "" {
				t.Errorf("%s: agrees with INDEX.tsv, so there is nothing to explain: %s", file, s.why)
			}
		}
		delete(rows, file)
	}
	for file := range rows {
		t.Errorf("%s is not in INDEX.tsv", file)
	}
}

func reasonNotCovered(format string) string {
	for prefix, why := range notCovered {
		if strings.HasPrefix(format, prefix) {
			return why
		}
	}
	return ""
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

const tableFile = "testdata/samples.tsv"

// readTSV reads a table whose first line names the columns.
func readTSV(t *testing.T, file string) (rows []map[string]string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	names := strings.Split(lines[0], "\t")
	for n, line := range lines[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) != len(names) {
			t.Fatalf("%s:%d: %d columns, not %d", file, n+2, len(cells), len(names))
		}
		row := map[string]string{}
		for i, name := range names {
			row[name] = cells[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func readIndex(t *testing.T, file string) []map[string]string {
	t.Helper()
	rows := readTSV(t, file)
	if len(rows) < 200 {
		t.Fatalf("%s: only %d rows", file, len(rows))
	}
	return rows
}

func readTable(t *testing.T) (table []sample) {
	t.Helper()
	for _, row := range readTSV(t, tableFile) {
		s := sample{file: row["file"], spec: row["spec"], why: row["why"]}
		for name, n := range map[string]*int{
			"read": &s.Read, "accepted": &s.Accepted, "duplicate": &s.Duplicate, "suppressed": &s.Suppressed, "rejected": &s.Rejected,
		} {
			var err error
			if *n, err = strconv.Atoi(row[name]); err != nil {
				t.Fatalf("%s: %s: %v", s.file, name, err)
			}
		}
		table = append(table, s)
	}
	return table
}

// writeTable writes the counts that were got; the explanations stay and must be
// looked over by a person.
func writeTable(t *testing.T, table []sample, got []intel.Counts) {
	t.Helper()
	var b strings.Builder
	b.WriteString("file\tspec\tread\taccepted\tduplicate\tsuppressed\trejected\twhy\n")
	for i, s := range table {
		c := got[i]
		fmt.Fprintf(&b, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n", s.file, s.spec, c.Read, c.Accepted, c.Duplicate, c.Suppressed, c.Rejected, s.why)
	}
	if err := os.WriteFile(tableFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
