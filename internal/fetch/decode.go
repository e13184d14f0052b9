package fetch

import (
	"bufio"
	"errors"
	"io"
)

const (
	maxLayers = 2
	// maxInner is how large an archive inside other packed data may be: it must
	// be read from its end, so it is kept in memory.
	maxInner = 16 << 20
)

// Decode returns the plain data of f, read from its start. What f is packed
// with is found out from its content: gzip (any number of members), zstd,
// bzip2, xz or zip, at most two of them inside each other; anything else is
// passed on as it is. Of a zip archive it takes the entry named entry (an exact
// name, or a [path.Match] pattern for the whole name or its last part); without
// entry the only file, else the largest that is not documentation. Nothing is
// written to the disk.
//
// Every error, also of the reader, is an *Error. Closing the reader frees its
// memory and leaves f open; f must not be used otherwise before.
func Decode(f io.ReadSeeker, entry string, lim Limits) (io.ReadCloser, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, sourceError(err)
	}
	d := &decoder{src: f, entry: entry, lim: lim.withDefaults(), in: &countReader{r: fileReader{f}}}
	d.cur = bufio.NewReaderSize(d.in, bufferSize)
	if err := d.unpack(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// decoder is a stack of layers, each of which reads from the one below.
type decoder struct {
	src   io.ReadSeeker
	entry string
	lim   Limits
	in    *countReader  // what is read of src
	cur   *bufio.Reader // the top layer
	stop  []func() error
}

// Read implements io.Reader.
func (d *decoder) Read(p []byte) (int, error) { return d.cur.Read(p) }

// WriteTo implements io.WriterTo, which saves io.Copy a buffer.
func (d *decoder) WriteTo(w io.Writer) (int64, error) { return d.cur.WriteTo(w) }

// Close implements io.Closer.
func (d *decoder) Close() error {
	for _, stop := range d.stop {
		_ = stop() // decoders only give their memory back
	}
	d.stop, d.cur = nil, bufio.NewReader(errReader{io.ErrClosedPipe})
	return nil
}

// unpack adds layers until the top one is plain.
func (d *decoder) unpack() error {
	for depth := 0; ; depth++ {
		head, err := d.cur.Peek(probeSize)
		if err != nil && err != io.EOF {
			return err
		}
		format := sniff(head)
		switch {
		case format == "":
			if what := unread(head); what != "" {
				return fail(CodeUnsupported, "this is %s, which is not read; gzip, zstd, bzip2, xz and zip are", what)
			}
			if depth == 0 { // what is packed is capped already
				d.push(d.cur, "plain")
			}
			return nil
		case depth == maxLayers:
			return fail(CodeNested, "the data is packed more than %d times (%s again)", maxLayers, format)
		}
		layer, err := d.open(format, depth)
		if err != nil {
			return err
		}
		d.stop = append(d.stop, layer.Close)
		d.push(layer, format)
	}
}

func (d *decoder) push(r io.Reader, format string) {
	d.cur = bufio.NewReaderSize(&capReader{r: r, in: d.in, format: format, lim: d.lim}, bufferSize)
}

func (d *decoder) open(format string, depth int) (io.ReadCloser, error) {
	if format != formatZip {
		return open(format, d.cur), nil
	}
	at, size, err := d.randomAccess(depth)
	if err != nil {
		return nil, sourceError(err)
	}
	return openZip(at, size, d.in, d.entry, d.lim)
}

// randomAccess is the top layer as an archive needs it.
func (d *decoder) randomAccess(depth int) (io.ReaderAt, int64, error) {
	if depth > 0 {
		var in pieces
		n, err := in.readFrom(d.cur)
		return in, n, err
	}
	size, err := d.src.Seek(0, io.SeekEnd)
	if at, ok := d.src.(io.ReaderAt); ok {
		return at, size, err
	}
	return seekReaderAt{d.src}, size, err
}

// pieces keeps data without ever copying it to grow.
type pieces [][]byte

const pieceSize = 1 << 20

func (p *pieces) readFrom(r io.Reader) (total int64, err error) {
	for err == nil && total <= maxInner {
		b := make([]byte, pieceSize)
		var n int
		n, err = io.ReadFull(r, b)
		*p = append(*p, b[:n])
		total += int64(n)
	}
	switch {
	case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
		return total, err
	case total > maxInner:
		return total, fail(CodeTooLarge, "the zip archive inside the packed data has more than %d MiB", maxInner>>20)
	}
	return total, nil
}

// ReadAt implements io.ReaderAt.
func (p pieces) ReadAt(b []byte, off int64) (n int, err error) {
	for n < len(b) {
		i, at := (off+int64(n))/pieceSize, (off+int64(n))%pieceSize
		if i >= int64(len(p)) || at >= int64(len(p[i])) {
			return n, io.EOF
		}
		n += copy(b[n:], p[i][at:])
	}
	return n, nil
}

// seekReaderAt reads at an offset by seeking; one reader at a time.
type seekReaderAt struct{ f io.ReadSeeker }

func (s seekReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if _, err := s.f.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(s.f, p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// fileReader marks the errors of the file that is unpacked.
type fileReader struct{ f io.Reader }

func (r fileReader) Read(p []byte) (int, error) {
	n, err := r.f.Read(p)
	if err != nil && err != io.EOF {
		err = sourceError(err)
	}
	return n, err
}

func sourceError(err error) *Error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	return &Error{Code: CodeDisk, Detail: "the download could not be read back from the disk: " + clean(err.Error()), Err: err}
}
