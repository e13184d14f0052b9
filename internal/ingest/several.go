package ingest

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/source"
)

// fetchSeveral pulls a feed that takes more than one request. What it brings is
// one file, as a download is.
func (a *attempt) fetchSeveral(ctx context.Context, secret string) (*input, error) {
	p := source.Pull{
		Def: a.def, Fetch: a.cfg.Fetch, Secret: secret, Secrets: a.secrets, Now: a.run.Started, Temp: a.temp, Sleep: a.cfg.Sleep,
		Clean:    func(ctx context.Context, f *os.File) (*os.File, error) { return a.blackened(ctx, f, io.Discard) },
		Progress: func(n int64) { a.progress("fetch", n, 0) },
	}
	if a.comparable() {
		p.State = source.State{Of: a.head.SinceOf, Since: a.head.Since}
	}
	if h := a.current(); h != nil && h.Run.Raw != "" {
		p.Previous = a.previous
	}
	out, err := source.Run(ctx, p)
	if err != nil {
		return nil, pullFailure(ctx, err)
	}
	a.run.Source, a.run.HTTPStatus = a.redact(out.URL), out.Status
	for _, note := range out.Notes {
		a.run.Reason = join(a.run.Reason, note)
	}
	return &input{file: out.File, bytes: out.Bytes, sha256: out.SHA256, fetched: true, pulled: out}, nil
}

// previous brings back the raw bytes that the current data was made of. Where
// they are gone or damaged everything is fetched anew.
func (a *attempt) previous(ctx context.Context) (*os.File, error) {
	in, err := a.unarchive(ctx, a.head.Run.Raw, a.head.Run.SHA256)
	if err != nil {
		return nil, err
	}
	return in.file, nil
}

// pullFailure says why a pull of several requests failed.
func pullFailure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if own, ok := errors.AsType[*failure](err); ok {
		return own
	}
	f := &failure{code: "fetch", reason: err.Error(), err: err}
	if e, ok := errors.AsType[*fetch.Error](err); ok {
		f = fetchFailure(e)
	}
	if e, ok := errors.AsType[*source.Error](err); ok {
		f.code, f.reason = e.Code, e.Reason
	}
	if _, ok := errors.AsType[*os.PathError](err); ok {
		f.code = "disk"
	}
	return f
}
