package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/elasticintel/elasticintel/internal/enrich"
)

// whois asks on port 43 (RFC 3912): IANA's root who to ask, then the registry, then
// the registrar where the registry leaves out what matters.
type whois struct {
	r     *Registry
	forms map[string]form // by host name
	roots roots
}

// Name implements [enrich.Source].
func (*whois) Name() string { return "whois" }

// Ask implements [enrich.Source].
func (w *whois) Ask(ctx context.Context, s enrich.Subject) (enrich.Finding, error) {
	server, retry, err := w.roots.find(ctx, w, s)
	if err != nil {
		return w.r.failed(s, w.Name(), err, retry)
	}
	if server == "" {
		return w.r.negative(s, w.Name(), Unserved, retryNonsense), nil
	}
	var have *enrich.Finding // of the registry, while the registrar is asked
	seen := map[string]bool{}
	for hops := 0; hops < maxHops && server != "" && !seen[server]; hops++ {
		seen[server] = true
		f, next, err := w.one(ctx, server, s)
		switch {
		case have != nil && f.Domain == nil: // what the registry said is good without the registrar
			return *have, nil
		case err != nil:
			return f, err
		case have != nil:
			complete(have.Domain, f.Domain)
		case f.Domain != nil:
			have = &f
		case next == "" || s.Domain != "" && f.Negative != Unreadable:
			return f, nil
		} // else whoever refers is not the one who gave the network or domain away
		if have != nil && whole(have.Domain) {
			return *have, nil
		}
		server = next
	}
	if have != nil {
		return *have, nil
	}
	return w.r.negative(s, w.Name(), Unreadable, retryNonsense), nil
}

// one asks one server. Next is the one that it refers to, "" where there is none.
func (w *whois) one(ctx context.Context, server string, s enrich.Subject) (f enrich.Finding, next string, err error) {
	text, retry, err := w.query(ctx, server, w.question(server, s), s.Domain)
	if err != nil {
		f, err = w.r.failed(s, w.Name(), err, retry)
		return f, "", err
	}
	rec, bad := enrich.Parse([]byte(text), s.Domain)
	return w.r.finding(s, w.Name(), rec, bad), referral(text, s), nil
}

// whole says whether a registry's record has all that a registrar could add.
func whole(d *enrich.Domain) bool {
	return d.Registrar != "" && d.Created != "" && d.Expires != "" && len(d.NameServers) > 0
}

// complete takes from e what d lacks.
func complete(d, e *enrich.Domain) {
	for _, f := range []struct{ to, from *enrich.Date }{{&d.Created, &e.Created}, {&d.Updated, &e.Updated}, {&d.Expires, &e.Expires}} {
		if *f.to == "" {
			*f.to = *f.from
		}
	}
	setDefault(&d.Registrar, e.Registrar)
	if len(d.NameServers) == 0 {
		d.NameServers = e.NameServers
	}
	if len(d.Status) == 0 {
		d.Status = e.Status
	}
}

// question is a subject in the form that the server wants: with what leaves out
// persons, where a server has such a thing.
func (w *whois) question(server string, s enrich.Subject) string {
	host, _, _ := net.SplitHostPort(server)
	f := w.forms[host]
	if s.Domain != "" {
		setDefault(&f.Domain, "{}")
		return strings.ReplaceAll(f.Domain, "{}", s.Domain)
	}
	if s.Addr.IsValid() {
		setDefault(&f.Addr, "{}")
		return strings.ReplaceAll(f.Addr, "{}", s.Addr.String())
	}
	setDefault(&f.ASN, "AS{}")
	return strings.ReplaceAll(f.ASN, "{}", fmt.Sprint(s.ASN))
}

// query sends one line and returns the answer as UTF-8.
func (w *whois) query(ctx context.Context, server, question, domain string) (text string, retry time.Time, err error) {
	host, _, _ := net.SplitHostPort(server)
	to := server
	if other, ok := hostPort(w.r.cfg.Endpoints.Servers[host]); ok {
		to = other
	}
	retry, err = w.r.polite(ctx, w.r.servers.get(to, "*whois"), queryTime, func(ctx context.Context) (ending, time.Duration, error) {
		raw, err := w.r.exchange(ctx, to, question, enrich.MaxAnswer)
		switch {
		case errors.Is(err, errBlocked):
			return nothing, 0, err
		case errors.Is(err, errHuge):
			return served, 0, err
		case err != nil || len(raw) == 0:
			return failure, 0, errDown
		}
		text = decode(raw)
		if _, err := enrich.Parse([]byte(text), domain); errors.Is(err, enrich.ErrRefused) {
			return refusal, 0, errRefused
		}
		return served, 0, nil
	})
	return text, retry, err
}

// exchange sends a line and reads until the server has said all.
func (r *Registry) exchange(ctx context.Context, to, question string, most int64) ([]byte, error) {
	conn, err := r.net.DialContext(ctx, to)
	if err != nil {
		if blocked(err) {
			return nil, errBlocked
		}
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, question+"\r\n"); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(conn, most+1))
	if err == nil && int64(len(raw)) > most {
		return nil, errHuge
	}
	return raw, err
}

// decode returns text as UTF-8: what is none is taken for Latin 1, in which every
// byte is a letter. Words of records are ASCII in either.
func decode(raw []byte) string {
	if utf8.Valid(raw) {
		return string(raw)
	}
	text, err := charmap.ISO8859_1.NewDecoder().Bytes(raw)
	if err != nil {
		return strings.ToValidUTF8(string(raw), "?")
	}
	return string(text)
}

// Words by which servers name the next one. Read-only.
var (
	networkReferral = regexp.MustCompile(`(?mi)^[ \t]*(?:ReferralServer|refer):[ \t]*(?:whois://)?([^\s/]+)`)
	domainReferral  = regexp.MustCompile(`(?mi)^[ \t]*(?:Registrar WHOIS Server|Whois Server|refer):[ \t]*(?:whois://)?([^\s/]+)`)
)

// referral returns the server that an answer names as the one to ask, "" where
// there is none. Those of rwhois are holders of networks, not registries.
func referral(text string, s enrich.Subject) string {
	words := networkReferral
	if s.Domain != "" {
		words = domainReferral
	}
	for _, m := range words.FindAllStringSubmatch(text, 8) {
		if server, ok := hostPort(m[1]); ok {
			return server
		}
	}
	return ""
}
