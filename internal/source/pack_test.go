package source

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/feed"
)

func tempFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "pack-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// write makes a pack of bodies.
func write(t *testing.T, list []member, bodies ...string) (*os.File, string) {
	t.Helper()
	f := tempFile(t)
	p, err := newPacker(f)
	for i, b := range bodies {
		if err == nil {
			err = p.add(list[i], strings.NewReader(b), int64(len(b)))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	_, sum, err := p.close()
	if err != nil {
		t.Fatal(err)
	}
	return f, sum
}

func TestPack(t *testing.T) {
	list := []member{
		{name: "list", url: "https://a.example/list?key=REDACTED", list: true},
		{name: "page", url: "https://a.example/1", stamp: "17\n\x00x", reference: "https://a.example/ref/ü"},
		{name: "../../etc/pass wd", url: strings.Repeat("https://a.example/", 1000)},
		{name: "..."},
	}
	bodies := []string{"the list", "one\n", strings.Repeat("two\n", 5000), ""}
	f, sum := write(t, list, bodies...)
	if _, again := write(t, list, bodies...); again != sum {
		t.Error("the same parts give other bytes")
	}
	if !IsPack(f) {
		t.Error("a pack is not recognised")
	}
	u, err := newUnpacker(f)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"0000-list", "0001-page", "0002-etc-pass-wd", "0003-part"} {
		m, body, err := u.next()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		if err != nil || string(got) != bodies[i] || m.name != name || m.list != (i == 0) {
			t.Errorf("part %d: %+v, %d bytes, %v", i, m, len(got), err)
		}
		if m.url != paxValue(list[i].url) || m.stamp != paxValue(list[i].stamp) || m.reference != list[i].reference {
			t.Errorf("part %d: %+v, want %+v", i, m, list[i])
		}
	}
	if _, _, err := u.next(); err != io.EOF {
		t.Errorf("behind the last: %v", err)
	}
}

func TestNoPack(t *testing.T) {
	f, _ := write(t, []member{{name: "a"}}, strings.Repeat("x", 2000))
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(st.Size() - 3000); err != nil {
		t.Fatal(err)
	}
	u, err := newUnpacker(f)
	if err != nil {
		t.Fatal(err)
	}
	_, body, err := u.next()
	if err == nil {
		if _, err = io.ReadAll(body); err == nil {
			_, _, err = u.next()
		}
	}
	if err == nil || err == io.EOF {
		t.Errorf("a pack that is cut off: %v", err)
	}
	plain := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(plain, []byte(strings.Repeat("a.example\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := os.Open(plain)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if IsPack(g) {
		t.Error("a list is taken for a pack")
	}
	if _, err := newUnpacker(g); err == nil {
		t.Error("a list is unpacked")
	}
}

func TestNextLink(t *testing.T) {
	for _, c := range []struct {
		want   string
		values []string
	}{
		{"", nil},
		{"/p?page=2", []string{`</p?page=2>; rel="next"`}},
		{"/p?page=2", []string{`</p?page=1>; rel="prev first", </p?page=2>; title="a, b"; rel="last next"`}},
		{"/b", []string{`</a>; rel=prev`, `</b>;rel=NEXT`}},
		{"", []string{`</a>; rel="nextish"; x="next"`}},
		{"/a,b", []string{`</a,b>; rel="next"`}},
		{"", []string{`</a; rel="next"`}},
		{"", []string{`<`, `<>`, `<>;`}},
	} {
		if got := nextLink(c.values); got != c.want {
			t.Errorf("%q: %q, want %q", c.values, got, c.want)
		}
	}
}

// Packed parts are unpacked under the caps of one download, all together.
func TestPackedParts(t *testing.T) {
	zip := func(body string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := io.WriteString(z, body); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	cut := zip(strings.Repeat("b.example\n", 1000))
	f, _ := write(t, []member{{name: "a"}, {name: "b"}, {name: "c"}, {name: "d"}},
		zip("a.example\n"), cut[:len(cut)/2], zip(strings.Repeat("\x00", 8<<20)), "d.example\n")
	d := &feed.Definition{Type: "txt", Kind: "domain", Pages: &feed.Pages{By: feed.ByLink}}
	res, err := Parse(t.Context(), f, d, ParseOptions{})
	if err != nil || res.Parts != 4 || len(res.Bad) != 2 || res.Accepted < 2 {
		t.Fatalf("%d parts, %+v, bad %q, %v", res.Parts, res.Counts, res.Bad, err)
	}
	for i, want := range []string{"0002-b", "0003-c"} {
		if !strings.Contains(res.Bad[i], want) {
			t.Errorf("bad part %d: %s", i, res.Bad[i])
		}
	}
	if !strings.Contains(res.Bad[1], "decompression bomb") {
		t.Errorf("the bomb: %s", res.Bad[1])
	}
}

// FuzzUnpack reads packs that somebody else made, as a file given by hand may be.
func FuzzUnpack(f *testing.F) {
	dir := f.TempDir()
	seed, err := os.Create(filepath.Join(dir, "seed"))
	if err != nil {
		f.Fatal(err)
	}
	p, err := newPacker(seed)
	for _, body := range []string{"a.example\n", "", "b.example\n"} {
		if err == nil {
			err = p.add(member{name: "page", url: "https://a.example/", stamp: "1"}, strings.NewReader(body), int64(len(body)))
		}
	}
	if err == nil {
		_, _, err = p.close()
	}
	raw, rerr := os.ReadFile(seed.Name())
	if err != nil || rerr != nil {
		f.Fatal(err, rerr)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Add([]byte("a.example\n"))
	d := &feed.Definition{Type: "txt", Kind: "domain", Pages: &feed.Pages{By: feed.ByLink}}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := os.CreateTemp(dir, "pack-*")
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(file.Name())
		defer file.Close()
		if _, err := file.Write(data); err != nil {
			t.Fatal(err)
		}
		res, err := Parse(t.Context(), file, d, ParseOptions{})
		if res.Result == nil || err == nil && res.Read != res.Accepted+res.Duplicate+res.Suppressed+res.Rejected {
			t.Errorf("%+v, %v", res, err)
		}
	})
}
