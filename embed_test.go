package elasticintel_test

import (
	"bytes"
	"context"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	elasticintel "github.com/elasticintel/elasticintel"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/parse"
)

var update = flag.Bool("update", false, "write docs/catalogue.md and feeds.d/samples/*.want.json anew")

func catalogue(t *testing.T) *feed.Catalogue {
	t.Helper()
	c, err := feed.Load(elasticintel.FeedsFS())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestStarter reads every snapshot as its feed's own pull would be read.
func TestStarter(t *testing.T) {
	const maxBytes, minListings = 4 << 20, 10_000
	atLeast := map[string]int{"ipsum-3": 10_000, "uf-domains": 20_000, "pdb-ips": 7_000, "tweetfeed-csv": 50}
	allowed := map[string]bool{"CC0-1.0": true, "MIT": true, "Unlicense": true}
	files, err := elasticintel.Starter()
	if err != nil {
		t.Fatal(err)
	}
	defs := catalogue(t)
	attribution, err := fs.ReadFile(elasticintel.StarterFS(), "ATTRIBUTION.md")
	if err != nil {
		t.Fatal(err)
	}
	listings := 0
	for _, s := range files {
		d := defs.Get(s.Feed)
		if d == nil || !d.OnByDefault() {
			t.Errorf("%s: %q is no feed that is on by default", s.File, s.Feed)
			continue
		}
		if _, err := time.Parse(time.DateOnly, s.Date); err != nil {
			t.Errorf("%s: date: %v", s.File, err)
		}
		if !allowed[s.Licence] || d.Licence != s.Licence {
			t.Errorf("%s: licence %q, the feed's %q", s.File, s.Licence, d.Licence)
		}
		for _, part := range []string{s.File, s.Date, s.Licence} {
			if !strings.Contains(string(attribution), part) {
				t.Errorf("%s: ATTRIBUTION.md lacks %q", s.File, part)
			}
		}
		raw, err := fs.ReadFile(elasticintel.StarterFS(), s.File)
		if err != nil {
			t.Fatal(err)
		}
		res := collect(t, d, raw)
		t.Logf("%s: %d bytes, %+v", s.Feed, len(raw), res.Counts)
		if res.Accepted < atLeast[s.Feed] || atLeast[s.Feed] == 0 {
			t.Errorf("%s: %d accepted, want at least %d", s.File, res.Accepted, atLeast[s.Feed])
		}
		if res.Rejected*100 > res.Read {
			t.Errorf("%s: %d of %d rejected: %v", s.File, res.Rejected, res.Read, res.Rejects)
		}
		listings += res.Accepted
	}
	if listings < minListings {
		t.Errorf("%d listings, want at least %d", listings, minListings)
	}
	checkStarterFolder(t, files, maxBytes)
}

// checkStarterFolder holds the folder to its size, and to starter.json.
func checkStarterFolder(t *testing.T, files []elasticintel.StarterFile, maxBytes int64) {
	t.Helper()
	known := map[string]bool{"starter.json": true, "ATTRIBUTION.md": true}
	for _, s := range files {
		known[s.File] = true
	}
	entries, err := fs.ReadDir(elasticintel.StarterFS(), ".")
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
		if !known[e.Name()] {
			t.Errorf("starter/%s is not in starter.json", e.Name())
		}
	}
	t.Logf("starter: %d bytes", total)
	if total > maxBytes {
		t.Errorf("the starter data has %d bytes, more than %d", total, maxBytes)
	}
}

func collect(t *testing.T, d *feed.Definition, raw []byte) *parse.Result {
	t.Helper()
	body, err := fetch.Decode(bytes.NewReader(raw), d.Archive, fetch.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", d.ID, err)
	}
	defer body.Close()
	res, err := parse.Collect(context.Background(), body, d.Spec(), parse.Options{MaxRejects: 5})
	if err != nil {
		t.Fatalf("%s: %v", d.ID, err)
	}
	return res
}

