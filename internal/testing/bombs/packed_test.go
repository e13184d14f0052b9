package bombs

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// bombFile is the one file that a bomb may make, for what must be a file.
const bombFile = "bomb"

var lines = parse.Spec{Type: "txt", Kinds: intel.AnyKind}

// Made with bzip2 1.0.8 and zip 3.0, which no Go library writes.
const (
	bzip2Zeros = "QlpoOTFBWSZTWQ4J4t8BX45AAMAAAAggADCATUZCoCWpCoCXMUFZJlNZDgni3wFfjkAAwAAACCAAMIBNRkKgJakKgJcxQVkmU1nEYApVAD7RQALAAABAAAggADDMCapppUiDaipEHi7kinChIcCoiS4=" // 100 MB of zeros
	zipLocked  = "UEsDBAoACQAAAOEVeV2cwrGKFgAAAAoAAAAIABwAbGlzdC50eHRVVAkAAyZMBmsmTAZrdXgLAAEEAAAAAAQAAAAAnTdRVg1iwX5LlSHHceZN7KnWgD8I6VBLBwicwrGKFgAAAAoAAABQSwECHgMKAAkAAADhFXldnMKxihYAAAAKAAAACAAYAAAAAAABAAAApIEAAAAAbGlzdC50eHRVVAUAAyZMBmt1eAsAAQQAAAAABAAAAABQSwUGAAAAAAEAAQBOAAAAaAAAAAAA"
)

// packed are bombs that must be unpacked.
func packed() []bomb {
	const ratio, outside = "more than 200 times its size", "198.51.100.7\n"
	zeros := strings.Repeat("\x00", 16<<20)
	nested := func(format string) string {
		s := "198.51.100.7\n"
		for range 6 {
			s = packOf(format, s)
		}
		return s
	}
	return []bomb{
		{name: "gzip of 10 GiB of zeros", open: many("gzip", zeros, 640), want: ratio},
		{name: "zstd of 10 GiB of zeros", open: many("zstd", zeros, 640), want: ratio},
		{name: "bzip2 of 10 GB of zeros", open: repeated("", unbase64(bzip2Zeros), 100*len(unbase64(bzip2Zeros)), ""), want: ratio},
		{name: "xz of zeros", open: many("xz", zeros[:4<<20], 640), want: ratio},
		{name: "zip of zeros", open: file(zipEntry("list.txt", zeros, 0)), want: ratio},
		{name: "gzip ×6", open: lazy(func() opener { return text(nested("gzip")) }), want: "packed more than 2 times"},
		{name: "zip ×6", open: lazy(func() opener { return text(nested("zip")) }), want: "packed more than 2 times"},
		{name: "zip of overlapping entries", open: file(overlapping(9000, zeros)), want: ratio},
		{name: "zip64 that claims a tebibyte", open: file(rawZip(1<<40, 1<<40)), want: "ends before its end"},
		{name: "zip64 that claims 4 billion entries", open: file(manyEntries(1<<32-2, 10)), want: "zip archive"},
		{name: "zip of a million entries", open: file(manyEntries(1_000_000, 1_000_000)), want: "more than 10000 entries"},
		{name: "zip entry ../../x", open: file(zipEntry("../../x", outside, 0)), want: "", most: 1},
		{name: "zip entry /tmp/x", open: file(zipEntry("/tmp/elasticintel-bomb", outside, 0)), want: "", most: 1},
		{name: `zip entry ..\..\x`, open: file(zipEntry(`..\..\x`, outside, 0)), want: "", most: 1},
		{name: "zip of a symbolic link", open: file(zipEntry("list.txt", "/etc/passwd", fs.ModeSymlink|0o777)), want: "holds no file"},
		{name: "zip of a device", open: file(zipEntry("list.txt", "", fs.ModeDevice|0o666)), want: "holds no file"},
		{name: "tar of hard links in gzip", open: text(packOf("gzip", "list.txt"+strings.Repeat("\x00", 148)+"1"+"/etc/passwd"+strings.Repeat("\x00", 89)+"ustar  \x00"+strings.Repeat("\x00", 600))), want: "a tar archive, which is not read"},
		{name: "encrypted zip", open: text(unbase64(zipLocked)), want: "is encrypted"},
		{name: "zstd with a window of 256 MiB", open: text("\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00"), want: "a window of more than 32 MiB"},
		{name: "zip of 64 MiB in gzip", open: lazy(func() opener { return many("gzip", "PK\x03\x04"+noise(1<<20), 64) }), want: "more than 16 MiB"},
		{name: "Content-Encoding br, 1 GiB of zeros", serve: func(s *feedserver.Server) {
			s.SetWith("/a", []byte(packOf("br", strings.Repeat(zeros, 4))), map[string][]string{"Content-Encoding": {"br"}})
		}, want: ratio},
		{name: "Content-Encoding gzip, 2 GiB of zeros", serve: func(s *feedserver.Server) { s.Fail("/a", feedserver.GzipBomb, 0) }, want: ratio},
		{name: "a header without end", serve: func(s *feedserver.Server) { s.Fail("/a", feedserver.HugeHeader, 0) }, want: "the header of the answer is larger"},
		{name: "a body without end", serve: func(s *feedserver.Server) { s.Fail("/a", feedserver.Endless, 0) }, want: "the body is larger"},
	}
}

