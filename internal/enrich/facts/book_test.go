package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/enrich/table"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func indicator(t testing.TB, s string) intel.Indicator {
	t.Helper()
	i, err := intel.Parse(s, intel.AnyKind)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func network(asked, source string, at time.Time, n enrich.Network) enrich.Finding {
	return enrich.Finding{Subject: enrich.Subject{Addr: netip.MustParseAddr(asked)}, Source: source, Fetched: at, Network: &n}
}

func domain(name string, at time.Time, created intel.Date) enrich.Finding {
	return enrich.Finding{Subject: enrich.Subject{Domain: name}, Source: "rdap", Fetched: at,
		Domain: &enrich.Domain{Name: name, Registrar: "Example Registrar", Created: created, NameServers: []string{"ns1." + name}, Status: []string{}}}
}

func failure(s enrich.Subject, why string, at time.Time, wait time.Duration) enrich.Finding {
	return enrich.Finding{Subject: s, Source: "rdap", Fetched: at, Negative: why, Retry: at.Add(wait)}
}

func open(t testing.TB, s blob.Store, tables TablesFunc) *Book {
	t.Helper()
	b, err := Open(t.Context(), s, tables)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func add(t testing.TB, b *Book, found ...enrich.Finding) {
	t.Helper()
	if err := b.Add(t.Context(), found); err != nil {
		t.Fatal(err)
	}
}

func dir(t testing.TB) *blob.Dir {
	t.Helper()
	d, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// withTable is a TablesFunc of two tables, which it writes: of rows with an ASN, and others.
func withTable(t testing.TB, s blob.Store, rows ...table.Row) TablesFunc {
	t.Helper()
	var refs []TableRef
	for i, announced := range []bool{true, false} {
		var b bytes.Buffer
		of := slices.DeleteFunc(slices.Clone(rows), func(r table.Row) bool { return (r.ASN != 0) != announced })
		if err := table.Write(&b, table.Meta{Feed: []string{"ip2asn", "rir"}[i], Made: noon.AddDate(0, 0, -1-i)}, slices.Values(of)); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, TableRef{"table", fmt.Sprintf("tables/%d.eitb", i)})
		if _, err := blob.Write(t.Context(), s, refs[i].Key, b.Bytes(), blob.Cond{}); err != nil {
			t.Fatal(err)
		}
	}
	return func(context.Context) ([]TableRef, error) { return refs, nil }
}

func row(first, last, country string, asn uint32, name string) table.Row {
	return table.Row{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last), Country: country, ASN: asn, ASName: name}
}

func TestLayersFieldByField(t *testing.T) {
	s := dir(t)
	registered := row("93.184.0.0", "93.184.255.255", "DE", 0, "")
	registered.Registry, registered.Allocated = "ripencc", "2008-06-02T00:00:00Z"
	b := open(t, s, withTable(t, s, registered, row("93.184.216.0", "93.184.217.255", "US", 64500, "ANNOUNCED")))
	check := func(value string, want intel.NetworkFacts) {
		t.Helper()
		got := b.Snapshot().Enrichment(indicator(t, value), noon).Network
		if got == nil || *got != want {
			t.Errorf("%s: got %+v, want %+v", value, got, want)
		}
	}
	made := noon.AddDate(0, 0, -2) // the older of the two
	want := intel.NetworkFacts{CIDR: "93.184.0.0/16", Country: "DE", Registry: "ripencc", ASN: 64500, ASName: "ANNOUNCED", Allocated: "2008-06-02T00:00:00Z",
		Source: "rir+ip2asn", FetchedAt: made}
	check("93.184.216.34", want)
	add(t, b, network("93.184.216.34", "cymru", noon.Add(time.Minute), enrich.Network{CIDR: []string{"93.184.216.0/24"}, ASN: 64501, Country: "US"}),
		network("93.184.216.34", "whois", noon, enrich.Network{CIDR: []string{"93.184.216.0/22"}, Org: "Whois Org", Name: "WHOIS"}))
	add(t, b, network("93.184.216.34", "rdap", noon, enrich.Network{CIDR: []string{"93.184.216.0/23"}, Name: "EXAMPLE", Abuse: "abuse@example.net"}))
	want = intel.NetworkFacts{CIDR: "93.184.216.0/23", Name: "EXAMPLE", Org: "Whois Org", Country: "US", Registry: "ripencc", Abuse: "abuse@example.net",
		ASN: 64501, Allocated: "2008-06-02T00:00:00Z", Source: "rdap+whois+cymru+rir", FetchedAt: made}
	check("93.184.216.34", want)
	check("93.184.216.34:443", want)
	check("http://93.184.216.34/x", want)
	if got := b.Snapshot().Of(indicator(t, "93.184.216.0/24")); got != (query.Fact{Country: "US", ASN: 64501, Org: "Whois Org", Asked: noon}) {
		t.Errorf("fact %+v", got)
	}
	if got := b.Snapshot().Enrichment(indicator(t, "d41d8cd98f00b204e9800998ecf8427e"), noon); got != (intel.Enrichment{}) {
		t.Errorf("a hash has %+v", got)
	}
}

