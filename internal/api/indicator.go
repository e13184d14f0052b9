package api

import (
	"fmt"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// indicator serves GET /api/v1/indicators/{value}.
func (a *api) indicator(c *call) error {
	o, err := c.options(a.Now())
	if err != nil {
		return err
	}
	m := a.mem.get()
	defer a.mem.put(m)
	if err := a.ask(c, o, &m.answer); err != nil {
		return err
	}
	m.buf = append(appendAnswer(m.buf, &m.answer, o), '\n')
	c.sendTagged(typeJSON, m.buf)
	return nil
}

// ask looks up the value in the path. An unusable value is a fault here: there
// is nothing else to answer.
func (a *api) ask(c *call, o lookup.Options, ans *intel.Answer) error {
	if err := a.Lookup.AnswerInto(c.r.Context(), c.value, o, ans); err != nil {
		return err
	}
	a.metrics.looked(viaSingle, ans)
	if ans.Error != nil && ans.Error.Code == lookup.CodeIncomplete {
		return &fault{is: errNotReady, code: ans.Error.Code, detail: fmt.Sprintf("%.200q: %s", ans.Value, ans.Error.Detail)}
	}
	if ans.Error != nil {
		return &fault{is: errValue, code: ans.Error.Code, detail: fmt.Sprintf("%.200q: %s", ans.Value, ans.Error.Detail)}
	}
	return nil
}

func appendAnswer(b []byte, a *intel.Answer, o lookup.Options) []byte {
	if o.Summary {
		return lookup.AppendSummary(b, a)
	}
	return a.AppendJSON(b)
}

// legacyKinds are the types of the 2018 system's search routes.
func legacyKinds(name string) (intel.KindSet, error) {
	switch name {
	case "ipaddress":
		return intel.Address, nil
	case "domain":
		return intel.Domain.Set(), nil
	case "url":
		return intel.URL.Set(), nil
	}
	return 0, &fault{is: errNoRoute, detail: fmt.Sprintf("no search for %.40q; there is ipaddress, domain and url", name)}
}

// legacy serves GET /iocs/search/{type}/{value}.
func (a *api) legacy(c *call) error {
	m := a.mem.get()
	defer a.mem.put(m)
	if err := a.askLegacy(c, &m.answer); err != nil {
		return err
	}
	m.buf = append(m.answer.AppendJSON(m.buf), '\n')
	c.sendTagged(typeJSON, m.buf)
	return nil
}

// Hits is the short answer of the 2018 system's routes.
type Hits struct {
	Value   string   `json:"value"`
	Found   bool     `json:"found"`
	Hits    int      `json:"hits"`    // listings that count at the instant asked for
	Sources []string `json:"sources"` // the feeds they are in, sorted
}

// legacySummary serves GET /iocs/search/{type}/{value}/summary.
func (a *api) legacySummary(c *call) error {
	var ans intel.Answer
	if err := a.askLegacy(c, &ans); err != nil {
		return err
	}
	h := Hits{Value: ans.Value, Found: ans.Found, Sources: lookup.Feeds(&ans)}
	for i := range ans.Listings {
		if ans.Listings[i].Counts() {
			h.Hits++
		}
	}
	return c.sendJSON(h)
}

// askLegacy looks up the value in the path as the type in the path.
func (a *api) askLegacy(c *call, ans *intel.Answer) error {
	kinds, err := legacyKinds(c.kind)
	if err != nil {
		return err
	}
	o, err := c.options(a.Now())
	if err != nil {
		return err
	}
	o.Kinds = kinds
	return a.ask(c, o, ans)
}