// many is the same packed data n times.
func many(format, data string, n int) opener {
	return lazy(func() opener {
		one := packOf(format, data)
		return parts(n, func(int) string { return one })
	})
}

// file writes a bomb to a file of the folder.
func file(write func(io.Writer) error) opener {
	return func(dir string) (io.ReadSeeker, error) {
		f, err := os.Create(filepath.Join(dir, bombFile))
		if err != nil {
			return nil, err
		}
		b := bufio.NewWriter(f)
		if err := write(b); err != nil {
			return nil, err
		}
		return f, b.Flush()
	}
}

func unbase64(s string) string {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// packOf packs data.
func packOf(format, data string) string {
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch format {
	case "gzip":
		w, err = gzip.NewWriterLevel(&b, 9)
	case "zstd":
		w, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	case "br":
		w = brotli.NewWriter(&b)
	case "xz":
		w, err = xz.NewWriter(&b)
	case "zip":
		if err := zipEntry("list", data, 0)(&b); err != nil {
			panic(err)
		}
		return b.String()
	}
	if err == nil {
		_, err = io.WriteString(w, data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	return b.String()
}

// noise is n bytes that do not compress.
func noise(n int) string {
	b := make([]byte, n)
	x := uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return string(b)
}

// zipEntry is an archive of one entry.
func zipEntry(name, data string, mode fs.FileMode) func(io.Writer) error {
	return func(w io.Writer) error {
		z := zip.NewWriter(w)
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		if mode != 0 {
			h.SetMode(mode)
		}
		e, err := z.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(e, data)
		}
		if err != nil {
			return err
		}
		return z.Close()
	}
}

// rawZip is an archive of one entry that lies about its sizes.
func rawZip(size, packed uint64) func(io.Writer) error {
	return func(w io.Writer) error {
		z := zip.NewWriter(w)
		e, err := z.CreateRaw(&zip.FileHeader{Name: "list.txt", Method: zip.Store, CompressedSize64: packed, UncompressedSize64: size})
		if err == nil {
			_, err = io.WriteString(e, "198.51.100.7\n")
		}
		if err != nil {
			return err
		}
		return z.Close()
	}
}

// directory writes n entries of a directory, all of the one file at offset 0, and
// the end of an archive that claims to have claimed of them.
func directory(w io.Writer, at int64, n int, claimed uint64, size, unpacked uint32) error {
	le := binary.LittleEndian
	total := 0
	for i := range n {
		name := fmt.Sprintf("%d", i)
		h := make([]byte, 46, 64)
		copy(h, "PK\x01\x02")
		le.PutUint16(h[10:], 8)
		le.PutUint32(h[20:], size)
		le.PutUint32(h[24:], unpacked)
		le.PutUint16(h[28:], uint16(len(name)))
		h = append(h, name...)
		total += len(h)
		if _, err := w.Write(h); err != nil {
			return err
		}
	}
	end := make([]byte, 56+20+22) // zip64 record, its locator, the end
	copy(end, "PK\x06\x06")
	le.PutUint64(end[4:], 44)
	le.PutUint64(end[24:], claimed)
	le.PutUint64(end[32:], claimed)
	le.PutUint64(end[40:], uint64(total))
	le.PutUint64(end[48:], uint64(at))
	copy(end[56:], "PK\x06\x07")
	le.PutUint64(end[64:], uint64(at)+uint64(total))
	le.PutUint32(end[72:], 1)
	copy(end[76:], "PK\x05\x06")
	le.PutUint16(end[84:], 0xffff)
	le.PutUint16(end[86:], 0xffff)
	le.PutUint32(end[88:], 0xffffffff)
	le.PutUint32(end[92:], 0xffffffff)
	_, err := w.Write(end)
	return err
}

// manyEntries has n of the claimed entries.
func manyEntries(claimed uint64, n int) func(io.Writer) error {
	return func(w io.Writer) error {
		if _, err := io.WriteString(w, "PK\x03\x04"+strings.Repeat("\x00", 26)); err != nil {
			return err
		}
		return directory(w, 30, n, claimed, 0, 0)
	}
}

// overlapping has n entries that share one file.
func overlapping(n int, data string) func(io.Writer) error {
	return func(w io.Writer) error {
		var one bytes.Buffer
		if err := zipEntry("0", data, 0)(&one); err != nil {
			return err
		}
		r, err := zip.NewReader(bytes.NewReader(one.Bytes()), int64(one.Len()))
		if err != nil {
			return err
		}
		f := r.File[0]
		offset, err := f.DataOffset()
		if err != nil {
			return err
		}
		end := offset + int64(f.CompressedSize64)
		if _, err := w.Write(one.Bytes()[:end]); err != nil {
			return err
		}
		return directory(w, end, n, uint64(n), uint32(f.CompressedSize64), uint32(f.UncompressedSize64))
	}
}
