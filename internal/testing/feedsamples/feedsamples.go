// Package feedsamples gives tests the lists of real feeds: those of the folder
// EI_SAMPLES, or the small ones of the repository; and of every feed of the
// catalogue the sample that lies beside its definition.
package feedsamples

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/andybalholm/brotli"

	"github.com/elasticintel/elasticintel"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
	"github.com/elasticintel/elasticintel/internal/source"
)

// Sample is a file as a publisher serves it, and what comes of it.
type Sample struct {
	File   string // below the samples' folder
	Spec   string // how it is read, as the table of the samples has it (JSON)
	Packed []byte // as it lies there
	Counts intel.Counts
}

// root is the folder of the repository.
func root() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", "..")
}

// Samples are the files of EI_SAMPLES, each once, that have records and at most
// most of them; where that is not set (small) those of the repository. The
// parsers' own tests check the table against independent counts.
func Samples(most int) (out []*Sample, small bool, err error) {
	dir := filepath.Join(os.Getenv("EI_SAMPLES"), "feeds")
	if small = os.Getenv("EI_SAMPLES") == ""; small {
		dir = filepath.Join(root(), "internal/parse/testdata/samples")
	}
	table, err := os.ReadFile(filepath.Join(root(), "internal/parse/testdata/samples.tsv"))
	if err != nil {
		return nil, small, err
	}
	seen := map[string]bool{}
	for i, line := range strings.Split(strings.TrimSpace(string(table)), "\n") {
		f := strings.Split(line, "\t")
		if i == 0 || len(f) < 10 || seen[f[0]] || f[9] != "" { // some files are read in two ways there, or in another shape
			continue
		}
		seen[f[0]] = true
		s := &Sample{File: f[0], Spec: f[1]}
		for j, to := range []*int{&s.Counts.Read, &s.Counts.Accepted, &s.Counts.Duplicate, &s.Counts.Suppressed, &s.Counts.Rejected} {
			if *to, err = strconv.Atoi(f[2+j]); err != nil {
				return nil, small, fmt.Errorf("samples.tsv line %d: %w", i+1, err)
			}
		}
		if s.Counts.Read == 0 || s.Counts.Read > most {
			continue
		}
		s.Packed, err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(s.File)))
		switch {
		case small && os.IsNotExist(err):
		case err != nil:
			return nil, small, err
		default:
			out = append(out, s)
		}
	}
	return out, small, nil
}

// Plain is the unpacked content, nil where it cannot be unpacked.
func (s *Sample) Plain() []byte {
	var r io.Reader = bytes.NewReader(s.Packed)
	switch filepath.Ext(s.File) {
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

// List is what a feed lists.
type List struct {
	Def     *feed.Definition
	Entries []intel.Entry
}

// Parse reads a sample with its definition (see Define).
func (s *Sample) Parse(ctx context.Context, d *feed.Definition) (*List, error) {
	res, err := parse.Collect(ctx, bytes.NewReader(s.Plain()), d.Spec(), parse.Options{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.File, err)
	}
	return &List{d, res.Entries}, nil
}

// Catalogue reads the sample of every feed of the catalogue as a run does.
func Catalogue(ctx context.Context) (out []*List, err error) {
	defs, err := feed.Load(elasticintel.FeedsFS())
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root(), "feeds.d", "samples")
	files, err := fs.Glob(os.DirFS(dir), "*")
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		d := defs.Get(strings.TrimSuffix(name, filepath.Ext(name)))
		if d == nil || strings.HasSuffix(name, ".want.json") {
			continue
		}
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		res, err := source.Parse(ctx, f, d, source.ParseOptions{})
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, &List{d, res.Entries})
	}
	return out, nil
}

// spec is how the table says that a file is read.
type spec struct {
	Type, Kinds, Separator, Records, Exclude string
	Headers                                  bool
	NoQuotes                                 bool `json:"no_quotes"`
	Comments, Inline                         *[]string
	Blanks                                   []string
	Columns                                  []struct{ Source, Field, Type, Split, Kinds string }
	Filter                                   []feed.Filter
}

// decode reads a definition of which the rest is given.
func decode(file string, d map[string]any) (*feed.Definition, error) {
	raw, err := json.Marshal(map[string]any{"feeds": []any{d}})
	if err != nil {
		return nil, err
	}
	defs, err := feed.Decode(file, raw)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, raw)
	}
	return defs[0], nil
}