// TestNewerContradicts: what a registry says of an address replaces what it said
// before of a narrower range, but not of a wider one.
func TestNewerContradicts(t *testing.T) {
	s := dir(t)
	b := open(t, s, nil)
	add(t, b, network("5.6.0.1", "rdap", noon, enrich.Network{CIDR: []string{"5.6.0.0/16"}, Name: "WIDE"}),
		network("5.6.7.8", "rdap", noon, enrich.Network{CIDR: []string{"5.6.7.0/24"}, Name: "OLD"}))
	add(t, b, network("5.6.7.9", "rdap", noon.Add(time.Hour), enrich.Network{CIDR: []string{"5.6.4.0/22"}, Name: "NEW"}))
	for _, folded := range []bool{false, true} {
		for value, want := range map[string]string{"5.6.7.8": "NEW", "5.6.1.1": "WIDE"} {
			if got := b.Snapshot().Enrichment(indicator(t, value), noon).Network; got == nil || got.Name != want {
				t.Errorf("folded %v: %s is of %+v, want %s", folded, value, got, want)
			}
		}
		if err := b.Fold(t.Context(), noon); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.Snapshot().Counts().Networks; n != 2 {
		t.Errorf("%d networks are kept, want 2", n)
	}
}

func TestStates(t *testing.T) {
	s := dir(t)
	b := open(t, s, nil)
	asked := func(a string) enrich.Subject { return enrich.Subject{Addr: netip.MustParseAddr(a)} }
	named := func(n string) enrich.Subject { return enrich.Subject{Domain: n} }
	add(t, b,
		network("5.6.7.8", "rdap", noon, enrich.Network{CIDR: []string{"5.6.7.0/24"}}),
		network("6.6.7.8", "rdap", noon, enrich.Network{CIDR: []string{"6.0.0.0/7"}}),  // no holder has that
		network("7.6.7.8", "rdap", noon, enrich.Network{CIDR: []string{"8.6.7.0/24"}}), // of another
		network("9.6.7.8", "cymru", noon, enrich.Network{CIDR: []string{"9.6.0.0/16"}, ASN: 64500}),
		failure(asked("10.6.7.8"), enrich.Refused, noon, time.Hour),
		failure(asked("11.6.7.8"), enrich.Refused, noon, time.Hour),
		domain("old.example.com", noon, "2001-01-01T00:00:00Z"), domain("new.com", noon, "2026-11-10T00:00:00Z"), domain("known.net", noon, "2001-01-01T00:00:00Z"),
		failure(named("gone.com"), enrich.Unregistered, noon, 24*time.Hour), failure(named("refused.com"), enrich.Refused, noon, time.Hour))
	add(t, b, failure(named("known.net"), enrich.Unreachable, noon.AddDate(0, 0, 8), time.Hour))
	for _, tt := range []struct {
		sub   enrich.Subject
		after time.Duration
		want  State
	}{
		{asked("5.6.7.9"), 0, Fresh}, {asked("5.6.7.9"), freshNetwork, Stale}, {asked("5.6.8.1"), 0, Unknown},
		{asked("6.6.7.9"), 0, Waiting}, {asked("6.6.8.9"), 0, Unknown}, {asked("7.6.7.8"), 0, Waiting}, {asked("8.6.7.1"), 0, Unknown},
		{asked("9.6.7.8"), 0, Unknown}, {asked("10.6.7.8"), 0, Never}, {asked("11.6.7.77"), 0, Waiting}, {asked("11.6.7.77"), time.Hour, Stale},
		{asked("::1"), 0, Never}, {asked("2a00::1"), 0, Unknown},
		{named("old.example.com"), 6 * 24 * time.Hour, Fresh}, {named("old.example.com"), 7 * 24 * time.Hour, Stale},
		{named("new.com"), 23 * time.Hour, Fresh}, {named("new.com"), 24 * time.Hour, Stale},
		{named("gone.com"), time.Hour, Waiting}, {named("gone.com"), 25 * time.Hour, Stale}, {named("refused.com"), 0, Waiting}, {named("refused.com"), time.Hour, Stale},
		{named("known.net"), 8*24*time.Hour + time.Minute, Waiting}, {named("known.net"), 9 * 24 * time.Hour, Stale},
		{named("never.com"), 0, Unknown}, {named("x.invalid"), 0, Never}, {enrich.Subject{ASN: 64500}, 0, Unknown},
	} {
		if got := b.Snapshot().State(tt.sub, noon.Add(tt.after)); got != tt.want {
			t.Errorf("%+v after %s: %d, want %d", tt.sub, tt.after, got, tt.want)
		}
	}
	if got := b.Snapshot().Enrichment(indicator(t, "www.known.net"), noon).Domain; got == nil || got.Registrar == "" {
		t.Errorf("what is known went with a failure: %+v", got)
	}
	var due []string
	b.Snapshot().Due(noon.AddDate(0, 0, 9), func(s enrich.Subject) bool {
		due = append(due, s.Domain+fmt.Sprint(s.Addr))
		return true
	})
	want := []string{"gone.cominvalid IP", "known.netinvalid IP", "new.cominvalid IP", "old.example.cominvalid IP", "refused.cominvalid IP", "6.6.7.8", "7.6.7.8", "11.6.7.8"}
	slices.Sort(due)
	slices.Sort(want)
	// 10.6.7.8 is private, and a week has not gone by for 6.6.7.8 and 7.6.7.8 … but nine days have.
	if !slices.Equal(due, want) {
		t.Errorf("due are %q, want %q", due, want)
	}
}

func TestNewlyRegistered(t *testing.T) {
	b := open(t, dir(t), nil)
	add(t, b, domain("new.com", noon, "2026-11-10T00:00:00Z"))
	for after, want := range map[int]string{0: "newly-registered", 40: ""} {
		got := b.Snapshot().Enrichment(indicator(t, "https://login.new.com/x"), noon.AddDate(0, 0, after)).Domain
		if got == nil || strings.Join(got.Tags, ",") != want || got.Created != "2026-11-10T00:00:00Z" || got.FetchedAt != noon {
			t.Errorf("after %d days: %+v", after, got)
		}
	}
}

func TestAddresses(t *testing.T) {
	b := open(t, dir(t), nil)
	sub := enrich.Subject{Addr: netip.MustParseAddr("5.6.7.8")}
	report := intel.Fields{{Name: "ports", Values: []string{"22", "443"}}}
	add(t, b, enrich.Finding{Subject: sub, Source: "dns", Fetched: noon, Names: []string{"mail.example.net"}},
		enrich.Finding{Subject: sub, Source: "internetdb", Fetched: noon.Add(time.Hour), Report: report})
	got := b.Snapshot().Enrichment(indicator(t, "5.6.7.8:22"), noon).Address
	if got == nil || got.Source != "dns+internetdb" || got.FetchedAt != noon || len(got.Reports) != 1 || !slices.Equal(got.Names, []string{"mail.example.net"}) {
		t.Fatalf("%+v", got)
	}
	if r := got.Reports["internetdb"]; fmt.Sprint(r.Fields) != fmt.Sprint(report) || r.FetchedAt != noon.Add(time.Hour) {
		t.Errorf("%+v", r)
	}
	if got := b.Snapshot().Enrichment(indicator(t, "5.6.7.0/24"), noon).Address; got != nil {
		t.Errorf("a network has the facts of its first address: %+v", got)
	}
}

// TestManyWriters: several processes add at the same time, fold in between, and
// nothing is lost; all see the same in the end.
func TestManyWriters(t *testing.T) {
	s := dir(t)
	const writers, each = 6, 15
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			b := open(t, s, nil)
			for i := range each {
				add(t, b, domain(fmt.Sprintf("d%d-%d.com", w, i), noon, ""), network(fmt.Sprintf("5.%d.%d.1", w, i), "rdap", noon,
					enrich.Network{CIDR: []string{fmt.Sprintf("5.%d.%d.0/24", w, i)}, Name: "N"}))
				if i%5 == 4 {
					if err := b.Fold(t.Context(), noon); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	a, b := open(t, s, nil), open(t, s, nil)
	if err := a.Fold(t.Context(), noon); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := b.Snapshot().Counts(); c != (Counts{Networks: writers * each, Domains: writers * each}) || a.Snapshot().ID() != b.Snapshot().ID() {
		t.Errorf("%+v of %d; IDs %s and %s", c, writers*each, a.Snapshot().ID(), b.Snapshot().ID())
	}
	h, err := b.head(t.Context())
	if err != nil || len(h.Batches) > 8 {
		t.Errorf("%d batches, %v", len(h.Batches), err)
	}
}

// dying is a store that is killed before its n-th change, or after it.
type dying struct {
	blob.Store
	left  int
	after bool
}

var errKilled = errors.New("killed")

func (d *dying) change(do func() error) error {
	d.left--
	if d.left < 0 || d.left == 0 && !d.after {
		return errKilled
	}
	err := do()
	if d.left == 0 && err == nil {
		err = errKilled
	}
	return err
}

func (d *dying) Put(ctx context.Context, key string, r io.Reader, c blob.Cond) (info blob.Info, err error) {
	err = d.change(func() error { info, err = d.Store.Put(ctx, key, r, c); return err })
	return info, err
}

func (d *dying) Delete(ctx context.Context, key string) error {
	return d.change(func() error { return d.Store.Delete(ctx, key) })
}

// TestKilled ends a program at each of its changes, before and after: what was
// acknowledged is there, the next one goes on, and in the end nothing lies around.
func TestKilled(t *testing.T) {
	for step := 1; ; step++ {
		died := false
		for _, after := range []bool{false, true} {
			s := dir(t)
			d := &dying{Store: s, left: step, after: after}
			b := open(t, d, nil)
			acknowledged := 0
			var err error
			for i := 0; i < 6 && err == nil; i++ {
				if err = b.Add(t.Context(), []enrich.Finding{domain(fmt.Sprintf("d%d.com", i), noon, "")}); err == nil {
					acknowledged++
				}
				if i%2 == 1 && err == nil {
					err = b.Fold(t.Context(), noon.Add(time.Duration(i)*2*grace))
				}
			}
			if err != nil && !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			died = died || err != nil
			b = open(t, s, nil)
			for i := range acknowledged {
				if b.Snapshot().State(enrich.Subject{Domain: fmt.Sprintf("d%d.com", i)}, noon) != Fresh {
					t.Fatalf("step %d, after %v: d%d.com of %d is lost", step, after, i, acknowledged)
				}
			}
			add(t, b, domain("next.com", noon, ""))
			for n := range 2 {
				if err := b.Fold(t.Context(), time.Now().Add(time.Duration(n+1)*2*grace)); err != nil {
					t.Fatal(err)
				}
			}
			h, err := b.head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if left, err := s.List(t.Context(), batches); err != nil || len(left) != len(h.Batches) || len(h.Former) != 0 {
				t.Fatalf("step %d, after %v: %d objects, %d batches, %v", step, after, len(left), len(h.Batches), err)
			}
		}
		if !died {
			if step < 15 {
				t.Fatalf("only %d changes", step)
			}
			return
		}
	}
}

func TestDamagedBook(t *testing.T) {
	s := dir(t)
	b := open(t, s, nil)
	add(t, b, domain("a.com", noon, ""))
	list, err := s.List(t.Context(), batches)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	good, _, err := blob.Read(t.Context(), s, list[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= 0x41
		if _, err := blob.Write(t.Context(), s, list[0].Key, bad, blob.Cond{}); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), s, nil); err == nil || !strings.Contains(err.Error(), list[0].Key) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	if b.Snapshot().State(enrich.Subject{Domain: "a.com"}, noon) != Fresh {
		t.Error("what was read before is gone")
	}
	if _, err := blob.Write(t.Context(), s, HeadKey, []byte(`{"format":2}`), blob.Cond{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), s, nil); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer head: %v", err)
	}
}

func TestVerify(t *testing.T) {
	s := dir(t)
	b := open(t, s, nil)
	check := func(want string) {
		t.Helper()
		var got []string
		if err := Verify(t.Context(), s, func(key, problem string) { got = append(got, key+" "+problem) }); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(got, "\n"); want == "" && text != "" || !strings.Contains(text, want) {
			t.Errorf("got %q, want %q", text, want)
		}
	}
	check("")
	add(t, b, domain("a.com", noon, ""))
	check("")
	list, err := s.List(t.Context(), batches)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	good, _, err := blob.Read(t.Context(), s, list[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	for want, data := range map[string][]byte{"checksum is wrong": append(slices.Clone(good[:9]), append([]byte{1}, good[10:]...)...), "it is not what": encode([]enrich.Finding{domain("b.com", noon, "")})} {
		if _, err := blob.Write(t.Context(), s, list[0].Key, data, blob.Cond{}); err != nil {
			t.Fatal(err)
		}
		check(want)
	}
	if err := s.Delete(t.Context(), list[0].Key); err != nil {
		t.Fatal(err)
	}
	check("is missing")
	if _, err := blob.Write(t.Context(), s, HeadKey, []byte("{"), blob.Cond{}); err != nil {
		t.Fatal(err)
	}
	check(HeadKey)
}
