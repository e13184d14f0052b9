package enginetest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Script is what feeds list and what is asked, in order.
type Script struct {
	Name  string
	Steps []*Step
	lines []string // of the file
}

// Step is one statement of a script. One of the pointers is set.
type Step struct {
	Now     time.Time // when it happens
	Load    *Load
	Keep    string // background work to be done: see Keeper
	Purge   *Purge
	Find    *Find
	Search  *Search
	Stats   bool
	Compare *Compare
	Follow  int      // read all changes, so many at a time
	Fault   *Fault   // the store fails during Load, Keep or Purge
	Want    []string // the lines of the answer, without =

	at, end int // in the file: its lines, without those of the answer
}

// Load is a run of a feed.
type Load struct {
	Info    intel.FeedInfo
	At      time.Time
	Entries []intel.Entry
}

// Purge forgets what a feed no longer lists and what did not change since an instant.
type Purge struct {
	Feed   string
	Before time.Time
}

// Fault makes an operation of the store fail.
type Fault struct {
	Op     int    // counted from 1
	Mode   string // before, after, dead: see crashtest.Mode
	Reopen bool   // begin anew from the store afterwards
}

// Find is a look-up.
type Find struct {
	Value string
	AsOf  time.Time
	Full  bool // print all of each listing
}

// Search is a query.
type Search struct {
	Query      string
	AsOf       time.Time
	Sort       query.Sort
	Limit      int
	Pages      bool // ask for page after page of Limit listings
	Facets     []query.Field
	FacetLimit int
	Full       bool
	Facts      bool // with worldFacts, of engines that are Informed
}

// String writes the script without its answers.
func (s *Script) String() string {
	var b strings.Builder
	var now time.Time
	infos := map[string]string{}
	for _, step := range s.Steps {
		if !step.Now.Equal(now) {
			now = step.Now
			fmt.Fprintf(&b, "now %s\n", stamp(now))
		}
		if l := step.Load; l != nil {
			if line := feedLine(&l.Info); infos[l.Info.ID] != line {
				infos[l.Info.ID] = line
				b.WriteString(line)
			}
		}
		b.WriteString(step.String())
	}
	return b.String()
}

// stamp writes a time.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// String writes the step as in a script.
func (s *Step) String() string {
	var b strings.Builder
	switch {
	case s.Load != nil:
		s.Load.print(&b, s.Now, s.Fault)
	case s.Purge != nil:
		fmt.Fprintf(&b, "purge %s before=%s%s\n", s.Purge.Feed, stamp(s.Purge.Before), s.Fault)
	case s.Find != nil:
		fmt.Fprintf(&b, "find %s\n", plain(s.Find.Value))
		option(&b, "as_of", s.Find.AsOf)
	case s.Search != nil:
		s.Search.print(&b)
	case s.Follow > 0:
		fmt.Fprintf(&b, "follow %d\n", s.Follow)
	case s.Stats:
		b.WriteString("stats\n")
	case s.Compare != nil:
		s.Compare.print(&b)
	default:
		fmt.Fprintf(&b, "keep %s%s\n", s.Keep, s.Fault)
	}
	return b.String()
}

func option(b *strings.Builder, name string, at time.Time) {
	if !at.IsZero() {
		fmt.Fprintf(b, "  %s %s\n", name, stamp(at))
	}
}

// String writes the fault behind a statement, nothing where there is none.
func (f *Fault) String() string {
	switch {
	case f == nil:
		return ""
	case f.Reopen:
		return fmt.Sprintf(" fault=%d:%s heal=reopen", f.Op, f.Mode)
	}
	return fmt.Sprintf(" fault=%d:%s", f.Op, f.Mode)
}

func (l *Load) print(b *strings.Builder, now time.Time, f *Fault) {
	fmt.Fprintf(b, "run %s", l.Info.ID)
	if !l.At.Equal(now) {
		fmt.Fprintf(b, " at=%s", stamp(l.At))
	}
	b.WriteString(f.String() + "\n")
	for _, e := range l.Entries {
		fmt.Fprintf(b, "  %s", plain(e.Indicator.Value))
		if e.Original != e.Indicator.Value {
			fmt.Fprintf(b, " original=%s", plain(e.Original))
		}
		for _, f := range e.Fields {
			for _, v := range f.Values {
				fmt.Fprintf(b, " %s=%s", name(f.Name), plain(v))
			}
		}
		b.WriteByte('\n')
	}
}

func (s *Search) print(b *strings.Builder) {
	fmt.Fprintf(b, "search %s\n", s.Query)
	option(b, "as_of", s.AsOf)
	if s.Sort != (query.Sort{}) {
		fmt.Fprintf(b, "  sort %s\n", s.Sort)
	}
	if s.Limit != 0 {
		fmt.Fprintf(b, "  limit %d\n", s.Limit)
	}
	if s.Facts {
		b.WriteString("  facts\n")
	}
	if s.Pages {
		b.WriteString("  pages\n")
	}
	if len(s.Facets) > 0 {
		b.WriteString("  facets")
		for _, f := range s.Facets {
			b.WriteString(" " + f.String())
		}
		b.WriteByte('\n')
	}
	if s.FacetLimit != 0 {
		fmt.Fprintf(b, "  facet_limit %d\n", s.FacetLimit)
	}
}

// feedLine writes a feed as scripts have it.
func feedLine(i *intel.FeedInfo) string {
	var b strings.Builder
	b.WriteString("feed " + i.ID)
	put := func(name, value string) {
		if value != "" && value != "0" && value != "0s" {
			b.WriteString(" " + name + "=" + plain(value))
		}
	}
	put("name", i.Name)
	put("provider", i.Provider)
	put("presence", string(i.Presence))
	put("role", i.Role)
	put("ttl", i.TTL.String())
	for _, k := range slices.Sorted(maps.Keys(i.KindTTL)) {
		b.WriteString(" ttl." + k.String() + "=" + i.KindTTL[k].String()) // 0 too: it takes the feed's away
	}
	put("confidence", strconv.Itoa(i.Confidence))
	put("tlp", i.TLP)
	put("description", i.Description)
	put("malware", i.Malware)
	put("threat_type", i.ThreatType)
	put("snapshot", i.Snapshot)
	for _, t := range i.Tags {
		put("tags", t)
	}
	return b.String() + "\n"
}

// clone copies the step as deep as shrinking changes it.
func (s *Step) clone() *Step {
	out := *s
	if s.Load != nil {
		l := *s.Load
		l.Entries = slices.Clone(l.Entries)
		out.Load = &l
	}
	return &out
}
