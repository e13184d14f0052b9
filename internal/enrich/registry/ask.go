package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/fetch"
)

// Why a query has no answer, besides ctx's error.
var (
	errRefused = errors.New("the server refuses: it was asked too often, or serves others only")
	errDown    = errors.New("the server does not answer")
	errBlocked = errors.New("the way leads to an address that is not public, or is no way at all")
	errHuge    = errors.New("the answer is larger than any real one")
)

// polite sends a query when the server's manners let it, and again where it fails
// in passing, each time for most at most. Do returns what came of it, how long the server wants to be left
// alone, and the error for who asked. The time is until when nobody should ask
// again, where that is known.
func (r *Registry) polite(ctx context.Context, srv *server, most time.Duration, do func(ctx context.Context) (ending, time.Duration, error)) (time.Time, error) {
	for try := 1; ; try++ {
		if err := srv.enter(ctx, maxPatience); err != nil {
			return r.keptOut(srv, err)
		}
		short, cancel := context.WithTimeout(ctx, most)
		e, after, err := do(short)
		cancel()
		if ctx.Err() != nil && e != served {
			srv.leave(nothing, 0)
			return time.Time{}, ctx.Err()
		}
		srv.leave(e, after)
		if e == served || e == nothing || try == maxTries || e == refusal && (after <= 0 || after > maxPatience) {
			return r.again(srv, e, after), err
		}
		if e == failure {
			if err := sleep(ctx, srv.jitter(firstPause<<(try-1))); err != nil {
				return time.Time{}, err
			}
		}
	}
}

// keptOut is the answer to who was not let in to a server.
func (r *Registry) keptOut(srv *server, err error) (time.Time, error) {
	alone, ok := errors.AsType[*leftAlone](err)
	switch {
	case !ok:
		return time.Time{}, err
	case alone.why == Refused:
		return alone.until, errRefused
	}
	return r.cfg.Now().Add(srv.downFor()), errDown
}

// again is when a subject may be asked about again after the last try.
func (r *Registry) again(srv *server, e ending, after time.Duration) time.Time {
	now := r.cfg.Now()
	switch e {
	case refusal:
		if after > 0 {
			return now.Add(min(after, maxRetryAfter))
		}
		return now.Add(retryRefused)
	case failure:
		return now.Add(srv.downFor())
	}
	return time.Time{}
}

// request is a GET.
type request struct {
	url    string
	kind   string // of rate
	accept string
	header http.Header // besides; never sent anywhere else
	most   int64       // bytes of the answer
}

// answer is what a GET brought, whatever its status.
type answer struct {
	status   int
	location string
	body     []byte
	retry    time.Time // where known, until when nobody should ask again
	err      error     // errRefused, errDown, errBlocked, errHuge, or ctx's
}

// get asks once and follows nothing. A refusal and a failing server are errors;
// all other statuses are answers.
func (r *Registry) get(ctx context.Context, q request) answer {
	u, err := url.Parse(q.url)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return answer{err: errBlocked}
	}
	var a answer
	a.retry, err = r.polite(ctx, r.servers.get(strings.ToLower(u.Host), q.kind), queryTime, func(ctx context.Context) (ending, time.Duration, error) {
		got, e, after, err := r.once(ctx, q)
		a = got
		return e, after, err
	})
	a.err = err
	return a
}

func (r *Registry) once(ctx context.Context, q request) (answer, ending, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, q.url, nil)
	if err != nil {
		return answer{}, nothing, 0, errBlocked
	}
	for name, values := range q.header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", r.cfg.UserAgent)
	req.Header.Set("Accept", q.accept)
	resp, err := r.net.Do(req)
	if err != nil {
		if blocked(err) {
			return answer{}, nothing, 0, errBlocked
		}
		return answer{}, failure, 0, errDown
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, q.most+1))
	after := leaveAlone(resp.Header, r.cfg.Now())
	switch code := resp.StatusCode; {
	case code == 429 || code == 503 && after > 0:
		return answer{}, refusal, after, errRefused
	case code == 401 || code == 403:
		return answer{}, refusal, after, errRefused // whoever keeps asking is locked out for longer
	case code >= 500:
		return answer{}, failure, 0, fmt.Errorf("%w: status %d", errDown, code)
	case err != nil:
		return answer{}, failure, 0, errDown
	case int64(len(body)) > q.most:
		return answer{}, served, after, errHuge
	}
	return answer{status: resp.StatusCode, location: resp.Header.Get("Location"), body: body}, served, after, nil
}

func blocked(err error) bool {
	e, ok := errors.AsType[*fetch.Error](err)
	return ok && (e.Code == fetch.CodeBlocked || e.Code == fetch.CodeURL)
}

// leaveAlone reads how long a server wants no further query: Retry-After in seconds
// or as a date (RFC 9110), or how long an allowance that is used up needs to be
// filled again.
func leaveAlone(h http.Header, now time.Time) time.Duration {
	if s := strings.TrimSpace(h.Get("Retry-After")); s != "" {
		if n, err := strconv.ParseUint(s, 10, 63); err == nil {
			return time.Duration(min(n, uint64(maxRetryAfter/time.Second))) * time.Second
		}
		if t, err := http.ParseTime(s); err == nil && t.After(now) {
			return min(t.Sub(now), maxRetryAfter)
		}
	}
	for _, prefix := range []string{"X-RateLimit-", "RateLimit-", "X-Rate-Limit-"} {
		if h.Get(prefix+"Remaining") != "0" {
			continue
		}
		n, err := strconv.ParseInt(h.Get(prefix+"Reset"), 10, 64)
		if err == nil && n > 1e9 { // a point in time, else seconds from now
			n -= now.Unix()
		}
		if err == nil && n > 0 {
			return time.Duration(min(n, int64(maxRetryAfter/time.Second))) * time.Second
		}
	}
	return 0
}
