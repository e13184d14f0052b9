package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
)

// source is one file of the samples and how it is read.
type source struct {
	file string
	spec parse.Spec
}

func lines(comments ...string) parse.Spec {
	s := parse.Spec{Type: "txt", Kinds: anyKind()}
	if comments != nil {
		s.Comments = &comments
	}
	return s
}

func columns(typ, sep string, headers bool, fields ...string) parse.Spec {
	s := parse.Spec{Type: typ, Kinds: anyKind(), Separator: sep, HasHeaders: headers}
	for _, f := range fields {
		c := parse.Column{Field: f}
		if f == intel.FieldTags {
			c.Type, c.Split = "list", " "
		}
		s.Columns = append(s.Columns, c)
	}
	return s
}

func anyKind() intel.KindSet {
	k, err := intel.ParseKindSet("auto")
	if err != nil {
		panic(err)
	}
	return k
}

// sources are the samples used, those with most context first.
func sources() (out []source) {
	for _, y := range []string{"2022", "2025", "2021", "2023", "2024"} {
		out = append(out, source{"tweetfeed/" + y + ".csv.gz", columns("csv", "", false, intel.FieldFeedFirstSeen, "user", "", parse.Indicator, intel.FieldTags, intel.FieldReference)})
	}
	out = append(out, source{"infoblox/combined.csv.gz", columns("csv", "", true, "", parse.Indicator, "classification", intel.FieldFeedFirstSeen)},
		source{"ipsum/ipsum.txt.gz", columns("csv", "\t", false, parse.Indicator, "lists")},
		source{"csirtg-smrt/spamhaus-drop.txt", columns("csv", ";", false, parse.Indicator, "sbl")},
		source{"csirtg-smrt/spamhaus-edrop.txt", columns("csv", ";", false, parse.Indicator, "sbl")})
	for _, n := range []string{"banners_bots_butchers_20260217", "sable_squirrel_20260813_iocs", "omnatuor_cta_20220815_iocs",
		"prolific_puma_20231031", "ameli_cta_20221118_iocs", "usps_cta_20231219", "vane_viper_20250912", "vextrio_cta_20220606_iocs"} {
		if strings.HasPrefix(n, "v") {
			n += ".csv.gz"
		} else {
			n += ".csv"
		}
		out = append(out, source{"infoblox/csv/" + n, columns("csv", "", true, "", parse.Indicator, "classification", intel.FieldFeedFirstSeen)})
	}
	for _, n := range []string{"maltrail/static-malware.txt.gz", "maltrail/elf_gafgyt.txt", "maltrail/apt_muddywater.txt", "maltrail/mass_scanner.txt",
		"maltrail/emotet.txt", "maltrail/redline.txt", "urlhaus-filter/2020-10-04/urlhaus-filter-domains.txt.gz",
		"urlhaus-filter/2021-08-22/urlhaus-filter-dnscrypt-blocked-ips.txt.gz", "urlhaus-filter/2021-12-28/urlhaus-filter.txt.gz",
		"urlhaus-filter/2025-07-19/urlhaus-filter.txt", "urlhaus-filter/2025-07-19/urlhaus-filter-domains.txt",
		"urlhaus-filter/2025-07-19/urlhaus-filter-dnscrypt-blocked-ips.txt", "usom/urls.txt.gz", "usom/ips.txt",
		"phishing-database/phishing-domains-NEW-today.txt.gz", "phishing-database/phishing-domains-ACTIVE.txt.gz",
		"phishing-database/phishing-domains-ACTIVE3.txt.gz", "phishing-database/phishing-links-ACTIVE1.txt.gz",
		"phishing-database/phishing-links-ACTIVE3.txt.gz", "phishing-database/phishing-links-ACTIVE5.txt.gz",
		"phishing-database/phishing-links-ACTIVE12.txt.gz", "phishing-database/phishing-IPs-ACTIVE.txt", "cps/cps-collected-iocs.txt",
		"cps/log4j.txt", "cps/abuse-ch-ipblocklist.txt", "elasticintel/blocklist_de-all.txt", "ipsum/levels/2.txt", "ipsum/levels/3.txt"} {
		out = append(out, source{n, lines("#", "!", ";")})
	}
	return append(out, source{"eset/all-samples.sha256", lines("#")}, source{"eset/all-samples.sha1", lines("#")})
}

