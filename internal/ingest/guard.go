package ingest

import (
	"fmt"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
	"github.com/elasticintel/elasticintel/internal/source"
)

// The codes of runs that a guard holds back.
const (
	CodeEmpty    = "empty"    // nothing in it
	CodeHTML     = "html"     // a web page
	CodeError    = "error"    // an error message instead of a list
	CodeBinary   = "binary"   // not text
	CodeFormat   = "format"   // not what the definition says, or cut off
	CodeContent  = "content"  // records, but none that can be used
	CodeRejects  = "rejects"  // too many records that cannot be used
	CodeSmall    = "small"    // fewer listings than expected
	CodeLarge    = "large"    // more listings than expected
	CodeShrink   = "shrink"   // far fewer listings than before
	CodeGrowth   = "growth"   // far more listings than before
	CodeReplaced = "replaced" // as many listings, and nearly none of those before
	CodeDamage   = "damage"   // what is stored of the feed is damaged, and accepting the run would lose its history
)

// Check is the guards: it says why a run must not be accepted without a person,
// as a code and a sentence, or "". prevOpen is how many listings the feed's last
// good content had, 0 where there was none; head is the start of the unpacked
// content (4 KiB are plenty). Every guard holds for lists of any size.
func Check(d *feed.Definition, prevOpen int, res *parse.Result, head []byte) (code, reason string) {
	if code, reason = sniff(d.Type, res, head); code != "" {
		return code, reason
	}
	if res.Read == 0 && (d.Guards.AllowEmpty || d.Delta()) {
		return "", ""
	}
	if d.Delta() { // what is new says nothing of how much there is
		if code, reason = checkUsable(d, prevOpen, res); code == "" {
			code, reason = checkRejects(d, prevOpen, res)
		}
		return code, reason
	}
	for _, guard := range []func(*feed.Definition, int, *parse.Result) (string, string){
		checkUsable, checkRejects, checkExpected, checkShrink, checkGrowth,
	} {
		if code, reason = guard(d, prevOpen, res); code != "" {
			return code, reason
		}
	}
	return "", ""
}

// checkUsable holds back what lists nothing.
func checkUsable(d *feed.Definition, _ int, res *parse.Result) (string, string) {
	switch {
	case res.Read == 0:
		return CodeEmpty, "the list is empty: it has no records"
	case res.Accepted > 0 || (d.Guards.AllowEmpty || d.Delta()) && res.Rejected == 0:
		return "", ""
	case res.Rejected == 0 && res.Expired() > 0: // it said itself that this would be
		return "", ""
	case res.Rejected == 0:
		return CodeEmpty, fmt.Sprintf("the list has nothing to list: all %d records are suppressed by rule", res.Read)
	}
	return CodeContent, fmt.Sprintf("this is not the feed's list: none of its %d records can be used (%s)", res.Read, firstReject(res))
}

func firstReject(res *parse.Result) string {
	if len(res.Rejects) == 0 {
		return "no reason given"
	}
	r := res.Rejects[0]
	return fmt.Sprintf("line %d, %q: %s", r.Line, clip(r.Value, 80), r.Reason)
}

func checkRejects(d *feed.Definition, _ int, res *parse.Result) (string, string) {
	limit := orDefault(d.Guards.MaxReject, feed.DefaultMaxReject)
	share := float64(res.Rejected) / float64(res.Read)
	if share <= limit {
		return "", ""
	}
	return CodeRejects, fmt.Sprintf("%d of %d records (%s) cannot be used, more than %s (%s)",
		res.Rejected, res.Read, percent(share), percent(limit), firstReject(res))
}

func checkExpected(d *feed.Definition, _ int, res *parse.Result) (string, string) {
	n := res.Accepted
	switch {
	case n < d.ExpectMin:
		return CodeSmall, fmt.Sprintf("the list has %d listings, fewer than the %d expected", n, d.ExpectMin)
	case d.ExpectMax > 0 && n > d.ExpectMax:
		return CodeLarge, fmt.Sprintf("the list has %d listings, more than the %d expected", n, d.ExpectMax)
	}
	return "", ""
}

