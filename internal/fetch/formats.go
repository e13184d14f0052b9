package fetch

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The packings that are read. Brotli has no signature: it is only read where a
// Content-Encoding declares it.
const (
	formatGzip   = "gzip"
	formatZstd   = "zstd"
	formatBzip2  = "bzip2"
	formatXz     = "xz"
	formatZip    = "zip"
	formatBrotli = "brotli"
)

const (
	probeSize  = 512      // enough for every signature; a tar's is at 257
	bufferSize = 64 << 10 // of what is read at once between layers

	maxWindow = 32 << 20 // of a zstd stream, which costs as much memory: that of zstd -20
)

// signatures of what is read. Read-only.
var signatures = []struct{ format, magic string }{
	{formatGzip, "\x1f\x8b\x08"},
	{formatZstd, "\x28\xb5\x2f\xfd"},
	{formatXz, "\xfd7zXZ\x00"},
	{formatZip, "PK\x03\x04"},
	{formatZip, "PK\x05\x06"}, // without entries
	{formatZip, "PK\x07\x08"}, // was cut into volumes
}

// foreign are signatures of what is not read, by the name to tell. Read-only.
var foreign = []struct {
	name, magic string
	at          int
}{
	{"a 7z archive", "7z\xbc\xaf\x27\x1c", 0},
	{"a RAR archive", "Rar!\x1a\x07", 0},
	{"a tar archive", "ustar", 257},
	{"an lz4 file", "\x04\x22\x4d\x18", 0},
	{"a compress (.Z) file", "\x1f\x9d", 0},
	{"an lzip file", "LZIP\x01", 0},
	{"a PDF document", "%PDF-", 0},
}

// sniff names the packing of data that starts with head; "" for plain data.
func sniff(head []byte) string {
	for _, s := range signatures {
		if bytes.HasPrefix(head, []byte(s.magic)) {
			return s.format
		}
	}
	switch {
	case startsBzip2(head):
		return formatBzip2
	case len(head) >= 8 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte("\x2a\x4d\x18")):
		return formatZstd // a skippable frame comes first
	}
	return ""
}

// startsBzip2 looks at the first block's signature too, because a list may
// begin with the letters "BZh9".
func startsBzip2(head []byte) bool {
	return len(head) >= 10 && string(head[:3]) == "BZh" && head[3] >= '1' && head[3] <= '9' &&
		(string(head[4:10]) == "\x31\x41\x59\x26\x53\x59" || string(head[4:10]) == "\x17\x72\x45\x38\x50\x90")
}

// unread names a packing that is recognised but not read.
func unread(head []byte) string {
	for _, f := range foreign {
		if len(head) > f.at && bytes.HasPrefix(head[f.at:], []byte(f.magic)) {
			return f.name
		}
	}
	return ""
}

// startsLike says whether data that starts with head can be in this format.
func startsLike(format string, head []byte) bool {
	return format == formatBrotli || sniff(head) == format
}

// open returns the plain data of r, which must be in a format other than zip.
// It reads nothing itself.
func open(format string, r *bufio.Reader) io.ReadCloser {
	switch format {
	case formatGzip:
		return io.NopCloser(&gzipReader{r: r})
	case formatZstd:
		return openZstd(r)
	case formatBzip2:
		return io.NopCloser(bzip2.NewReader(r))
	case formatXz:
		return io.NopCloser(&xzReader{r: r})
	default:
		return io.NopCloser(brotli.NewReader(r))
	}
}

// openZstd decodes in the caller's goroutine with bounded memory.
func openZstd(r io.Reader) io.ReadCloser {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil { // only for options that do not fit together
		return io.NopCloser(errReader{err})
	}
	return z.IOReadCloser()
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

// gzipReader reads gzip members one after another (RFC 1952 section 2.2) and
// ignores zeros after the last, which block devices and some servers add.
type gzipReader struct {
	r      *bufio.Reader
	z      gzip.Reader
	inside bool // a member
	any    bool // member was read
}

func (g *gzipReader) Read(p []byte) (int, error) {
	for {
		if !g.inside {
			if err := g.next(); err != nil {
				return 0, err
			}
		}
		n, err := g.z.Read(p)
		if err != io.EOF {
			return n, err
		}
		g.inside = false
		if n > 0 {
			return n, nil
		}
	}
}

// next goes to the next member; io.EOF if there is none.
func (g *gzipReader) next() error {
	if g.any {
		switch head, err := g.r.Peek(1); {
		case err != nil:
			return err
		case head[0] == 0:
			return onlyZeros(g.r)
		}
	}
	if err := g.z.Reset(g.r); err != nil {
		return noEOF(err)
	}
	g.z.Multistream(false)
	g.inside, g.any = true, true
	return nil
}

var errTrailing = errors.New("data after the end")

// onlyZeros reads r to its end, which is io.EOF if it holds nothing but zeros.
func onlyZeros(r *bufio.Reader) error {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return err
		}
		if b != 0 {
			return errTrailing
		}
	}
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// unpackError puts a decoder's error in words.
func unpackError(format string, err error) *Error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fail(CodeTruncated, "the %s data ends before its end", format)
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fail(CodeTooLarge, "the zstd data needs a window of more than %d MiB to unpack", maxWindow>>20)
	case errors.Is(err, errDictionary):
		return fail(CodeTooLarge, "the xz data needs a dictionary of more than %d MiB to unpack", maxDictionary>>20)
	case errors.Is(err, zstd.ErrUnknownDictionary):
		return fail(CodeUnsupported, "the zstd data needs a dictionary")
	case errors.Is(err, errFilter):
		return fail(CodeUnsupported, "the %s data uses another filter than LZMA2", format)
	}
	return fail(CodeCorrupt, "the %s data is damaged: %s", format, clean(strings.TrimPrefix(err.Error(), format+": ")))
}
