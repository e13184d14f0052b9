package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
)

// headSize is how much of the unpacked content Check sees.
const headSize = 4096

// input is what a run starts from: the bytes in a file of ours.
type input struct {
	file        *os.File // nil when notModified
	bytes       int64
	sha256      string // of the bytes as received
	clean       string // SHA-256 of the file where it was blackened, else empty
	notModified bool
	fetched     bool // with validators that may be empty

	etag, lastModified, url string
}

// Close removes the file.
func (in *input) Close() {
	if in.file == nil {
		return
	}
	in.file.Close()
	os.Remove(in.file.Name())
	in.file = nil
}

// validators puts into h what the next conditional request needs. Input that was
// not fetched leaves what is there: h is new, or holds those of the same bytes.
func (in *input) validators(h *corpus.Head) {
	if in.fetched {
		h.ETag, h.LastModified, h.ValidatorURL = in.etag, in.lastModified, in.url
	}
}

// open gets the run's bytes, from the network or from what stands in for it.
func (a *attempt) open(ctx context.Context) (*input, error) {
	switch {
	case a.job.Open != nil:
		a.run.Source = "built-in data"
		return a.copyIn(ctx, a.job.Open)
	case a.job.File != "":
		a.run.Source = filepath.Base(a.job.File)
		return a.copyIn(ctx, func() (io.ReadCloser, error) { return os.Open(a.job.File) })
	}
	return a.fetch(ctx)
}

func (a *attempt) fetch(ctx context.Context) (*input, error) {
	secret, err := a.secret()
	a.run.Source = a.redact(a.def.URL)
	if err != nil {
		return nil, err
	}
	if a.cfg.Fetch == nil {
		return nil, &failure{code: "fetch", reason: "this process downloads nothing; give a file"}
	}
	url, header := a.def.Endpoint(secret)
	if _, encoded, ok := strings.Cut(header.Get("Authorization"), " "); ok && secret != "" {
		a.secrets = append(a.secrets, encoded) // basic hides the secret in base64
	}
	req := fetch.Request{URL: url, Method: a.def.Method, Header: header, Body: []byte(a.def.Body),
		AllowNetworks: a.def.Allowed(), Secrets: a.secrets}
	if a.comparable() {
		req.ETag, req.LastModified, req.ValidatorURL = a.head.ETag, a.head.LastModified, a.head.ValidatorURL
	}
	res, err := a.cfg.Fetch.Do(ctx, req)
	if err != nil {
		if f := fetchFailure(err); f != nil {
			return nil, f
		}
		return nil, &failure{code: "fetch", reason: err.Error(), err: err}
	}
	a.run.Source, a.run.HTTPStatus = a.redact(res.URL), res.Status
	in := &input{file: res.Body, bytes: res.Bytes, sha256: res.SHA256, notModified: res.NotModified,
		fetched: true, etag: res.ETag, lastModified: res.LastModified, url: res.URL}
	if in.notModified {
		if !a.comparable() {
			return nil, &failure{code: "status", http: res.Status, reason: "the server said 304 Not Modified although nothing is held"}
		}
		return in, nil
	}
	if err := a.blacken(ctx, in); err != nil {
		in.Close()
		return nil, err
	}
	return in, nil
}

// secret returns the feed's secret and remembers it as never to be written.
func (a *attempt) secret() (string, error) {
	if a.def.Auth == nil {
		return "", nil
	}
	name := a.def.Auth.Secret
	value, ok := a.cfg.Secret(name)
	if !ok || value == "" {
		return "", &failure{code: "key", reason: fmt.Sprintf("the secret %s is not set; set it with `elasticintel feeds enable %s --secret %s=-`", name, a.def.ID, name)}
	}
	a.secrets = append(a.secrets, value)
	return value, nil
}

// fetchFailure is the failure that a *fetch.Error stands for, or nil.
func fetchFailure(err error) *failure {
	e, ok := errors.AsType[*fetch.Error](err)
	if !ok {
		return nil
	}
	return &failure{code: e.Code, reason: e.Error(), http: e.Status, wait: e.RetryAfter, err: err}
}

// copyIn copies a file of others into one of ours, so that what is hashed,
// archived and parsed is the same even if the original changes meanwhile.
func (a *attempt) copyIn(ctx context.Context, open func() (io.ReadCloser, error)) (*input, error) {
	src, err := open()
	if err != nil {
		return nil, &failure{code: "file", reason: "cannot open the input: " + err.Error(), err: err}
	}
	defer src.Close()
	f, err := a.temp()
	if err != nil {
		return nil, err
	}
	in, sum := &input{file: f}, sha256.New()
	if in.bytes, err = io.Copy(io.MultiWriter(f, sum), &ctxReader{ctx, src}); err != nil {
		in.Close()
		return nil, &failure{code: "file", reason: "cannot copy the input: " + err.Error(), err: err}
	}
	in.sha256 = hex.EncodeToString(sum.Sum(nil))
	return in, nil
}

// tempPattern names our temporary files; the fetcher's are fetch-*.
const tempPattern = "ingest-*"

func (r *Runner) temp() (*os.File, error) {
	if r.cfg.TempDir != "" {
		if err := os.MkdirAll(r.cfg.TempDir, 0o700); err != nil {
			return nil, &failure{code: "disk", reason: err.Error(), err: err}
		}
	}
	f, err := os.CreateTemp(r.cfg.TempDir, tempPattern)
	if err != nil {
		return nil, &failure{code: "disk", reason: err.Error(), err: err}
	}
	return f, nil
}

// parse unpacks and parses the file. The result is never nil: with an error it
// holds what was read until then. head is the start of the unpacked content.
func (a *attempt) parse(ctx context.Context, f *os.File) (res *parse.Result, head []byte, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return &parse.Result{}, nil, err
	}
	body, err := fetch.Decode(f, a.def.Archive, fetch.Limits{})
	if err != nil {
		return &parse.Result{}, nil, err
	}
	defer body.Close()
	a.progress("parse", 0, size)
	p := &peeker{r: &ctxReader{ctx, body}, step: func(n int64) { a.progress("parse", n, max(n, size)) }}
	res, err = parse.Collect(ctx, p, a.def.Spec(), parse.Options{MaxRejects: maxRejects})
	if res == nil {
		res = &parse.Result{}
	}
	a.run.Counts, a.run.Rejects = res.Counts, a.redactRejects(res.Rejects)
	return res, p.head, err
}

// maxRejects is how many rejects a ledger row shows.
const maxRejects = 20

func (a *attempt) redactRejects(list []intel.Reject) []intel.Reject {
	for i := range list {
		list[i].Value, list[i].Reason = a.blot(list[i].Value), a.blot(list[i].Reason)
	}
	return list
}

// peeker keeps the start of what is read through it and tells how far it is.
type peeker struct {
	r    io.Reader
	head []byte
	n    int64
	told int64
	step func(n int64)
}

func (p *peeker) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if room := headSize - len(p.head); room > 0 {
		p.head = append(p.head, b[:min(n, room)]...)
	}
	if p.n += int64(n); p.n-p.told >= 1<<20 {
		p.told = p.n
		p.step(p.n)
	}
	return n, err
}

// ctxReader ends reading when its context ends.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