func checkShrink(d *feed.Definition, before int, res *parse.Result) (string, string) {
	limit := orDefault(d.Guards.MaxShrink, feed.DefaultMaxShrink)
	if before <= 0 {
		return "", ""
	}
	share := float64(before-res.Accepted-res.Expired()) / float64(before)
	if share <= limit {
		return "", ""
	}
	return CodeShrink, fmt.Sprintf("the list shrank from %d to %d listings, by %s, more than %s", before, res.Accepted, percent(share), percent(limit))
}

func checkGrowth(d *feed.Definition, before int, res *parse.Result) (string, string) {
	limit := orDefault(d.Guards.MaxGrowth, feed.DefaultMaxGrowth)
	if before <= 0 || float64(res.Accepted) <= limit*float64(before) {
		return "", ""
	}
	return CodeGrowth, fmt.Sprintf("the list grew from %d to %d listings, %.1f times, more than %g times", before, res.Accepted, float64(res.Accepted)/float64(before), limit)
}

// turnedOver is how long ago the last good run may be for a list to be held
// against it: after a longer pause little needs to be left of any list.
const turnedOver = 7 * 24 * time.Hour

// CheckReplaced holds back a list in which too little is left of what the feed
// listed before, which were so many: it may be another feed's. It can only be
// told when the list has been compared with what is held.
func CheckReplaced(d *feed.Definition, before int, c intel.Change) (code, reason string) {
	limit := orDefault(d.Guards.MaxReplace, feed.DefaultMaxReplace)
	share := float64(c.Removed) / float64(max(before, 1))
	if limit >= 1 || before == 0 || share <= limit {
		return "", ""
	}
	return CodeReplaced, fmt.Sprintf("%d of the %d listings (%s) are gone and %d others came, more than %s: this may be another list", c.Removed, before, percent(share), c.New+c.Relisted, percent(limit))
}

func orDefault(v, def float64) float64 {
	if v == 0 {
		return def
	}
	return v
}

func percent(share float64) string { return fmt.Sprintf("%.3g %%", share*100) }

// Judge is Check for a result that may have come with an error of the parser:
// content that broke off, or is of another format than the definition says, is
// held back whatever was read until then.
//
// A page of a feed that could not be read is missing, so where absence counts as
// de-listed the whole is held back; other documents of a pull stand for themselves.
func Judge(d *feed.Definition, prevOpen int, res source.Parsed, perr error) (code, reason string) {
	if perr == nil {
		code, reason = Check(d, prevOpen, res.Result, res.Head)
		if code == "" && len(res.Bad) > 0 && d.Pages != nil && !d.Partial() {
			return CodeFormat, fmt.Sprintf("%d of %d pages could not be read: %s", len(res.Bad), res.Parts, clip(res.Bad[0], 200))
		}
		return code, reason
	}
	if f := fetchFailure(perr); f != nil {
		return CodeBinary, f.reason
	}
	if code, reason = sniff(d.Type, res.Result, res.Head); code != "" {
		return code, reason
	}
	if len(plainText(res.Head)) == 0 && res.Read == 0 { // which some formats cannot be
		return CodeEmpty, "the list is empty: there is nothing in it"
	}
	return CodeFormat, perr.Error()
}

// NoList says why one document of several, which starts with head, is none of the
// feed's: it is a web page or binary data. "" where it may be one.
func NoList(format string, head []byte) string {
	_, reason := sniff(format, &parse.Result{Counts: intel.Counts{Accepted: 1}}, head)
	return reason
}

// before is how many listings the feed's last good content had. Runs of
// unchanged content carry the counts on, so the head's run always knows. Open
// listings would not do: with a TTL they include what is no longer in the list.
func (a *attempt) before() int {
	if h := a.current(); h != nil {
		return h.Run.Accepted
	}
	return 0
}

// notList says whether the downloaded bytes are recognised as something else
// than a list, which is for the guards and no failure of the download.
func notList(err error) bool {
	f := fetchFailure(err)
	return f != nil && f.code == fetch.CodeUnsupported
}
