package fetch

import "io"

// Limits caps what unpacking may yield. A field that is not positive means its
// default.
type Limits struct {
	MaxBytes   int64 // of unpacked data, at every level; default 1 GiB
	MaxRatio   int64 // unpacked to packed bytes, once more than a MiB came out; default 200
	MaxEntries int   // of an archive; default 10,000
}

const (
	defaultUnpacked = 1 << 30
	defaultRatio    = 200
	defaultEntries  = 10_000

	ratioFree = 1 << 20 // small data may be as repetitive as it likes
)

func (l Limits) withDefaults() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = defaultUnpacked
	}
	if l.MaxRatio <= 0 {
		l.MaxRatio = defaultRatio
	}
	if l.MaxEntries <= 0 {
		l.MaxEntries = defaultEntries
	}
	return l
}

// countReader counts what is read from r and keeps its error, so that a broken
// source is not taken for broken data.
type countReader struct {
	r   io.Reader
	n   int64
	err error // of r; nil at its end
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// capReader holds unpacked data to its limits and puts errors in words. The
// ratio is to what came from the very source, so that layers do not multiply it.
type capReader struct {
	r      io.Reader
	in     *countReader
	format string
	lim    Limits
	n      int64
	err    error
}

func (c *capReader) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	switch {
	case err != nil && err != io.EOF:
		c.err = c.explain(err)
	case c.n > c.lim.MaxBytes:
		c.err = fail(CodeTooLarge, "the %s data unpacks to more than the %d bytes allowed", c.format, c.lim.MaxBytes)
	case c.n > ratioFree && c.n/c.lim.MaxRatio > c.in.n:
		c.err = fail(CodeRatio, "the %s data unpacks to more than %d times its size, as a decompression bomb does", c.format, c.lim.MaxRatio)
	default:
		c.err = err
	}
	return n, c.err
}

func (c *capReader) explain(err error) error {
	if c.in.err != nil {
		return c.in.err
	}
	return unpackError(c.format, err)
}
