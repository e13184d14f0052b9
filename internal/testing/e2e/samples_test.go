package e2e

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/feedsamples"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// sample is one sample file as a feed.
type sample struct {
	*feedsamples.Sample
	path string // at the publisher
	def  *feed.Definition
}

// serve puts the sample as it is at the publisher.
func (s *sample) serve(srv *feedserver.Server) {
	if filepath.Ext(s.File) == ".br" { // nothing but the header tells brotli
		srv.SetWith(s.path, s.Packed, map[string][]string{"Content-Encoding": {"br"}})
		return
	}
	srv.Set(s.path, s.Packed)
}

// lines says whether the format is one of lines, so that a test may take some away.
func (s *sample) lines() bool {
	return s.def.Type == "txt" || s.def.Type == "csv" || s.def.Type == "hosts"
}

// held says whether a guard will hold the sample back: one with more rejects
// than a definition allows that knows nothing of it.
func (s *sample) held() bool {
	return s.Counts.Accepted == 0 || float64(s.Counts.Rejected) > feed.DefaultMaxReject*float64(s.Counts.Read)
}

// samples loads every sample with at most most records. Without EI_SAMPLES those
// of the repository serve, and generated ones beside them to make a hundred.
func samples(t *testing.T, srv *feedserver.Server, most int) []*sample {
	t.Helper()
	all, small, err := feedsamples.Samples(most)
	if err != nil {
		t.Fatal(err)
	}
	var out []*sample
	for _, s := range all {
		if d := definition(t, srv, s.File, s.Spec); !d.Several() { // what it names is pulled too: TestManifest
			out = append(out, &sample{s, "/" + s.File, d})
		}
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
		out = append(out, &sample{&feedsamples.Sample{File: name, Packed: b.Bytes(), Counts: intel.Counts{Read: 20 + i, Accepted: 20 + i}}, "/" + name,
			definition(t, srv, name, `{"type":"txt","kinds":"auto"}`)})
	}
	return out
}

// definition writes a table's spec as a user would write the feed's definition.
func definition(t *testing.T, srv *feedserver.Server, file, spec string) *feed.Definition {
	t.Helper()
	d, err := feedsamples.Define(file, spec, srv.URL("/"+file))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
