package registry

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
)

// rdap asks by RDAP (RFC 9082).
type rdap struct{ r *Registry }

// Name implements [enrich.Source].
func (*rdap) Name() string { return "rdap" }

// Ask implements [enrich.Source]. It goes where servers redirect to, each of them
// at its own rate, but never from https to http.
func (a *rdap) Ask(ctx context.Context, s enrich.Subject) (enrich.Finding, error) {
	to := a.r.boot.find(ctx, s)
	if err := ctx.Err(); err != nil {
		return enrich.Finding{}, err
	}
	if to == "" {
		return a.r.negative(s, a.Name(), Unserved, retryNonsense), nil
	}
	seen := map[string]bool{}
	for range maxHops + 1 {
		seen[to] = true
		got := a.r.get(ctx, request{url: to, kind: "*rdap", accept: "application/rdap+json, application/json;q=0.8", most: enrich.MaxAnswer})
		switch {
		case got.err != nil:
			return a.r.failed(s, a.Name(), got.err, got.retry)
		case got.status >= 300 && got.status < 400:
			next := follow(to, got.location)
			if next == "" || seen[next] {
				return a.r.negative(s, a.Name(), Unreadable, retryNonsense), nil
			}
			to = next
		case got.status == 404 || got.status == 410:
			return a.r.negative(s, a.Name(), Unregistered, retryAbsent), nil
		case got.status != 200:
			return a.r.negative(s, a.Name(), Unreadable, retryNonsense), nil
		default:
			rec, err := enrich.Parse(got.body, s.Domain)
			return a.r.finding(s, a.Name(), rec, err), nil
		}
	}
	return a.r.negative(s, a.Name(), Unreadable, retryNonsense), nil
}

// follow returns where a redirect leads, "" where that is not gone.
func follow(from, location string) string {
	base, err := url.Parse(from)
	if err != nil || location == "" || len(location) > 2000 {
		return ""
	}
	to, err := base.Parse(location)
	if err != nil || to.Host == "" || to.Scheme != "https" && to.Scheme != "http" || base.Scheme == "https" && to.Scheme == "http" {
		return ""
	}
	to.User, to.Fragment, to.RawFragment = nil, "", ""
	return to.String()
}

// failed is the finding of a query without an answer.
func (r *Registry) failed(s enrich.Subject, source string, err error, retry time.Time) (enrich.Finding, error) {
	var f enrich.Finding
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return f, err
	case errors.Is(err, errRefused):
		f = r.negative(s, source, Refused, retryRefused)
	case errors.Is(err, errDown):
		f = r.negative(s, source, Unreachable, retryDown)
	default:
		return r.negative(s, source, Unreadable, retryNonsense), nil
	}
	if !retry.IsZero() {
		f.Retry = retry
	}
	return f, nil
}

// finding is what an answer says about the subject.
func (r *Registry) finding(s enrich.Subject, source string, rec *enrich.Record, err error) enrich.Finding {
	switch {
	case errors.Is(err, enrich.ErrUnregistered):
		return r.negative(s, source, Unregistered, retryAbsent)
	case errors.Is(err, enrich.ErrRefused):
		return r.negative(s, source, Refused, retryRefused)
	case err != nil:
		return r.negative(s, source, Unreadable, retryNonsense)
	}
	f := enrich.Finding{Subject: s, Source: source, Fetched: r.cfg.Now(), Network: rec.Network, Domain: rec.Domain}
	switch why := fits(s, rec); {
	case why == Unassigned:
		return r.negative(s, source, why, retryAbsent)
	case why != "":
		return r.negative(s, source, why, retryNonsense)
	case s.ASN != 0:
		f.ASName = rec.Network.Name
	}
	return f
}

// fits says why a record is no answer about the subject; "" if it is one.
func fits(s enrich.Subject, rec *enrich.Record) string {
	switch {
	case s.Domain != "":
		if rec.Domain == nil || rec.Domain.Name != s.Domain {
			return Unreadable
		}
	case rec.Network == nil:
		return Unreadable
	case s.ASN != 0:
		if len(rec.Network.CIDR) > 0 || rec.Network.ASN != s.ASN {
			return Unreadable
		}
	default:
		return covers(rec.Network.CIDR, s.Addr)
	}
	return ""
}

// covers says whether one of the prefixes holds the address, and is none of those
// that a registry was given to give to others.
func covers(cidr []string, a netip.Addr) string {
	for _, c := range cidr {
		p, err := netip.ParsePrefix(c)
		if err != nil || !p.Contains(a) {
			continue
		}
		if p.Bits() < enrich.HolderBits(a) {
			return Unassigned
		}
		return ""
	}
	return Unreadable
}