// read parses the whole file.
func (s source) read(ctx context.Context, dir string) ([]intel.Entry, error) {
	name := filepath.Join(dir, "feeds", s.file)
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	res, err := parse.Collect(ctx, in, s.spec, parse.Options{MaxRejects: -1})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return res.Entries, nil
}

// dataset is what every engine is given.
type dataset struct {
	feeds    [][]intel.Entry // each by kind and value, downwards, so that later rows come first in an order by newest
	listings int
	context  int   // listings with context
	made     int   // listings whose value got a suffix or was generated
	raw      int64 // bytes of values and context
	source   string
}

// feedID is a name that no value has a word of, so that peers, which do not
// index the names of feeds with each listing, find the same.
func feedID(i int) string { return fmt.Sprintf("zzq%03d", i) }

// loadDataset makes feeds whose sizes fall like 1/rank.
func loadDataset(ctx context.Context, listings, feeds int) (*dataset, error) {
	pools, kind, err := loadPools(ctx, listings, feeds)
	if err != nil {
		return nil, err
	}
	d := &dataset{source: kind}
	harmonic := 0.0
	for i := range feeds {
		harmonic += 1 / float64(i+1)
	}
	st := stock{pools: pools, took: make([]int, len(pools)), copies: make([]int, len(pools))}
	due := make([]int, feeds)
	for i := range feeds {
		due[i] = int(float64(listings)/harmonic/float64(i+1) + 0.5)
		d.feeds = append(d.feeds, slices.Clone(st.real(i%len(pools), due[i])))
	}
	for i := range d.feeds { // from other samples, as far as they reach
		for short := due[i] - len(d.feeds[i]); short > 0; short = due[i] - len(d.feeds[i]) {
			more := st.real(st.fullest(), short)
			if len(more) == 0 {
				break
			}
			d.feeds[i] = append(d.feeds[i], more...)
		}
	}
	for i := range d.feeds {
		made := st.copied(i%len(pools), due[i]-len(d.feeds[i]))
		d.feeds[i], d.made = append(d.feeds[i], made...), d.made+len(made)
	}
	for i, f := range d.feeds {
		d.feeds[i] = d.finish(f)
	}
	return d, nil
}

// stock is what feeds are made from.
type stock struct {
	pools        [][]intel.Entry
	took, copies []int // of each pool: entries given away; copies made of the whole
}

// real gives entries of a pool that no feed has, n or as many as are left.
func (s *stock) real(p, n int) []intel.Entry {
	from := s.took[p]
	s.took[p] = min(from+n, len(s.pools[p]))
	return s.pools[p][from:s.took[p]]
}

// fullest is the pool that has the most left.
func (s *stock) fullest() (best int) {
	left := func(p int) int { return len(s.pools[p]) - s.took[p] }
	for p := range s.pools {
		if left(p) > left(best) {
			best = p
		}
	}
	return best
}

// copied gives n entries of a pool with a suffix; of the first where its values
// cannot have any.
func (s *stock) copied(p, n int) (out []intel.Entry) {
	for len(out) < n {
		s.copies[p]++
		before := len(out)
		for _, e := range s.pools[p] {
			if x := suffixed(e, s.copies[p]); len(out) < n && x.Indicator != e.Indicator {
				out = append(out, x)
			}
		}
		if len(out) == before {
			if p == 0 {
				return out
			}
			p = 0
		}
	}
	return out
}