// TestCatalogueOnSamples reads samples in the providers' layouts with the
// definitions of the catalogue. EI_SAMPLES names the folder that holds feeds/.
func TestCatalogueOnSamples(t *testing.T) {
	root := os.Getenv("EI_SAMPLES")
	if root == "" {
		t.Skip("EI_SAMPLES is not set: only the starter data is read")
	}
	defs := catalogue(t)
	for _, tt := range []struct {
		file, id string
		records  int // counted without our parser
		context  string
	}{
		{"reconstructed/urlhaus/recent.csv", "urlhaus", 400, "feed_first_seen reference reporter threat_type url_status urlhaus_id"},
		{"reconstructed/urlhaus/recent.json", "urlhaus-recent-json", 400, "feed_first_seen reference reporter threat_type url_status"},
		{"reconstructed/threatfox/recent.csv", "threatfox-recent", 400, "confidence feed_first_seen ioc_type malware reference threat_type threatfox_id"},
		{"reconstructed/threatfox/recent.json", "threatfox-recent-json", 400, "confidence feed_first_seen ioc_type malware reference threat_type"},
		{"reconstructed/malwarebazaar/recent.csv", "bazaar-recent", 105, "feed_first_seen file_name file_type malware mime_type reporter"},
		{"reconstructed/malwarebazaar/sha256_recent.txt", "bazaar-sha256", 35, ""},
		{"reconstructed/feodo/ipblocklist.csv", "feodo-csv", 40, "c2_status dst_port feed_first_seen feed_last_seen malware"},
		{"reconstructed/feodo/ipblocklist.json", "feodo-json", 40, "asn c2_status country dst_port feed_first_seen malware"},
		{"reconstructed/feodo/ipblocklist_recommended-empty.txt", "feodo-recommended", 0, ""},
		{"reconstructed/sslbl/sslblacklist.csv", "sslbl-certs", 60, "feed_first_seen malware"},
		{"reconstructed/sslbl/sslipblacklist.csv", "sslbl-ips", 80, "dst_port feed_first_seen"},
		{"reconstructed/spamhaus/drop_v4.json", "spamhaus-drop4", 301, "rir sbl_id"},
		{"reconstructed/spamhaus/drop_v6.json", "spamhaus-drop6", 5, "rir sbl_id"},
		{"csirtg-smrt/spamhaus-drop.txt", "spamhaus-drop-txt", 737, "sbl_id"},
		{"csirtg-smrt/alienvault-feed.txt", "alienvault-data", 12, "country location risk source_reliability tags"},
		{"reconstructed/abuseipdb/blacklist.json", "abuseipdb", 150, "confidence feed_last_seen"},
		{"reconstructed/viriback/dump.csv", "viriback", 120, "feed_first_seen malware"},
		{"reconstructed/vxvault/URL_List.txt", "vxvault", 100, ""},
		{"reconstructed/phishtank/online-valid.csv", "phishtank", 120, "feed_first_seen online phish_id reference target verification_time verified"},
		{"reconstructed/rbldnsd/dnsbl-1.gz", "uceprotect1", 307, ""}, // with the exclusion, which is suppressed, and a range that is 4 networks
		{"reconstructed/tor/exit-addresses", "tor-exit-addresses", 800, "feed_last_seen time"},
		{"ipsum/ipsum.txt.gz", "ipsum", 120430, "lists"},
		{"ipsum/levels/3.txt", "ipsum-3", 14217, ""},
		{"infoblox/combined.csv.gz", "infoblox-csv", 32970, "classification feed_first_seen type"},
		{"tweetfeed/today.csv", "tweetfeed-csv", 59, "feed_first_seen reference reporter type"},
		{"tweetfeed/2025.csv.gz", "tweetfeed-csv", 180995, "feed_first_seen reference reporter type"},
		{"urlhaus-filter/2025-07-19/urlhaus-filter-hosts.txt", "uf-hosts", 2689, ""},
		{"urlhaus-filter/2025-07-19/urlhaus-filter-domains.txt", "uf-domains", 25768, ""},
		{"phishing-database/phishing-domains-ACTIVE.txt.gz", "pdb-domains", 141195, ""},
		{"phishing-database/phishing-links-ACTIVE5.txt.gz", "pdb-links", 76022, ""},
		{"phishing-database/phishing-IPs-ACTIVE.txt", "pdb-ips", 7120, ""},
		{"signature-base/hash-iocs.txt", "sigbase", 3224, "description"},
		{"maltrail/mass_scanner.txt", "maltrail-mass-scanner", 19220, "operator"},
		{"cps/log4j.txt", "cps-log4j", 25292, ""},
		{"cps/compromised-ips.txt", "et-compromised", 539, ""},
		{"cps/tor-exit.txt", "tor-bulk", 3251, ""},
		{"elasticintel/blocklist_de-all.txt", "blocklistde-all", 36196, ""},
		{"reconstructed/ipset/example_level1.netset", "firehol1", 400, ""},
	} {
		t.Run(tt.id+"/"+filepath.Base(tt.file), func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(root, "feeds", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			res := collect(t, defs.Get(tt.id), raw)
			t.Logf("%+v", res.Counts)
			if res.Read != tt.records {
				t.Errorf("read %d records, want %d", res.Read, tt.records)
			}
			if res.Rejected*100 > res.Read {
				t.Errorf("%d of %d rejected: %+v", res.Rejected, res.Read, res.Rejects)
			}
			if len(res.Entries) == 0 {
				return
			}
			var names []string
			for _, f := range res.Entries[0].Fields {
				names = append(names, f.Name)
			}
			for want := range strings.FieldsSeq(tt.context) {
				if len(res.Entries[0].Fields.Get(want)) == 0 {
					t.Errorf("the first entry lacks %q: has %q", want, names)
				}
			}
		})
	}
}

// TestTerraformFS: the binary has every file of the configuration, and none that
// only tests or a machine's Terraform need.
func TestTerraformFS(t *testing.T) {
	want, have := 0, 0
	count := func(n *int) fs.WalkDirFunc {
		return func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				if err == nil && (e.Name() == "tests" || e.Name() == ".terraform") {
					return fs.SkipDir
				}
				return err
			}
			if strings.HasSuffix(p, ".tf") {
				*n++
			} else if n == &have {
				t.Errorf("%s is in the binary", p)
			}
			return nil
		}
	}
	if err := fs.WalkDir(os.DirFS("deploy/terraform"), ".", count(&want)); err != nil {
		t.Fatal(err)
	}
	if err := fs.WalkDir(elasticintel.TerraformFS(), ".", count(&have)); err != nil {
		t.Fatal(err)
	}
	if want == 0 || have != want {
		t.Errorf("%d of %d files are in the binary", have, want)
	}
}
