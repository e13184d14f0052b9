package parse

import (
	"bytes"
	"context"
	"testing"
	"testing/iotest"
)

// fuzzFormat fuzzes the readers of one format, see fuzzSeeds for its seeds. No
// input may panic, break the account or give more than it has bytes, and it must
// not matter in which pieces the bytes come.
func fuzzFormat(f *testing.F, format string) {
	specs, seeds := fuzzSeeds(f, format)
	for _, s := range seeds {
		f.Add(s.input, s.which)
	}
	most := 1
	switch format {
	case "ipset", "rbldnsd", "delegated", "ip2asn":
		most = 254 // networks of a range
	}
	f.Fuzz(func(t *testing.T, input []byte, which byte) {
		spec := specs[int(which)%len(specs)]
		res, err := Collect(context.Background(), bytes.NewReader(input), spec, goldenOptions())
		checkSum(t, res)
		if len(res.Entries) > most*len(input) || len(res.Rejects) > 20 {
			t.Errorf("%d entries and %d rejects of %d bytes", len(res.Entries), len(res.Rejects), len(input))
		}
		again, err2 := Collect(context.Background(), iotest.HalfReader(bytes.NewReader(input)), spec, goldenOptions())
		if !bytes.Equal(dump(res), dump(again)) || (err == nil) != (err2 == nil) {
			t.Errorf("in pieces it reads otherwise: %v %v\n%s\n%s", err, err2, dump(res), dump(again))
		}
	})
}

func FuzzText(f *testing.F)        { fuzzFormat(f, "txt") }
func FuzzCSV(f *testing.F)         { fuzzFormat(f, "csv") }
func FuzzJSON(f *testing.F)        { fuzzFormat(f, "json") }
func FuzzNDJSON(f *testing.F)      { fuzzFormat(f, "ndjson") }
func FuzzXML(f *testing.F)         { fuzzFormat(f, "xml") }
func FuzzHTML(f *testing.F)        { fuzzFormat(f, "html") }
func FuzzHosts(f *testing.F)       { fuzzFormat(f, "hosts") }
func FuzzDnsmasq(f *testing.F)     { fuzzFormat(f, "dnsmasq") }
func FuzzUnbound(f *testing.F)     { fuzzFormat(f, "unbound") }
func FuzzBind(f *testing.F)        { fuzzFormat(f, "bind") }
func FuzzAdblock(f *testing.F)     { fuzzFormat(f, "adblock") }
func FuzzIPSet(f *testing.F)       { fuzzFormat(f, "ipset") }
func FuzzRPZ(f *testing.F)         { fuzzFormat(f, "rpz") }
func FuzzRBLDNSD(f *testing.F)     { fuzzFormat(f, "rbldnsd") }
func FuzzDShield(f *testing.F)     { fuzzFormat(f, "dshield") }
func FuzzRules(f *testing.F)       { fuzzFormat(f, "rules") }
func FuzzSTIX(f *testing.F)        { fuzzFormat(f, "stix") }
func FuzzMISP(f *testing.F)        { fuzzFormat(f, "misp") }
func FuzzWarningList(f *testing.F) { fuzzFormat(f, "misp-warninglist") }
func FuzzRSS(f *testing.F)         { fuzzFormat(f, "rss") }
func FuzzOpenIOC(f *testing.F)     { fuzzFormat(f, "openioc") }
func FuzzOTX(f *testing.F)         { fuzzFormat(f, "otx") }
func FuzzReport(f *testing.F)      { fuzzFormat(f, "text") }
func FuzzDelegated(f *testing.F)   { fuzzFormat(f, "delegated") }
func FuzzIP2ASN(f *testing.F)      { fuzzFormat(f, "ip2asn") }