// finish sorts a feed downwards, drops what is there twice and counts.
func (d *dataset) finish(f []intel.Entry) []intel.Entry {
	slices.SortStableFunc(f, func(a, b intel.Entry) int { return -compareIndicators(a.Indicator, b.Indicator) })
	f = slices.CompactFunc(f, func(a, b intel.Entry) bool { return a.Indicator == b.Indicator })
	d.listings += len(f)
	for i := range f {
		d.raw += int64(len(f[i].Indicator.Value))
		if len(f[i].Fields) > 0 {
			d.context++
		}
		for _, x := range f[i].Fields {
			for _, v := range x.Values {
				d.raw += int64(len(v))
			}
		}
	}
	return f
}

func compareIndicators(a, b intel.Indicator) int {
	if a.Kind != b.Kind {
		return int(a.Kind) - int(b.Kind)
	}
	return strings.Compare(a.Value, b.Value)
}

// loadPools reads the samples, the largest file first, but for lists of networks,
// which are small and are to be among the feeds.
func loadPools(ctx context.Context, listings, feeds int) (pools [][]intel.Entry, kind string, err error) {
	dir := os.Getenv("EI_SAMPLES")
	if dir == "" {
		return [][]intel.Entry{generated(listings)}, "generated (no samples given)", nil
	}
	n := 0
	for _, s := range sources() {
		p, err := s.read(ctx, dir)
		if err != nil {
			return nil, "", err
		}
		p = slices.DeleteFunc(p, func(e intel.Entry) bool { return intel.Reserved(e.Indicator) != "" })
		n += len(p)
		pools = append(pools, p)
	}
	slices.SortStableFunc(pools, func(a, b []intel.Entry) int { return len(b) - len(a) })
	at := feeds - 1
	for i := feeds; i < len(pools) && at > 0; i++ {
		if p := pools[i]; len(p) > 0 && p[0].Indicator.Kind == intel.CIDR {
			pools[i], pools[at] = pools[at], p
			at--
		}
	}
	return pools, fmt.Sprintf("%d files of real feeds", len(pools)), nil
}

func generated(n int) []intel.Entry {
	out := make([]intel.Entry, n)
	for i := range out {
		ind := intel.Indicator{Kind: intel.Domain, Value: fmt.Sprintf("host-%x.bad%d.example", i*2654435761, i%9973)}
		if i%2 == 1 {
			ind = intel.Indicator{Kind: intel.IPv4, Value: fmt.Sprintf("%d.%d.%d.%d", 11+i%80, i>>16&255, i>>8&255, i&255)}
		}
		out[i] = intel.Entry{Indicator: ind, Original: ind.Value, Line: i + 1}
		out[i].Fields.Add(intel.FieldMalware, fmt.Sprintf("family-%d", i%64))
	}
	return out
}

// suffixed is the entry with another value of the same kind.
func suffixed(e intel.Entry, n int) intel.Entry {
	v := e.Indicator.Value
	switch e.Indicator.Kind {
	case intel.IPv4:
		if a, err := netip.ParseAddr(v); err == nil {
			b := a.As4()
			b[1] += byte(n * 37)
			b[2] += byte(n * 11)
			v = netip.AddrFrom4(b).String()
		}
	case intel.URL:
		v += fmt.Sprintf("%cs=%d", map[bool]rune{true: '&', false: '?'}[strings.Contains(v, "?")], n)
	case intel.Domain:
		if i := strings.LastIndexByte(v, '.'); i > 0 && i < 50 {
			v = fmt.Sprintf("%s-s%d%s", v[:i], n, v[i:])
		}
	case intel.MD5, intel.SHA1, intel.SHA256, intel.SHA512:
		v = v[:len(v)-3] + fmt.Sprintf("%03x", n&0xfff)
	}
	ind, err := intel.Parse(v, e.Indicator.Kind.Set())
	if err != nil {
		return e
	}
	e.Indicator, e.Original = ind, ind.Value
	return e
}
