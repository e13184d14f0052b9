package registry

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/fetch"
)

const (
	bulkSize  = 5000            // addresses of one bulk query
	bulkTime  = 2 * time.Minute // of one
	bulkRow   = 512             // bytes of the answer for each address, at most
	fewEnough = 16              // addresses that are asked for by DNS
)

const cymru = "cymru"

// Origins asks Team Cymru which autonomous system announces each of the addresses,
// in which prefix: by DNS where there are few, else by whois in bulk, 5,000 at a
// time. There is one finding for each address, in order; the error is ctx's, and
// comes with the findings that there are.
func (r *Registry) Origins(ctx context.Context, addrs []netip.Addr) ([]enrich.Finding, error) {
	found := make(map[netip.Addr]enrich.Finding, len(addrs))
	addrs = slices.Clone(addrs)
	var ask []netip.Addr
	for i, a := range addrs {
		a = a.Unmap().WithZone("")
		addrs[i] = a
		if _, have := found[a]; have {
			continue
		}
		found[a] = enrich.Finding{}
		if fetch.Reserved(a) != "" {
			found[a] = r.negative(enrich.Subject{Addr: a}, cymru, Private, retryPrivate)
			continue
		}
		ask = append(ask, a)
	}
	if len(ask) <= fewEnough {
		ask = r.originsByDNS(ctx, ask, found)
	}
	for chunk := range slices.Chunk(ask, bulkSize) {
		if ctx.Err() == nil {
			r.originsInBulk(ctx, chunk, found)
		}
	}
	var all []enrich.Finding
	for _, a := range addrs {
		if f := found[a]; f.Source != "" {
			all = append(all, f)
		}
	}
	return all, ctx.Err()
}

// originsInBulk asks for a chunk, and once more for what a broken answer left out.
func (r *Registry) originsInBulk(ctx context.Context, chunk []netip.Addr, found map[netip.Addr]enrich.Finding) {
	to, ok := hostPort(r.cfg.Endpoints.Cymru)
	if !ok {
		return
	}
	missing := make(map[netip.Addr]bool, len(chunk))
	for _, a := range chunk {
		missing[a] = true
	}
	retry, err := r.polite(ctx, r.servers.get(to, "*bulk"), bulkTime, func(ctx context.Context) (ending, time.Duration, error) {
		var ask []netip.Addr
		for _, a := range chunk {
			if missing[a] {
				ask = append(ask, a)
			}
		}
		rows, refused, err := r.bulk(ctx, to, ask, func(f enrich.Finding) {
			if missing[f.Subject.Addr] {
				delete(missing, f.Subject.Addr)
				found[f.Subject.Addr] = f
			}
		})
		switch {
		case errors.Is(err, errBlocked):
			return nothing, 0, err
		case refused && rows == 0:
			return refusal, 0, errRefused
		case err != nil && len(missing) > 0, rows == 0 && len(ask) > 0 && err == io.EOF:
			return failure, 0, errDown
		}
		return served, 0, nil
	})
	for _, a := range chunk {
		if !missing[a] {
			continue
		}
		s := enrich.Subject{Addr: a}
		if err == nil {
			found[a] = r.negative(s, cymru, Unreadable, retryNonsense)
		} else if f, ended := r.failed(s, cymru, err, retry); ended == nil {
			found[a] = f
		}
	}
}

