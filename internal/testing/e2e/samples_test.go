package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// samplesTable says how each sample is read and what it holds; the parsers'
// own tests check it against independent counts.
const samplesTable = "../../parse/testdata/samples.tsv"

// sample is one sample file as a feed.
type sample struct {
	file   string // below the samples' folder
	path   string // at the publisher
	packed []byte // as the publisher sends it
	counts intel.Counts
	def    *feed.Definition
}

// plain is the unpacked content.
func (s *sample) plain() []byte {
	var r io.Reader = bytes.NewReader(s.packed)
	switch filepath.Ext(s.file) {
	case ".gz":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil
		}
		r = z
	case ".br":
		r = brotli.NewReader(r)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil
	}
	return data
}

// serve puts the sample as it is at the publisher.
func (s *sample) serve(srv *feedserver.Server) {
	if filepath.Ext(s.file) == ".br" { // nothing but the header tells brotli
		srv.SetWith(s.path, s.packed, map[string][]string{"Content-Encoding": {"br"}})
		return
	}
	srv.Set(s.path, s.packed)
}

// lines says whether the format is one of lines, so that a test may take some away.
func (s *sample) lines() bool {
	return s.def.Type == "txt" || s.def.Type == "csv" || s.def.Type == "hosts"
}

// held says whether a guard will hold the sample back: one with more rejects
// than a definition allows that knows nothing of it.
func (s *sample) held() bool {
	return s.counts.Accepted == 0 || float64(s.counts.Rejected) > feed.DefaultMaxReject*float64(s.counts.Read)
}

// samples loads every sample with at most most records. Without EI_SAMPLES those
// of the repository serve, and generated ones beside them to make a hundred.
func samples(t *testing.T, srv *feedserver.Server, most int) []*sample {
	t.Helper()
	dir, small := filepath.Join(os.Getenv("EI_SAMPLES"), "feeds"), false
	if os.Getenv("EI_SAMPLES") == "" {
		dir, small = "../../parse/testdata/samples", true
	}
	table, err := os.ReadFile(samplesTable)
	if err != nil {
		t.Fatal(err)
	}
	var out []*sample
	seen := map[string]bool{}
	for i, line := range strings.Split(strings.TrimSpace(string(table)), "\n") {
		f := strings.Split(line, "\t")
		if i == 0 || len(f) < 10 || seen[f[0]] || f[9] != "" { // some files are read in two ways there, or in another shape
			continue
		}
		seen[f[0]] = true
		packed, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f[0])))
		if small && os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var n [5]int
		for j := range n {
			if n[j], err = strconv.Atoi(f[2+j]); err != nil {
				t.Fatalf("%s line %d: %v", samplesTable, i+1, err)
			}
		}
		s := &sample{file: f[0], path: "/" + f[0], packed: packed,
			counts: intel.Counts{Read: n[0], Accepted: n[1], Duplicate: n[2], Suppressed: n[3], Rejected: n[4]}}
		if s.counts.Read == 0 || s.counts.Read > most {
			continue
		}
		if s.def = definition(t, srv, f[0], f[1]); s.def.Several() { // what it names is pulled too: TestManifest
			continue
		}
		out = append(out, s)
	}
	if small {
		t.Logf("EI_SAMPLES is not set: %d small samples of the repository and generated lists serve", len(out))
		out = append(out, generated(t, srv, 100-len(out))...)
	}
	return out
}

// generated makes n small lists of all sorts.
func generated(t *testing.T, srv *feedserver.Server, n int) []*sample {
	t.Helper()
	var out []*sample
	for i := range n {
		var b bytes.Buffer
		b.WriteString("# a generated list\n")
		for j := range 20 + i {
			switch i % 4 {
			case 0:
				fmt.Fprintf(&b, "198.51.%d.%d\n", i%256, j)
			case 1:
				fmt.Fprintf(&b, "host%d-%d.example\n", i, j)
			case 2:
				fmt.Fprintf(&b, "http://site%d.example/path/%d\n", i, j)
			case 3:
				fmt.Fprintf(&b, "%064x\n", i<<20|j)
			}
		}
		name := fmt.Sprintf("generated/%d.txt", i)
		out = append(out, &sample{file: name, path: "/" + name, packed: b.Bytes(), counts: intel.Counts{Read: 20 + i, Accepted: 20 + i},
			def: definition(t, srv, name, `{"type":"txt","kinds":"auto"}`)})
	}
	return out
}

var notID = regexp.MustCompile(`[^a-z0-9]+`)

// definition writes a table's spec as a user would write the feed's definition.
func definition(t *testing.T, srv *feedserver.Server, file, spec string) *feed.Definition {
	t.Helper()
	var s struct {
		Type, Kinds, Separator, Records, Exclude string
		Headers                                  bool
		NoQuotes                                 bool `json:"no_quotes"`
		Comments, Inline                         *[]string
		Blanks                                   []string
		Columns                                  []struct{ Source, Field, Type, Split, Kinds string }
		Filter                                   []feed.Filter
	}
	if err := json.Unmarshal([]byte(spec), &s); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	source, destination := []*string{}, []*string{}
	types := map[string]any{}
	several := 0
	for _, c := range s.Columns {
		if c.Field == "indicator" {
			several++
		}
	}
	for _, c := range s.Columns {
		if several > 1 && c.Field == "indicator" { // then a column's name says what it holds
			c.Field, c.Kinds = c.Kinds, ""
		}
		source, destination = append(source, &c.Source), append(destination, &c.Field)
		if c.Field == "" {
			destination[len(destination)-1] = nil
		}
		ct := map[string]any{}
		for key, value := range map[string]string{"type": c.Type, "split": c.Split, "kind": c.Kinds} {
			if value != "" {
				ct[key] = value
			}
		}
		if len(ct) > 0 {
			types[c.Field] = ct
		}
	}
	sum := sha256.Sum256([]byte(file)) // long names are cut below
	id := strings.Trim(notID.ReplaceAllString(strings.ToLower(file), "-"), "-")
	d := map[string]any{
		"id": fmt.Sprintf("%s-%x", id[:min(len(id), 50)], sum[:4]), "feed_name": file, "provider": strings.SplitN(file, "/", 2)[0], "feed_type": s.Type,
		"feed_url": srv.URL("/" + file), "allow_networks": []string{"127.0.0.0/8"}, "interval": "1h",
		"field_mapping": map[string]any{"separator": s.Separator, "source": source, "destination": destination, "has_headers": s.Headers, "types": types,
			"several": several > 1},
	}
	for key, value := range map[string]string{"indicator_type": s.Kinds, "records": s.Records, "exclude": s.Exclude} {
		if value != "" {
			d[key] = value
		}
	}
	if s.NoQuotes {
		d["quotes"] = false
	}
	if s.Comments != nil {
		d["comments"] = *s.Comments
	}
	if s.Inline != nil {
		d["inline_comments"] = *s.Inline
	}
	if s.Blanks != nil {
		d["blanks"] = s.Blanks
	}
	if s.Filter != nil {
		d["filter"] = s.Filter
	}
	raw, err := json.Marshal(map[string]any{"feeds": []any{d}})
	if err != nil {
		t.Fatal(err)
	}
	defs, err := feed.Decode(file, raw)
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	return defs[0]
}
