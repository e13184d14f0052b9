package fetch

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// spool copies the body, freed of its Content-Encoding, to a file of res.
func (c *Client) spool(ctx context.Context, cancel context.CancelCauseFunc, resp *http.Response, res *Result) *Error {
	if resp.ContentLength > c.opts.MaxBytes {
		return fail(CodeTooLarge, "the body has %d bytes, more than the %d allowed", resp.ContentLength, c.opts.MaxBytes)
	}
	f, e := c.spoolFile()
	if e != nil {
		return e
	}
	res.Body = f
	wire := &wireReader{r: resp.Body, most: c.opts.MaxBytes}
	stop := watchRate(wire, c.opts.MinRate, cancel)
	defer stop()
	if e := c.copyBody(ctx, wire, resp, res); e != nil {
		res.Close() // the first error is the one to tell
		return e
	}
	return nil
}

func (c *Client) spoolFile() (*os.File, *Error) {
	if err := os.MkdirAll(c.opts.TempDir, 0o700); err != nil {
		return nil, diskError(err)
	}
	f, err := os.CreateTemp(c.opts.TempDir, "fetch-*") // mode 0600
	if err != nil {
		return nil, diskError(err)
	}
	return f, nil
}

func (c *Client) copyBody(ctx context.Context, wire io.Reader, resp *http.Response, res *Result) *Error {
	body, err := uncode(wire, resp.Header.Values("Content-Encoding"), c.opts.Unpack)
	if err != nil {
		return readError(ctx, err)
	}
	defer body.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(diskWriter{res.Body}, sum), body)
	if err == nil {
		_, err = io.Copy(io.Discard, wire) // the rest after the coding's end counts for caps and truncation
	}
	if err != nil {
		return readError(ctx, err)
	}
	if _, err := res.Body.Seek(0, io.SeekStart); err != nil {
		return diskError(err)
	}
	res.Bytes, res.SHA256 = n, hex.EncodeToString(sum.Sum(nil))
	return nil
}

// readError says why a body could not be read. Data that does not unpack may
// have been damaged on the way, so it is worth another try; a body over a cap is not.
func readError(ctx context.Context, err error) *Error {
	e := classify(ctx, err)
	if e.Code == CodeCorrupt || e.Code == CodeTruncated {
		e.retry, e.Permanent = true, false
	}
	return e
}

// diskWriter marks write errors, so that they are not taken for the server's.
type diskWriter struct{ f *os.File }

func (w diskWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	if err != nil {
		return n, diskError(err)
	}
	return n, nil
}

func diskError(err error) *Error {
	e := &Error{Code: CodeDisk, Detail: "the download could not be spooled to the disk: " + printable(err.Error())}
	if p, ok := errors.AsType[*os.PathError](err); ok {
		e.Err = p.Err
	}
	return e
}

// wireReader counts what comes in and ends it at the cap.
type wireReader struct {
	r    io.Reader
	n    atomic.Int64
	most int64
}

func (w *wireReader) Read(p []byte) (int, error) {
	left := w.most - w.n.Load()
	if left < 0 { // and stays so: buffers above go on reading as long as bytes come
		return 0, w.tooLarge()
	}
	n, err := w.r.Read(p[:min(int64(len(p)), left+1)])
	w.n.Add(int64(n))
	if int64(n) > left {
		return int(left), w.tooLarge()
	}
	return n, err
}

func (w *wireReader) tooLarge() *Error {
	return fail(CodeTooLarge, "the body is larger than the %d bytes allowed", w.most)
}

// watchRate cancels the download when a whole window brought less than the
// least rate. It looks at the clock, not at reads, so a stall is found too.
func watchRate(w *wireReader, rate int64, cancel context.CancelCauseFunc) (stop func()) {
	if rate <= 0 {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(rateWindow)
		defer tick.Stop()
		for before := int64(0); ; {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			now := w.n.Load()
			if now-before < rate*int64(rateWindow/time.Second) {
				cancel(passing(CodeSlow, "only %d bytes came in the last %s, less than %d a second", now-before, rateWindow, rate))
				return
			}
			before = now
		}
	}()
	return func() { close(quit); <-done }
}

// uncode removes HTTP content codings, the last applied first. Servers lie about
// them: data that does not start like its coding is passed on as it is.
func uncode(r io.Reader, values []string, lim Limits) (io.ReadCloser, error) {
	codings, bad := splitCodings(values)
	if bad != nil {
		return nil, bad
	}
	d := &decoder{lim: lim, in: &countReader{r: r}}
	d.cur = bufio.NewReaderSize(d.in, bufferSize)
	for _, coding := range slices.Backward(codings) {
		head, err := d.cur.Peek(probeSize)
		if err != nil && err != io.EOF {
			d.Close()
			return nil, err
		}
		if len(head) > 0 && startsLike(coding, head) {
			layer := open(coding, d.cur)
			d.stop = append(d.stop, layer.Close)
			d.push(layer, coding)
		}
	}
	return d, nil
}

// splitCodings reads Content-Encoding. Two codings are more than anyone uses.
func splitCodings(values []string) ([]string, *Error) {
	var list []string
	for c := range strings.SplitSeq(strings.Join(values, ","), ",") {
		switch c = strings.ToLower(strings.TrimSpace(c)); c {
		case "", "identity", "none", "utf-8", "aws-chunked": // the last three are common mistakes
		case "gzip", "x-gzip":
			list = append(list, formatGzip)
		case "zstd":
			list = append(list, formatZstd)
		case "br":
			list = append(list, formatBrotli)
		default:
			return nil, fail(CodeUnsupported, "the body has the content coding %q, which was not asked for", printable(c))
		}
	}
	if len(list) > 2 {
		return nil, fail(CodeNested, "the body has %d content codings on top of each other", len(list))
	}
	return list, nil
}
