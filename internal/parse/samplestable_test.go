package parse

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/intel"
)

const (
	tableFile = "testdata/samples.tsv"
	docFile   = "../../docs/samples.md"

	// What INDEX.md says of its files in all, the allow lists left out.
	allSamples    = 261
	indexRecords  = 4_938_497
	indexDistinct = 3_750_616
	// The distinct indicators, and the distinct values that are none, that we
	// read in the same files.
	indicatorsInAll = 3_649_996
	rejectedInAll   = 89_077
)

// sample is a line of testdata/samples.tsv: a file, how it is read, what must
// come of it, and what an independent count made without any parser says. Why
// explains every difference.
type sample struct {
	file, spec string
	intel.Counts
	records, distinct int    // of INDEX.tsv
	as                string // the shape that the type is wrapped in, see sampleAs
	err               string // part of the error that reading it must end with
	why               string
}

func (s sample) allowList() bool { return strings.HasPrefix(s.file, "misp-warninglists/") }
func (s sample) agrees() bool    { return s.records == s.Read && s.distinct == s.Accepted }

// TestSampleTable: every difference is explained by a line, and nothing else is.
// docs/samples.md shows the table; go test ./internal/parse -run Sample -update
// writes it anew.
func TestSampleTable(t *testing.T) {
	table := readTable(t)
	for _, s := range table {
		switch {
		case s.agrees() && s.err == "" && s.why != "":
			t.Errorf("%s: agrees with the independent count, so there is nothing to explain: %s", s.file, s.why)
		case (!s.agrees() || s.err != "") && !strings.Contains(s.why, "line"):
			t.Errorf("%s: %d records, %d distinct were counted; the table has %d read, %d accepted and names no line that says why",
				s.file, s.records, s.distinct, s.Read, s.Accepted)
		}
	}
	want := sampleDoc(table)
	if *update {
		if err := os.WriteFile(docFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(docFile); err != nil || string(got) != want {
		t.Errorf("%s is not what %s says (%v); run go test ./internal/parse -run SampleTable -update", docFile, tableFile, err)
	}
}

// totals adds up the files that are no allow lists, each once.
func totals(table []sample) (sum sample) {
	seen := map[string]bool{}
	for _, s := range table {
		if s.allowList() || seen[s.file] {
			continue
		}
		seen[s.file] = true
		sum.records += s.records
		sum.distinct += s.distinct
		sum.Read += s.Read
		sum.Accepted += s.Accepted
		sum.Duplicate += s.Duplicate
		sum.Suppressed += s.Suppressed
		sum.Rejected += s.Rejected
	}
	return sum
}

// sampleDoc is docs/samples.md.
func sampleDoc(table []sample) string {
	var b strings.Builder
	files, agree := map[string]bool{}, 0
	for _, s := range table {
		if !files[s.file] && s.agrees() && s.err == "" {
			agree++
		}
		files[s.file] = true
	}
	sum := totals(table)
	fmt.Fprintf(&b, sampleIntro, len(files), agree, len(files)-agree,
		indexRecords, sum.Read, sum.distinct, sum.Accepted, sum.Duplicate, sum.Suppressed, sum.Rejected, indexDistinct, indicatorsInAll, rejectedInAll)
	for _, s := range table {
		kind := strings.SplitN(s.spec, `"`, 5)[3]
		if s.as != "" {
			kind += " (" + s.as + ")"
		}
		why := s.why
		if s.err != "" {
			why = "refused: " + s.err + "; " + why
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %d | %d | %d | %s |\n", s.file, kind, s.records, s.distinct,
			s.Read, s.Accepted, s.Duplicate, s.Suppressed, s.Rejected, strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(why))
	}
	return b.String()
}

const sampleIntro = `# What the parsers read of %d real files

Made from internal/parse/testdata/samples.tsv by ` + "`go test ./internal/parse -run SampleTable -update`" + `; a test keeps it equal. *Records* and *distinct* are
counts that were made without any parser, by grep, awk, jq and a CSV reader; the others are what comes out of the type that reads the file.
%d files agree in both counts. The other %d have a reason, with the line where it is seen first: values that mean no indicator are rejected, private
and reserved ones suppressed, and two spellings of one value are one indicator and one duplicate: that is the rest of the last line's difference,
where a URL with and without its scheme, in two files, is one too.

| over all files, allow lists left out | independent count | read here |
|---|---|---|
| records | %d | %d |
| distinct, added up file by file | %d | %d accepted, %d duplicate, %d suppressed, %d rejected |
| distinct over all files together | %d | %d indicators, and %d values that were rejected |

| file | type | records | distinct | read | accepted | duplicate | suppressed | rejected | why it differs |
|---|---|---|---|---|---|---|---|---|---|
`

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

func readTable(t *testing.T) (table []sample) {
	t.Helper()
	for _, row := range readTSV(t, tableFile) {
		s := sample{file: row["file"], spec: row["spec"], as: row["as"], err: row["error"], why: row["why"]}
		for name, n := range map[string]*int{
			"read": &s.Read, "accepted": &s.Accepted, "duplicate": &s.Duplicate, "suppressed": &s.Suppressed, "rejected": &s.Rejected,
			"records": &s.records, "distinct": &s.distinct,
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
func writeTable(t *testing.T, table []sample, got []outcome) {
	t.Helper()
	var b strings.Builder
	b.WriteString("file\tspec\tread\taccepted\tduplicate\tsuppressed\trejected\trecords\tdistinct\tas\terror\twhy\n")
	for i, s := range table {
		c := got[i]
		fmt.Fprintf(&b, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n",
			s.file, s.spec, c.Read, c.Accepted, c.Duplicate, c.Suppressed, c.Rejected, s.records, s.distinct, s.as, s.err, s.why)
	}
	if err := os.WriteFile(tableFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
