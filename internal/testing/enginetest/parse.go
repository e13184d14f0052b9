package enginetest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// ParseScript reads a script.
func ParseScript(name, text string) (*Script, error) {
	p := scriptParser{script: &Script{Name: name, lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}, feeds: map[string]intel.FeedInfo{}}
	for i, line := range p.script.lines {
		p.line = i
		if err := p.read(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
	}
	return p.script, nil
}

type scriptParser struct {
	script *Script
	line   int
	now    time.Time
	feeds  map[string]intel.FeedInfo
	step   *Step // the statement that lines belong to
}

func (p *scriptParser) read(line string) error {
	trimmed := strings.TrimSpace(line)
	switch {
	case trimmed == "" || trimmed[0] == '#':
		return nil
	case line[0] == '=':
		if p.step == nil {
			return fmt.Errorf("an answer to nothing: %s", line)
		}
		p.step.Want = append(p.step.Want, strings.TrimPrefix(line[1:], " "))
		return nil
	case line[0] != ' ' && line[0] != '\t':
		p.step = nil
		head, rest, _ := strings.Cut(trimmed, " ")
		return p.statement(head, strings.TrimSpace(rest))
	case p.step == nil:
		return fmt.Errorf("%q belongs to nothing", trimmed)
	}
	p.step.end = p.line + 1
	if p.step.Load != nil {
		return p.entry(trimmed)
	}
	head, rest, _ := strings.Cut(trimmed, " ")
	return p.option(head, strings.TrimSpace(rest))
}

func (p *scriptParser) begin(s Step) {
	s.Now, s.at, s.end = p.now, p.line, p.line+1
	p.step = &s
	p.script.Steps = append(p.script.Steps, p.step)
}

func (p *scriptParser) statement(head, rest string) (err error) {
	switch head {
	case "now":
		p.now, err = parseStamp(rest)
	case "feed":
		return p.feed(rest)
	case "run", "purge", "keep":
		return p.change(head, rest)
	case "follow":
		n, err := strconv.Atoi(rest)
		if err != nil || n <= 0 {
			return fmt.Errorf("follow %s: expected how many at a time", rest)
		}
		p.begin(Step{Follow: n})
	case "stats":
		p.begin(Step{Stats: true})
	case "compare":
		return p.compare(rest)
	case "find":
		w, err := words(rest)
		if err != nil || len(w) != 1 {
			return fmt.Errorf("find %s: expected one value (%v)", rest, err)
		}
		p.begin(Step{Find: &Find{Value: w[0].text}})
	case "search":
		p.begin(Step{Search: &Search{Query: rest}})
	default:
		return fmt.Errorf("the unknown statement %q", head)
	}
	return err
}

func parseStamp(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return t.UTC(), err
}

func (p *scriptParser) feed(rest string) error {
	ws, err := words(rest)
	if err != nil || len(ws) == 0 {
		return fmt.Errorf("feed %s: expected an id (%v)", rest, err)
	}
	i := intel.FeedInfo{ID: ws[0].text, Presence: intel.Snapshot}
	texts := map[string]*string{"name": &i.Name, "provider": &i.Provider, "presence": (*string)(&i.Presence), "role": &i.Role, "tlp": &i.TLP,
		"description": &i.Description, "malware": &i.Malware, "threat_type": &i.ThreatType, "snapshot": &i.Snapshot}
	for _, w := range ws[1:] {
		name, value, _ := w.pair()
		switch to := texts[name]; {
		case to != nil:
			*to = value
		case name == "tags":
			i.Tags = append(i.Tags, value)
		case name == "confidence":
			i.Confidence, err = strconv.Atoi(value)
		case name == "ttl":
			err = i.TTL.UnmarshalText([]byte(value))
		case strings.HasPrefix(name, "ttl."):
			err = kindTTL(&i, strings.TrimPrefix(name, "ttl."), value)
		default:
			err = fmt.Errorf("the unknown property %q", w.text)
		}
		if err != nil {
			return fmt.Errorf("feed %s: %w", i.ID, err)
		}
	}
	p.feeds[i.ID] = i
	return nil
}

// compare reads a question for a comparison.
func (p *scriptParser) compare(rest string) error {
	ws, err := words(rest)
	c := &Compare{}
	for _, w := range ws {
		name, value, _ := w.pair()
		if name != "aside" {
			return fmt.Errorf("compare: the unknown property %q", w.text)
		}
		c.Aside = append(c.Aside, value)
	}
	p.begin(Step{Compare: c})
	return err
}

// kindTTL reads a time to live that one kind has.
func kindTTL(i *intel.FeedInfo, kind, value string) error {
	var k intel.Kind
	var d intel.Duration
	if err := errors.Join(k.UnmarshalText([]byte(kind)), d.UnmarshalText([]byte(value))); err != nil {
		return err
	}
	if i.KindTTL == nil {
		i.KindTTL = map[intel.Kind]intel.Duration{}
	}
	i.KindTTL[k] = d
	return nil
}

// change reads a run, purge or keep: a word and properties.
func (p *scriptParser) change(head, rest string) error {
	ws, err := words(rest)
	if err != nil || len(ws) == 0 {
		return fmt.Errorf("%s %s: expected more (%v)", head, rest, err)
	}
	what := ws[0].text
	s := Step{}
	at := p.now
	for _, w := range ws[1:] {
		name, value, _ := w.pair()
		switch {
		case name == "at" && head == "run", name == "before" && head == "purge":
			at, err = parseStamp(value)
		case name == "fault":
			op, mode, _ := strings.Cut(value, ":")
			s.Fault = &Fault{Mode: mode}
			s.Fault.Op, err = strconv.Atoi(op)
		case name == "heal" && s.Fault != nil:
			s.Fault.Reopen = value == "reopen"
		default:
			err = fmt.Errorf("%s: the unknown property %q", head, w.text)
		}
		if err != nil {
			return err
		}
	}
	switch head {
	case "keep":
		s.Keep = what
	case "purge":
		s.Purge = &Purge{what, at}
	default:
		info, ok := p.feeds[what]
		if !ok {
			return fmt.Errorf("run %s: no feed line in front of it", rest)
		}
		s.Load = &Load{Info: info, At: at}
	}
	p.begin(s)
	return nil
}

func (p *scriptParser) entry(line string) error {
	ws, err := words(line)
	if err != nil {
		return err
	}
	i, err := intel.Detect(ws[0].text)
	if err != nil {
		return err
	}
	e := intel.Entry{Indicator: i, Original: ws[0].text, Line: p.line + 1}
	for _, w := range ws[1:] {
		name, value, ok := w.pair()
		switch {
		case !ok:
			return fmt.Errorf("%q: expected FIELD=VALUE", w.text)
		case name == "original":
			e.Original = value
		default:
			e.Fields.Add(name, value)
		}
	}
	p.step.Load.Entries = append(p.step.Load.Entries, e)
	return nil
}

func (p *scriptParser) option(head, rest string) (err error) {
	f, s := p.step.Find, p.step.Search
	switch {
	case head == "as_of" && f != nil:
		f.AsOf, err = parseStamp(rest)
	case head == "full" && f != nil:
		f.Full = true
	case s == nil:
		err = fmt.Errorf("the unknown option %q", head)
	case head == "as_of":
		s.AsOf, err = parseStamp(rest)
	case head == "sort":
		s.Sort, err = query.ParseSort(rest)
	case head == "limit":
		s.Limit, err = strconv.Atoi(rest)
	case head == "facet_limit":
		s.FacetLimit, err = strconv.Atoi(rest)
	case head == "pages":
		s.Pages = true
	case head == "full":
		s.Full = true
	case head == "facts":
		s.Facts = true
	case head == "facets":
		for name := range strings.FieldsSeq(rest) {
			s.Facets = append(s.Facets, facetField(name))
		}
	default:
		err = fmt.Errorf("the unknown option %q", head)
	}
	return err
}

// facetField reads the name of a field as Field.String writes it.
func facetField(name string) query.Field {
	if context, ok := strings.CutPrefix(name, "context."); ok {
		return query.Context(context)
	}
	return query.Field(name)
}

// Updated is the file with other answers.
func (s *Script) Updated() string {
	ends := map[int]*Step{}
	for _, step := range s.Steps {
		ends[step.end] = step
	}
	var b strings.Builder
	answer := func(line int) {
		if step := ends[line]; step != nil {
			for _, w := range step.Want {
				b.WriteString(strings.TrimRight("= "+w, " ") + "\n")
			}
		}
	}
	for i, line := range s.lines {
		answer(i)
		if !strings.HasPrefix(line, "=") {
			b.WriteString(line + "\n")
		}
	}
	answer(len(s.lines))
	return b.String()
}
