package elasticintel_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
)

// threatTypes are the words that feeds of the catalogue use for what a threat
// does, so that a search for one finds all. docs/catalogue.md explains them. Read-only.
var threatTypes = []string{
	"botnet_cc", "botnet_drone", "brute_force", "compromised", "cryptomining", "exploit_scanner", "hijacked_network", "malware",
	"malware_download", "payload", "phishing", "scam", "scanner", "spam", "spyware",
	"anonymizer", // of context feeds
}

// maxConfidence is how far a source of each reliability is trusted. Read-only.
var maxConfidence = map[string]int{"A": 100, "B": 90, "C": 80, "D": 55}

// TestCatalogue holds every built-in feed to what the documentation promises of it.
func TestCatalogue(t *testing.T) {
	c := catalogue(t)
	for _, d := range c.All() {
		bad := func(format string, args ...any) {
			t.Errorf("feeds.d/%s:%d: %s: "+format, append([]any{d.File, d.Line, d.ID}, args...)...)
		}
		checkMeaning(d, bad)
		checkTerms(d, bad)
		checkLife(c, d, bad)
		if time.Duration(d.Interval) < 15*time.Minute {
			bad("interval %v asks more of the provider than any of them allows", d.Interval)
		}
		if strings.HasPrefix(d.URL, "http:") && !strings.Contains(d.Note, "http only") {
			bad("%s: use https, or say in the note that the provider has http only", d.URL)
		}
		if len(d.AllowNetworks) > 0 {
			bad("a built-in feed connects to public addresses only: leave allow_networks out")
		}
	}
}

// checkMeaning wants to know what being listed means, and how far it is believed.
func checkMeaning(d *feed.Definition, bad func(string, ...any)) {
	if !strings.HasSuffix(d.Description, ".") || len(strings.Fields(d.Description)) < 4 {
		bad("description %q is no sentence that says what being listed means, such as \"Tried SSH passwords on a honeypot of ours.\"", d.Description)
	}
	if d.TLP == "" || d.Reliability == "" {
		bad("tlp %q, reliability %q: one is missing", d.TLP, d.Reliability)
	}
	if d.Role != feed.RoleThreat {
		if d.Confidence != nil {
			bad("confidence %d: a feed of role %s adds to no score, so it has none", *d.Confidence, d.Role)
		}
		return
	}
	said := map[string]bool{"threat_type": d.ThreatType != "", "tags": len(d.Tags) > 0}
	for _, column := range d.Spec().Columns {
		said[column.Field] = true
	}
	if !said["threat_type"] && !said["tags"] {
		bad("neither threat_type nor tags say what the threat is, and no column does")
	}
	if len(d.Tags) == 0 {
		bad("no tags: give a word or two that people search for")
	}
	if d.ThreatType != "" && !slices.Contains(threatTypes, d.ThreatType) {
		bad("threat_type %q is new; known are %s. Take one of these, or add yours to threatTypes and docs/catalogue.md", d.ThreatType, strings.Join(threatTypes, ", "))
	}
	most, known := maxConfidence[d.Reliability]
	if d.Confidence == nil || *d.Confidence == 0 || !known || *d.Confidence > most {
		bad("confidence %v for a source of reliability %q: see the scales in docs/catalogue.md", value(d.Confidence), d.Reliability)
	}
}

func value(n *int) any {
	if n == nil {
		return "none"
	}
	return *n
}

// checkTerms wants to know whose the data are and who may use them.
func checkTerms(d *feed.Definition, bad func(string, ...any)) {
	if d.Provider == "" || d.Homepage == "" || d.Terms == "" {
		bad("provider %q, homepage %q, terms %q: one is missing", d.Provider, d.Homepage, d.Terms)
	}
	if strings.Contains(d.Licence, "-NC-") && (d.CommercialUse == nil || *d.CommercialUse) {
		bad("licence %s forbids commercial use: say \"commercial_use\": false", d.Licence)
	}
	// Whoever asks for a key agrees to its terms; the others must be good for all.
	if d.OnByDefault() && !d.NeedsKey() && d.CommercialUse != nil && !*d.CommercialUse {
		bad("its terms do not allow everybody's use, so it must say \"enabled\": false")
	}
	if d.OnByDefault() && d.Role == feed.RoleAllow {
		bad("allow lists must say \"enabled\": false")
	}
}

