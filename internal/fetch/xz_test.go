package fetch

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// xzHeader is a stream of one block that declares a dictionary of that code.
func xzHeader(t testing.TB, dictionary byte) string {
	t.Helper()
	whole := []byte(unbase64(t, xz9))
	whole[16] = dictionary // 12 of the stream header; size, flags, filter, its length
	binary.LittleEndian.PutUint32(whole[20:], crc32.ChecksumIEEE(whole[12:20]))
	return string(whole)
}

func TestXzDictionaries(t *testing.T) {
	for code := range byte(29) { // up to 64 MiB
		if got, e := decode(t, xzHeader(t, code), "", Limits{}); e != nil || got != list {
			t.Errorf("dictionary code %d: %q, %v", code, got, e)
		}
	}
	for _, code := range []byte{29, 30, 39, 40} {
		_, e := decode(t, xzHeader(t, code), "", Limits{})
		wantCode(t, "large dictionary", e, CodeTooLarge)
	}
	for _, code := range []byte{41, 63, 255} {
		_, e := decode(t, xzHeader(t, code), "", Limits{})
		wantCode(t, "no dictionary", e, CodeCorrupt)
	}
}

// TestXzChecks reads every check sum there is, and blocks of several.
func TestXzChecks(t *testing.T) {
	data := strings.Repeat(list, 5000)
	for _, check := range []byte{xz.None, xz.CRC32, xz.CRC64, xz.SHA256} {
		var b bytes.Buffer
		w, err := xz.WriterConfig{CheckSum: check, NoCheckSum: check == xz.None, BlockSize: 10_000}.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got, e := decode(t, b.String(), "", Limits{}); e != nil || got != data {
			t.Errorf("check %d: %d bytes, %v", check, len(got), e)
		}
	}
}

// TestXzManyBlocks: a thousand blocks that each want 64 MiB cleared for
// nothing are not worth the work.
func TestXzManyBlocks(t *testing.T) {
	whole := xzHeader(t, 28)
	head, block := whole[:12], whole[12:60] // header, chunk, padding and CRC64
	_, e := decode(t, head+strings.Repeat(block, 1000), "", Limits{})
	if e == nil || e.Code != CodeCorrupt || !strings.Contains(e.Detail, "too many tiny blocks") {
		t.Errorf("%v", e)
	}
}

// TestXzAgreesWithLibrary: the container reader finds what the library's finds.
func TestXzAgreesWithLibrary(t *testing.T) {
	for _, size := range []int{0, 1, 3, 4, 4095, 70_000, 300_000} {
		packed := pack(t, formatXz, noise(size))
		r, err := xz.NewReader(strings.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, e := decode(t, packed, "", Limits{}); e != nil || got != string(want) {
			t.Errorf("%d bytes: %d, %v", size, len(got), e)
		}
	}
}

func testSamples(t *testing.T, fsys fs.FS) {
	t.Helper()
	files, err := fs.Glob(fsys, "*/*.gz")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d packed samples: %v", len(files), err)
	}
	for _, name := range files {
		f, err := fsys.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Decode(f.(io.ReadSeeker), "", Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		head := make([]byte, 4)
		if n, err := io.Copy(io.Discard, io.TeeReader(r, &firstBytes{head})); err != nil || n < 500 || sniff(head) != "" {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		r.Close()
		f.Close()
	}
}

type firstBytes struct{ b []byte }

func (f *firstBytes) Write(p []byte) (int, error) {
	n := copy(f.b, p)
	f.b = f.b[n:]
	return len(p), nil
}
