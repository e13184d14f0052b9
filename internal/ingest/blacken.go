package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/fetch"
)

// minSecret is the length from which a secret is looked for in content. A
// shorter one would be found everywhere.
const minSecret = 6

// blacken makes sure that nothing is stored of a secret which the publisher's
// answer repeats, as some do in links to themselves or in error messages: then
// the run goes on with the unpacked content, the secret replaced. Size and hash
// stay those of what was received; the name of the archived bytes holds theirs.
func (a *attempt) blacken(ctx context.Context, in *input) error {
	sum := sha256.New()
	f, err := a.blackened(ctx, in.file, sum)
	if err != nil || f == in.file {
		return err
	}
	old := input{file: in.file}
	old.Close()
	in.file, in.clean = f, hex.EncodeToString(sum.Sum(nil))
	return nil
}

// blackened returns a file with the unpacked content of f, its secrets replaced,
// and writes that into sum; f itself where it holds none, or cannot be unpacked,
// which the parser will find out.
func (a *attempt) blackened(ctx context.Context, f *os.File, sum io.Writer) (*os.File, error) {
	forms := a.forms()
	if len(forms) == 0 {
		return f, nil
	}
	body, err := fetch.Decode(f, a.def.Archive, fetch.Limits{})
	if err != nil {
		return f, nil
	}
	found, err := holds(&ctxReader{ctx, body}, forms)
	body.Close()
	if err != nil || !found {
		return f, ctx.Err()
	}
	body, err = fetch.Decode(f, a.def.Archive, fetch.Limits{})
	if err != nil {
		return f, fetchFailure(err)
	}
	defer body.Close()
	clean, err := a.temp()
	if err != nil {
		return f, err
	}
	if _, err := io.Copy(io.MultiWriter(clean, sum), &blackener{r: &ctxReader{ctx, body}, forms: forms}); err != nil {
		(&input{file: clean}).Close()
		return f, &failure{code: "disk", reason: err.Error(), err: err}
	}
	a.run.Reason = "the answer repeated the feed's secret, which was blackened before anything was stored"
	return clean, nil
}

// forms lists how the secrets may be written in content, longest first.
func (a *attempt) forms() [][]byte {
	var forms [][]byte
	for _, s := range a.secrets {
		for _, f := range fetch.TextForms(s) {
			if len(s) >= minSecret && !slices.ContainsFunc(forms, func(b []byte) bool { return string(b) == f }) {
				forms = append(forms, []byte(f))
			}
		}
	}
	slices.SortFunc(forms, func(a, b []byte) int { return len(b) - len(a) })
	return forms
}

// blot removes the secrets from a feed's own text. Unlike redact it leaves the
// parameters of URLs alone: they belong to the indicators.
func (a *attempt) blot(s string) string {
	for _, f := range a.forms() {
		s = strings.ReplaceAll(s, string(f), fetch.Redacted)
	}
	return s
}

func holds(r io.Reader, forms [][]byte) (bool, error) {
	b := &blackener{r: r, forms: forms}
	_, err := io.Copy(io.Discard, b)
	return b.found, err
}

// blackener replaces every one of forms in what is read through it.
type blackener struct {
	r     io.Reader
	forms [][]byte // longest first
	buf   []byte   // read and not yet clean
	out   []byte   // clean
	err   error
	found bool
}

const blackenChunk = 64 << 10

func (b *blackener) Read(p []byte) (int, error) {
	for len(b.out) == 0 && b.err == nil {
		b.fill()
	}
	if len(b.out) == 0 {
		return 0, b.err
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	return n, nil
}

// fill reads a chunk and cleans all of it but a tail in which a secret may have begun.
func (b *blackener) fill() {
	at := len(b.buf)
	b.buf = slices.Grow(b.buf, blackenChunk)[:at+blackenChunk]
	n, err := b.r.Read(b.buf[at:])
	b.buf, b.err = b.buf[:at+n], err
	for _, f := range b.forms {
		if bytes.Contains(b.buf, f) {
			b.found = true
			b.buf = bytes.ReplaceAll(b.buf, f, []byte(fetch.Redacted))
		}
	}
	safe := len(b.buf)
	if b.err == nil {
		safe = max(0, len(b.buf)-len(b.forms[0])+1)
	}
	b.out = append(b.out[:0:0], b.buf[:safe]...)
	b.buf = append(b.buf[:0], b.buf[safe:]...)
}
