package deploy

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func page(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile("../../" + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// costTable is the table of docs/aws.md, from what the program computes.
func costTable() string {
	all := []*Estimate{Cost(lite(), Typical()), Cost(append(lite(), res("aws_kms_key", "own", nil)), Typical()), Cost(standard(), Typical())}
	var names []string
	for _, e := range all {
		for _, l := range e.Lines {
			if !slices.Contains(names, l.What) {
				names = append(names, l.What)
			}
		}
	}
	// what costs most in standard first
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(costOf(all[2], b), costOf(all[2], a)) })
	var b, free strings.Builder
	for _, n := range names {
		if costOf(all[0], n)+costOf(all[1], n)+costOf(all[2], n) < 0.0005 {
			fmt.Fprintf(&free, ", %s", n)
			continue
		}
		fmt.Fprintf(&b, "| %s | %.3f | %.3f | %.3f |\n", n, costOf(all[0], n), costOf(all[1], n), costOf(all[2], n))
	}
	fmt.Fprintf(&b, "| %s | 0 | 0 | 0 |\n", strings.TrimPrefix(free.String(), ", "))
	fmt.Fprintf(&b, "| **dollars a month** | **%.2f** | **%.2f** | **%.2f** |\n", all[0].Total(), all[1].Total(), all[2].Total())
	return b.String()
}

func costOf(e *Estimate, what string) float64 {
	for _, l := range e.Lines {
		if l.What == what {
			return l.USD
		}
	}
	return 0
}

// costFormula is the formula of docs/aws.md, with the program's prices and shares.
func costFormula() string {
	const api, ingest = 512.0 / 1024, 1.0 // GB of the functions
	m := func(name string) float64 { return math.Round(prices[name].usd*1e8) / 100 }
	return strings.Join([]string{
		fmt.Sprintf("HTTP API      Q × $%.2f/M", m("http-api")),
		fmt.Sprintf("Lambda calls  (Q + R + ticks − 1 M) × $%.2f/M", m("lambda")),
		fmt.Sprintf("Lambda time   (Q × %g s × %g GB + R × %d s × %g GB + ticks − 400,000 GB-s) × $%.10f", querySeconds, api, runSeconds, ingest, prices["lambda-arm64"].usd),
		fmt.Sprintf("Lambda /tmp   (Q × %g s + R × %d s) × 1.5 GB × $%.10f", querySeconds, runSeconds, prices["lambda-tmp"].usd),
		fmt.Sprintf("S3 storage    V × (%d days × %d bytes × %d copies + %d days × %d bytes) × $%g/GB", daysOfListings, bytesPerListing, copies, rawDays, rawBytes, prices["s3-gb"].usd),
		fmt.Sprintf("S3 requests   (R × %g + %d PUT and LIST) × $%g/M + (R × %d + Q × %g GET) × $%g/M; standard: without the %d LIST and the GET of Q", putsPerRun, listsPerMonth, m("s3-put"), getsPerRun, readShare, m("s3-get"), listsPerMonth),
		fmt.Sprintf("own key       $%g + (R − 20,000 uses) × $%g/M", prices["kms-key"].usd, m("kms")),
		fmt.Sprintf("domain        nodes × $%g/h × %d h + nodes × 10 GB × $%g", nodes["t3.small.search"], hours, prices["gp3"].usd),
		fmt.Sprintf("alarms        (13 − 10) × $%.2f in standard", prices["alarm"].usd),
	}, "\n")
}

// TestDocsCost: the page says what the program computes.
func TestDocsCost(t *testing.T) {
	doc := page(t, "docs/aws.md")
	if want := costTable(); !strings.Contains(doc, want) {
		t.Errorf("docs/aws.md: the table of costs should be\n%s", want)
	}
	if want := costFormula(); !strings.Contains(doc, want) {
		t.Errorf("docs/aws.md: the formula should be\n%s", want)
	}
}

// TestDocsAlarms: every alarm of the configuration has its place in docs/aws.md, to
// which its text sends who is woken by it.
func TestDocsAlarms(t *testing.T) {
	doc, hcl := page(t, "docs/aws.md"), page(t, "deploy/terraform/modules/observability/alarms.tf")
	if !strings.Contains(hcl, `What to do: docs/aws.md#${each.key}"`) {
		t.Error("the alarms' texts do not name their place in docs/aws.md")
	}
	each := map[string][]string{"var.dead_letters": {"jobs", "events"}, "var.functions": {"scheduler", "ingest", "api", "health"}, `["ingest", "api"]`: {"ingest", "api"}}
	var names []string
	for _, m := range regexp.MustCompile(`for k(?:, \w+)? in (var\.\w+|\[[^]]*\]) : "\$\{k\}-(\w+)" =>`).FindAllStringSubmatch(hcl, -1) {
		if each[m[1]] == nil {
			t.Errorf("%s: this test does not know what is in it", m[1])
		}
		for _, k := range each[m[1]] {
			names = append(names, k+"-"+m[2])
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^ +([a-z-]+) = \{$`).FindAllStringSubmatch(hcl, -1) {
		names = append(names, m[1])
	}
	if len(names) != 13 {
		t.Errorf("%d alarms are found, and there are 10 in lite and 3 more with a domain: %q", len(names), names)
	}
	for _, n := range names {
		if !strings.Contains(doc, `<a id="`+n+`"></a>`) {
			t.Errorf("docs/aws.md has no place for the alarm %s", n)
		}
	}
}