// checkLife wants to know on what grounds the feed is taken for alive.
func checkLife(c *feed.Catalogue, d *feed.Definition, bad func(string, ...any)) {
	if d.Life == "" || d.Evidence == "" || d.Checked == "" {
		bad("life %q, evidence %q, checked %q: one is missing; say who saw data when", d.Life, d.Evidence, d.Checked)
	}
	if !regexp.MustCompile(`\bSize\b`).MatchString(d.Evidence) {
		bad("evidence %q does not say what expect (%d) rests on: add \"Size counted in it.\", \"Size estimated.\" or \"Size not known.\"", d.Evidence, d.Expect)
	}
	if d.OnByDefault() && (d.Life != feed.LifeAlive || d.Expect == 0 && !d.NeedsKey()) {
		bad("life %q, expect %d: a feed that is on by default must be alive and of a known size", d.Life, d.Expect)
	}
	if next := c.Get(d.ReplacedBy); d.ReplacedBy != "" && (next == nil || next.Ended()) {
		bad("replaced_by %q is no feed that lives; nearest is %q", d.ReplacedBy, c.Nearest(d.ReplacedBy))
	}
	if d.Ended() && d.ReplacedBy == "" && !strings.Contains(d.Note, "no replacement") {
		bad("it ended: say replaced_by, or \"no replacement\" in the note")
	}
}

// repeated are feeds that are on by default whose entries another feed that is
// on too has or may have. Read-only.
var repeated = map[string]string{
	"blocklistde-strongips": "blocklistde-all", "et-compromised": "bruteforceblocker", "pdb-ips": "pdb-domains", "tor-bulk": "tor-onionoo",
}

// TestDefaultFeeds promises what a new installation without any key can expect.
func TestDefaultFeeds(t *testing.T) {
	const minFeeds, minListings = 37, 250_000
	feeds, listings := 0, 0
	for _, d := range catalogue(t).All() {
		if !d.OnByDefault() || d.NeedsKey() {
			continue
		}
		feeds++
		if other := repeated[d.ID]; other != "" {
			t.Logf("%-26s %7d  not counted, for %s may hold them", d.ID, d.Expect, other)
			continue
		}
		listings += d.Expect
		t.Logf("%-26s %7d  %s", d.ID, d.Expect, d.Evidence)
	}
	t.Logf("%d feeds without a key are on by default; they expect %d listings", feeds, listings)
	if feeds < minFeeds || listings < minListings {
		t.Errorf("%d feeds that expect %d listings, want at least %d and %d", feeds, listings, minFeeds, minListings)
	}
}

// TestCatalogueDoc keeps docs/catalogue.md equal to the files. go test . -run CatalogueDoc -update writes it.
func TestCatalogueDoc(t *testing.T) {
	const file = "docs/catalogue.md"
	want := catalogueDoc(catalogue(t).All())
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what feeds.d says; run go test . -run CatalogueDoc -update", file)
	}
	for _, word := range threatTypes {
		if !bytes.Contains(got, []byte("`"+word+"`")) {
			t.Errorf("%s does not explain the threat type `%s`", file, word)
		}
	}
}

