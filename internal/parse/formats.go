package parse

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// format is one wire format: how it is read and what a spec of it may say.
type format struct {
	name  string
	read  func(context.Context, io.Reader, *collector) error
	lines bool          // its records are lines, so that prefixes can stand before them
	plain bool          // without columns, the line is the value
	kinds intel.KindSet // it has a layout of its own: no columns, and these kinds unless stated

	// Where sources lead into a record and not to a column by its place: what says
	// whether Spec.Records can be used, and what brings a source into the form in
	// which the parts of a record are compared with it.
	records func(string) error
	path    func(string) (string, error)
}

// formats is the one table of wire formats. A new format is one file with its
// reader and one line here. Read-only.
var formats = []format{
	{name: "txt", read: readText, lines: true, plain: true},
	{name: "csv", read: readCSV, lines: true},
	{name: "json", read: readJSON, records: checkPath, path: sourcePath},
	{name: "ndjson", read: readNDJSON, lines: true, records: checkPath, path: sourcePath},
	{name: "xml", read: readXML, records: checkElements, path: elementPath},
	{name: "html", read: readHTML, records: checkTable, path: cellPath},
	{name: "hosts", read: readHosts, lines: true, kinds: domains},
	{name: "dnsmasq", read: readDnsmasq, lines: true, kinds: domains},
	{name: "unbound", read: readUnbound, lines: true, kinds: domains},
	{name: "bind", read: readBind, lines: true, kinds: domains},
	{name: "adblock", read: readAdblock, lines: true, kinds: intel.Networks | domains | 1<<intel.URL},
	{name: "ipset", read: readIPSet, lines: true, kinds: intel.Networks},
	{name: "rpz", read: readRPZ, lines: true, kinds: intel.Networks | domains},
	{name: "rbldnsd", read: readRBLDNSD, lines: true, kinds: intel.Networks | domains},
	{name: "dshield", read: readDShield, lines: true, kinds: intel.Networks},
	{name: "delegated", read: readDelegated, lines: true, kinds: intel.Networks},
	{name: "ip2asn", read: readIP2ASN, lines: true, kinds: intel.Networks},
	{name: "rules", read: readRules, lines: true, kinds: intel.Networks | domains | 1<<intel.URL},
	{name: "stix", read: readSTIX, kinds: intel.AnyKind},
	{name: "taxii", read: readSTIX, kinds: intel.AnyKind}, // what a server's pages hold
	{name: "misp", read: readMISP, kinds: intel.AnyKind},
	{name: "misp-warninglist", read: readWarningList, kinds: intel.AnyKind},
	{name: "rss", read: readRSS, kinds: intel.AnyKind},
	{name: "openioc", read: readOpenIOC, kinds: intel.AnyKind},
	{name: "otx", read: readOTX, kinds: intel.AnyKind},
	{name: "text", read: readReport, kinds: intel.AnyKind},
}

// domains are the kinds of lists that block names.
const domains = intel.KindSet(1 << intel.Domain)

// Formats lists the names of the wire formats, which are the values of a feed's type.
func Formats() []string {
	list := make([]string, len(formats))
	for i, f := range formats {
		list[i] = f.name
	}
	return list
}

// Fixed says whether a wire format has a layout of its own: it takes no columns,
// and says itself what its indicators may be. Of unknown formats it is false.
func Fixed(name string) bool {
	f, _ := formatOf(name)
	return f.kinds != 0
}

func formatOf(name string) (format, bool) {
	for _, f := range formats {
		if f.name == name {
			return f, true
		}
	}
	return format{}, false
}

// Limits that keep the memory of hostile input bounded. What exceeds one is a
// record that is rejected with its line; reading goes on behind it.
const (
	maxLine    = 1 << 20 // bytes of a line, and of a quoted cell with line breaks
	maxColumns = 1000    // cells of a row
	maxRecord  = 4 << 20 // bytes of a JSON or XML record
	maxValues  = 1 << 18 // names and values in a JSON record, each of which costs more than its bytes
	maxDepth   = 200     // objects and arrays inside each other in JSON, elements in XML
)

// Options says what Collect keeps of records that were not accepted.
type Options struct {
	MaxRejects int                // kept in Result.Rejects; 0 = 20, negative = none
	OnReject   func(intel.Reject) // called for every reject, in order; may be nil
	Now        time.Time          // the run's time: what ended before is suppressed; zero = nothing ends
}

// Result is what one feed's bytes say. Read = Accepted + Duplicate + Suppressed +
// Rejected always holds.
type Result struct {
	// Entries has each accepted indicator once, in the order of first appearance.
	// Entries that say the same share their Fields: do not change them in place.
	Entries []intel.Entry
	intel.Counts
	Rejects       []intel.Reject // the first Options.MaxRejects
	SuppressedFor map[string]int // reason → records left out by rule
	Expires       time.Time      // from when on the same bytes list less, since a record says when it ends; zero = never
}

// Collect reads a whole feed, one record at a time, and merges what it says of
// one indicator into one entry. Memory follows the entries, not the bytes read.
//
// The error is nil when every record was accounted for, rejected ones included.
// Else the spec is wrong, the stream could not be read, ctx ended, or the whole is
// not of the format (JSON that breaks its syntax, a path that leads nowhere); the
// message has the line. The result holds what was read before the error and is
// never nil.
func Collect(ctx context.Context, r io.Reader, s Spec, o Options) (*Result, error) {
	c := newCollector(s, o)
	if err := s.Check(); err != nil {
		return c.finish(), err
	}
	f, _ := formatOf(s.Type)
	err := ctx.Err()
	if err == nil {
		err = f.read(ctx, r, c)
	}
	if err != nil {
		err = fmt.Errorf("parse %s: %w", s.Type, err)
	}
	return c.finish(), err
}
