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

	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
	"github.com/elasticintel/elasticintel/internal/source"
)

// input is what a run starts from: the bytes in a file of ours.
type input struct {
	file        *os.File // nil when notModified
	bytes       int64
	sha256      string // of the bytes as received
	clean       string // SHA-256 of the file where it was blackened, else empty
	notModified bool
	fetched     bool // with validators that may be empty

	etag, lastModified, url string

	pulled *source.Answer // of several requests
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

// validators puts into h what the next request needs, prev being the head so far.
// Input that was not fetched leaves the conditional request alone: h is new, or holds
// those of the same bytes. It does not change from where on to ask either.
func (in *input) validators(h, prev *corpus.Head) {
	if in.fetched {
		h.ETag, h.LastModified, h.ValidatorURL = in.etag, in.lastModified, in.url
	}
	switch {
	case in.pulled != nil:
		h.Since, h.SinceOf = in.pulled.State.Since, in.pulled.State.Of
	case prev != nil && prev.ParseHash == h.ParseHash:
		h.Since, h.SinceOf = prev.Since, prev.SinceOf
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
	if a.def.Several() {
		return a.fetchSeveral(ctx, secret)
	}
	url, header := a.def.Endpoint(secret)
	req := fetch.Request{URL: url, Method: a.def.Method, Header: header, Body: a.def.Payload(secret),
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
	a.secrets = append(a.secrets, a.def.Forms(value)...)
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
// holds what was read until then.
func (a *attempt) parse(ctx context.Context, f *os.File) (source.Parsed, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return source.Parsed{Result: &parse.Result{}}, err
	}
	a.progress("parse", 0, size)
	res, err := source.Parse(ctx, f, a.def, source.ParseOptions{
		MaxRejects: maxRejects,
		Now:        a.run.Started,
		Step:       func(n int64) { a.progress("parse", n, max(n, size)) },
		Refuse:     func(head []byte) string { return NoList(a.def.Type, head) },
	})
	a.run.Counts, a.run.Rejects = res.Counts, a.redactRejects(res.Rejects)
	return res, err
}

// maxRejects is how many rejects a ledger row shows.
const maxRejects = 20

func (a *attempt) redactRejects(list []intel.Reject) []intel.Reject {
	for i := range list {
		list[i].Value, list[i].Reason = a.blot(list[i].Value), a.blot(list[i].Reason)
	}
	return list
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