// catalogueIntro is the part of docs/catalogue.md that is not made from the files:
// the scales that all feeds are measured by.
const catalogueIntro = `# Feed catalogue

The %d feeds that come with ElasticIntel, made from ` + "`feeds.d`" + ` by a test; %d of them are pulled by default, those marked *with a key*
as soon as their secret is set. ` + "`elasticintel feeds enable ID`" + ` turns on any other. What a provider asks of users is in the file;
[feeds.md](feeds.md) explains the keys, and [original-feeds.md](original-feeds.md) says what became of the feeds of 2018.

## Scales
**Reliability** is the provider's: ` + "`A`" + ` an authority or the operator itself (CERT Polska, Spamhaus, the Tor Project); ` + "`B`" + ` a research group or
company that reviews what it publishes; ` + "`C`" + ` a community, or sensors without review; ` + "`D`" + ` lists gathered from others, or seldom pruned.

**Confidence** is that of an entry which has none of its own: 85 and more somebody verified each entry (a handshake, an analysis, a decision) and
removes it when it is over; 70 to 84 reported with evidence, or from a reviewed report; 55 to 69 seen by sensors or told by a community; 35 to 54 gathered without review,
or long ago; below 35 expect false positives. A source of reliability ` + "`B`" + ` gets 90 at most, ` + "`C`" + ` 80 and ` + "`D`" + ` 55. Context and allow lists have none.

**Threat types**: ` + "`botnet_cc`" + ` control servers; ` + "`botnet_drone`" + ` infected hosts; ` + "`brute_force`" + ` password guessing; ` + "`compromised`" + ` hacked hosts and
sites; ` + "`cryptomining`" + ` mining in browsers; ` + "`exploit_scanner`" + ` probing for one hole; ` + "`hijacked_network`" + ` stolen address space; ` + "`malware`" + ` infrastructure of malware in
general; ` + "`malware_download`" + ` where it is fetched from; ` + "`payload`" + ` malware files; ` + "`phishing`" + `; ` + "`scam`" + ` fake shops and fraud; ` + "`scanner`" + ` scans and
attacks of many kinds; ` + "`spam`" + ` by mail or forms; ` + "`spyware`" + ` on phones; ` + "`anonymizer`" + ` a way to hide, no threat by itself.

**State**: *alive* dated evidence of data; *listed* in kept lists of feeds but not pulled by anybody we know of; *static* answers and is not added to; *blocked* turns
programs away; *ended* gone, off, kept here to explain old listings. *Checked* is the day of the newest evidence, or the day it was read where it has no date;
the evidence is in the file. No feed was contacted to write this table. *Size* is about how many listings a healthy pull has; ~ marks an estimate.

Evidence that is named often: the feed checker of Bert-JanP (Open-Source-Threat-Intel-Feeds, tests the HTTP answer daily); the pull of maltrail 4dfb9832eb
(all its feeds, contents counted); the audit of pranithjain-dfir of 2026-10-05, the probe of Threat Feed Me of 2026-09-25 and the project xfeeds of 2026-08-13 (rows counted, the last with licences); the plugins and release notes of Yeti; MISP's default feeds; mirrors that Critical Path Security rebuilds daily; snapshots are
copies of the files themselves.

## Feeds
| id | provider | type | kind | default | state | checked | size | licence | commercial use | what being listed means |
|---|---|---|---|---|---|---|--:|---|---|---|
`

func catalogueDoc(defs []*feed.Definition) []byte {
	var b bytes.Buffer
	on := 0
	for _, d := range defs {
		if d.OnByDefault() && !d.NeedsKey() {
			on++
		}
	}
	fmt.Fprintf(&b, catalogueIntro, len(defs), on)
	for _, d := range defs {
		cells := []string{d.ID, d.Provider, d.Type, d.KindName(), defaultText(d), d.Life, d.Checked, sizeText(d), d.Licence, commercialText(d), d.Description}
		for i, cell := range cells {
			if cell == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	return b.Bytes()
}

func defaultText(d *feed.Definition) string {
	switch {
	case d.OnByDefault() && d.NeedsKey():
		return "with a key"
	case d.OnByDefault():
		return "on"
	case d.NeedsKey():
		return "off, needs a key"
	}
	return "off"
}

func sizeText(d *feed.Definition) string {
	switch {
	case d.Expect == 0:
		return ""
	case strings.Contains(strings.ToLower(d.Evidence), "estimated"):
		return fmt.Sprint("~", d.Expect)
	}
	return fmt.Sprint(d.Expect)
}

func commercialText(d *feed.Definition) string {
	if d.CommercialUse == nil {
		return "not stated"
	}
	return map[bool]string{true: "yes", false: "no"}[*d.CommercialUse]
}
