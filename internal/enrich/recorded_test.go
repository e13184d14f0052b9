package enrich

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/recorded.ndjson anew; read it against the answers before committing it")

// samples is the folder of recorded answers.
func samples(t *testing.T) string {
	root := os.Getenv("EI_SAMPLES")
	if root == "" {
		t.Skip("EI_SAMPLES is not set: only the small answers in this package are read")
	}
	return filepath.Join(root, "whois")
}

// TestRecordedDomains compares every field of 66 recorded answers of port 43 with
// what was read in them by eye, asked with and without the name.
func TestRecordedDomains(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(samples(t), "whois", "*.txt"))
	if err != nil || len(files) < 66 {
		t.Fatalf("%d answers, %v", len(files), err)
	}
	var got bytes.Buffer
	for _, f := range files {
		answer, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(f), ".txt")
		named, err := Parse(answer, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		plain, err := Parse(answer, "")
		if err != nil {
			t.Errorf("%s without its name: %v", name, err)
			continue
		}
		a, b := encode(t, named.Domain), encode(t, plain.Domain)
		if a != b {
			t.Errorf("%s: with its name %s\nwithout it %s", name, a, b)
		}
		got.WriteString(a + "\n")
	}
	golden(t, "testdata/recorded.ndjson", got.String())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	if len(g) != len(w) {
		t.Errorf("%d records, want %d", len(g), len(w))
	}
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Errorf("got  %s\nwant %s", g[i], w[i])
		}
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// recordedNetwork is an answer about an address, with what another source, the
// mapping of addresses to autonomous systems, says of it.
type recordedNetwork struct {
	Response json.RawMessage `json:"response"`
	Origin   struct {
		Country  string `json:"asn_country_code"`
		Registry string `json:"asn_registry"`
		ASN      string `json:"asn"`
		Date     string `json:"asn_date"`
	} `json:"asn_data"`
}

// TestRecordedNetworks compares the answers of all five address registries, in
// RDAP and in text, with each other and with what the mapping says.
func TestRecordedNetworks(t *testing.T) {
	seen, ranges := map[string]int{}, map[string]string{}
	for _, protocol := range []string{"rdap", "whois"} {
		b, err := os.ReadFile(filepath.Join(samples(t), "rdap", "ipwhois-"+protocol+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var all map[string]recordedNetwork
		if err := json.Unmarshal(b, &all); err != nil || len(all) != 10 {
			t.Fatalf("%d answers, %v", len(all), err)
		}
		for addr, r := range all {
			answer := []byte(r.Response)
			var text string
			if json.Unmarshal(answer, &text) == nil {
				answer = []byte(text)
			}
			rec, err := Parse(answer, "")
			if err != nil || rec.Network == nil {
				t.Errorf("%s %s: %+v, %v", protocol, addr, rec, err)
				continue
			}
			n := rec.Network
			seen[n.Registry]++
			ranges[protocol+addr] = strings.Join(n.CIDR, " ")
			checkRecorded(t, protocol+" "+addr, n, r, netip.MustParseAddr(addr))
		}
	}
	for _, r := range []string{"afrinic", "apnic", "arin", "lacnic", "ripencc"} {
		if seen[r] != 4 {
			t.Errorf("%s: %d answers, want 4", r, seen[r])
		}
	}
	same := 0
	for k, v := range ranges {
		if addr, ok := strings.CutPrefix(k, "rdap"); ok && ranges["whois"+addr] == v {
			same++
		}
	}
	if same != 7 { // LACNIC's RDAP of that time echoed the address, and JPNIC's text has a narrower network
		t.Errorf("%d ranges are the same in both protocols, want 7: %v", same, ranges)
	}
}

func checkRecorded(t *testing.T, what string, n *Network, r recordedNetwork, addr netip.Addr) {
	t.Helper()
	if n.Country != r.Origin.Country || n.Registry != r.Origin.Registry {
		t.Errorf("%s: %s at %s, want %s at %s", what, n.Country, n.Registry, r.Origin.Country, r.Origin.Registry)
	}
	if n.ASN != 0 && n.ASN != parseASN(r.Origin.ASN) {
		t.Errorf("%s: AS%d, want %s", what, n.ASN, r.Origin.ASN)
	}
	// RIPE's records have the age of the assignment, the mapping that of the allocation around it.
	if n.Allocated != "" && n.Registry != "ripencc" && !strings.HasPrefix(string(n.Allocated), r.Origin.Date) {
		t.Errorf("%s: allocated %s, want %s", what, n.Allocated, r.Origin.Date)
	}
	covered := false
	for _, c := range n.CIDR {
		covered = covered || netip.MustParsePrefix(c).Contains(addr)
	}
	if !covered || n.Name == "" {
		t.Errorf("%s: %q %v does not hold the address", what, n.Name, n.CIDR)
	}
}

// TestRecordedDetails: what the recorded answers say besides, field by field.
func TestRecordedDetails(t *testing.T) {
	dir := filepath.Join(samples(t), "rdap")
	var got bytes.Buffer
	for _, file := range []string{"whois", "rdap", "jpnic", "krnic"} {
		b, err := os.ReadFile(filepath.Join(dir, "ipwhois-"+file+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var all map[string]recordedNetwork
		if err := json.Unmarshal(b, &all); err != nil {
			t.Fatal(err)
		}
		for _, addr := range sorted(all) {
			answer := []byte(all[addr].Response)
			var text string
			if json.Unmarshal(answer, &text) == nil {
				answer = []byte(text)
			}
			rec, err := Parse(answer, "")
			if err != nil || rec.Network == nil {
				t.Fatalf("%s %s: %+v, %v", file, addr, rec, err)
			}
			_, rec.Network.Abuse, _ = strings.Cut(rec.Network.Abuse, "@") // mailboxes of others stay out of the repository
			got.WriteString(encode(t, rec.Network) + "\n")
		}
	}
	answer, err := os.ReadFile(filepath.Join(dir, "domain-example.cz.json"))
	if err != nil {
		t.Fatal(err)
	}
	rec, err := Parse(answer, "example.cz")
	if err != nil {
		t.Fatal(err)
	}
	got.WriteString(encode(t, rec.Domain) + "\n")
	golden(t, "testdata/networks.ndjson", got.String())
}