// bulk sends one query, and gives each row about an address of it to take. Rows is
// how many lines there were that could be rows; io.EOF says that there was nothing.
func (r *Registry) bulk(ctx context.Context, to string, ask []netip.Addr, take func(enrich.Finding)) (rows int, refused bool, err error) {
	conn, err := r.net.DialContext(ctx, to)
	if err != nil {
		if blocked(err) {
			err = errBlocked
		}
		return 0, false, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var question strings.Builder
	question.WriteString("begin\r\nverbose\r\n")
	for _, a := range ask {
		question.WriteString(a.String() + "\r\n")
	}
	question.WriteString("end\r\n")
	var wg sync.WaitGroup
	defer wg.Wait()
	defer conn.Close() // so that the writer ends
	wg.Go(func() { _, _ = io.WriteString(conn, question.String()) })
	most := int64(len(ask)*bulkRow + 1<<12)
	in := bufio.NewScanner(io.LimitReader(conn, most))
	lines := 0
	for ; in.Scan(); lines++ {
		if a, f, ok := r.originRow(in.Text()); ok {
			rows++
			f.Subject = enrich.Subject{Addr: a}
			take(f)
		} else if strings.Contains(strings.ToLower(in.Text()), "rate limit") || strings.Contains(strings.ToLower(in.Text()), "access denied") {
			refused = true
		}
	}
	if err := in.Err(); err != nil {
		return rows, refused, err
	}
	if lines == 0 {
		return 0, false, io.EOF
	}
	return rows, refused, nil
}

// originRow reads "15169 | 8.8.8.8 | 8.8.8.0/24 | US | arin | 2023-12-28 | GOOGLE - Google LLC, US".
func (r *Registry) originRow(line string) (netip.Addr, enrich.Finding, bool) {
	col := strings.Split(line, "|")
	if len(col) < 7 {
		return netip.Addr{}, enrich.Finding{}, false
	}
	for i := range col {
		col[i] = strings.TrimSpace(col[i])
	}
	a, err := netip.ParseAddr(col[1])
	if err != nil {
		return a, enrich.Finding{}, false
	}
	if col[0] == "NA" {
		return a, r.negative(enrich.Subject{Addr: a}, cymru, Unannounced, retryAbsent), true
	}
	f, ok := r.origin(a, []string{col[0], col[2], col[3], col[4], col[5]})
	f.ASName = systemName(col[6])
	return a, f, ok
}

// origin makes a finding of the autonomous systems, prefix, country, registry and date.
func (r *Registry) origin(a netip.Addr, col []string) (enrich.Finding, bool) {
	f := enrich.Finding{Subject: enrich.Subject{Addr: a}, Source: cymru, Fetched: r.cfg.Now()}
	system, _, _ := strings.Cut(col[0], " ") // the first of several
	asn, err := strconv.ParseUint(system, 10, 32)
	p, err2 := netip.ParsePrefix(col[1])
	if err != nil || err2 != nil || asn == 0 || !p.Contains(a) || p.Bits() < enrich.HolderBits(a) {
		return f, false
	}
	f.Network = &enrich.Network{CIDR: []string{p.Masked().String()}, Country: enrich.Country(col[2]), ASN: uint32(asn), Allocated: enrich.ParseDate(col[4])}
	switch col[3] {
	case "afrinic", "apnic", "arin", "lacnic", "ripencc":
		f.Network.Registry = col[3]
	}
	return f, true
}

// systemName keeps the registered name of an autonomous system. What stands behind
// it describes who holds it, which may be a person.
func systemName(s string) string {
	s, _, _ = strings.Cut(enrich.Clean(s), " ")
	return strings.TrimSuffix(s, ",")
}

// originsByDNS asks for each address, and returns those for which nobody answered.
func (r *Registry) originsByDNS(ctx context.Context, ask []netip.Addr, found map[netip.Addr]enrich.Finding) []netip.Addr {
	got := make([]enrich.Finding, len(ask))
	var wg sync.WaitGroup
	for i, a := range ask {
		wg.Go(func() { got[i] = r.originByDNS(ctx, a) })
	}
	wg.Wait()
	names := map[uint32]string{}
	var left []netip.Addr
	for i, f := range got {
		if f.Source == "" {
			left = append(left, ask[i])
			continue
		}
		if n := f.Network; n != nil {
			if _, have := names[n.ASN]; !have {
				names[n.ASN] = r.systemByDNS(ctx, n.ASN)
			}
			f.ASName = names[n.ASN]
		}
		found[ask[i]] = f
	}
	return left
}

// originByDNS returns the narrowest of the announced prefixes; a finding without a
// source where nobody answered.
func (r *Registry) originByDNS(ctx context.Context, a netip.Addr) enrich.Finding {
	texts, none, err := r.texts(ctx, originName(a))
	if none {
		return r.negative(enrich.Subject{Addr: a}, cymru, Unannounced, retryAbsent)
	}
	if err != nil {
		return enrich.Finding{}
	}
	best, bits := enrich.Finding{}, -1
	for _, t := range texts[:min(len(texts), 16)] {
		col := strings.Split(t, "|")
		for i := range col {
			col[i] = strings.TrimSpace(col[i])
		}
		if len(col) < 5 {
			continue
		}
		if f, ok := r.origin(a, col); ok {
			if p := netip.MustParsePrefix(f.Network.CIDR[0]); p.Bits() > bits {
				best, bits = f, p.Bits()
			}
		}
	}
	return best
}

// systemByDNS returns what an autonomous system is called, "" where nobody says.
func (r *Registry) systemByDNS(ctx context.Context, asn uint32) string {
	texts, _, err := r.texts(ctx, fmt.Sprintf("AS%d.asn.cymru.com.", asn))
	if err != nil || len(texts) == 0 {
		return ""
	}
	col := strings.Split(texts[0], "|")
	if len(col) < 5 || strings.TrimSpace(col[0]) != fmt.Sprint(asn) {
		return ""
	}
	return systemName(col[4])
}

// originName is the name of an address in the mapping.
func originName(a netip.Addr) string {
	if a.Is4() {
		b := a.As4()
		return fmt.Sprintf("%d.%d.%d.%d.origin.asn.cymru.com.", b[3], b[2], b[1], b[0])
	}
	digits := []byte(hex.EncodeToString(a.AsSlice()))
	slices.Reverse(digits)
	return strings.Join(strings.Split(string(digits), ""), ".") + ".origin6.asn.cymru.com."
}

// texts asks DNS; none says that there is no such name.
func (r *Registry) texts(ctx context.Context, name string) (texts []string, none bool, err error) {
	_, err = r.dns(ctx, func(ctx context.Context) error {
		texts, err = r.cfg.Resolver.LookupTXT(ctx, name)
		return err
	}, &none)
	return texts, none, err
}

// dns asks the resolver once; it tries again for itself.
func (r *Registry) dns(ctx context.Context, ask func(context.Context) error, none *bool) (time.Time, error) {
	return r.polite(ctx, r.servers.get("dns", "*dns"), queryTime, func(ctx context.Context) (ending, time.Duration, error) {
		err := ask(ctx)
		if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
			*none = true
			return served, 0, nil
		}
		if err != nil {
			return served, 0, errDown // of the name's servers, as a rule, not of the one that was asked
		}
		return served, 0, nil
	})
}
