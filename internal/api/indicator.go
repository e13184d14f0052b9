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
	return a.ask(c, o, func(b []byte, ans *intel.Answer) ([]byte, error) {
		return append(appendAnswer(b, ans, o), '\n'), nil
	})
}

// writer appends what is sent of an answer, with a newline.
type writer func(b []byte, ans *intel.Answer) ([]byte, error)

// ask looks up the value in the path and sends what write makes of the answer.
// An unusable value is a fault here: there is nothing else to answer.
func (a *api) ask(c *call, o lookup.Options, write writer) error {
	m := a.mem.get()
	defer a.mem.put(m)
	ans := &m.answer
	if err := a.Lookup.AnswerInto(c.r.Context(), c.r.PathValue("value"), o, ans); err != nil {
		return err
	}
	a.metrics.looked(viaSingle, ans)
	if ans.Error != nil {
		return &fault{is: errValue, code: ans.Error.Code, detail: fmt.Sprintf("%.200q: %s", ans.Value, ans.Error.Detail)}
	}
	var err error
	if m.buf, err = write(m.buf, ans); err == nil {
		c.sendTagged(typeJSON, m.buf)
	}
	return err
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
	return a.askLegacy(c, false, func(b []byte, ans *intel.Answer) ([]byte, error) {
		return append(ans.AppendJSON(b), '\n'), nil
	})
}

// Hits is the short answer of the 2018 system's routes.
type Hits struct {
	Value   string   `json:"value"`
	Found   bool     `json:"found"`
	Hits    int      `json:"hits"`    // listings open at the instant asked for
	Sources []string `json:"sources"` // the feeds they are in, sorted
}

// legacySummary serves GET /iocs/search/{type}/{value}/summary.
func (a *api) legacySummary(c *call) error {
	return a.askLegacy(c, true, func(b []byte, ans *intel.Answer) ([]byte, error) {
		return appendJSON(b, Hits{Value: ans.Value, Found: ans.Found, Hits: len(ans.Listings), Sources: lookup.Feeds(ans)})
	})
}

func (a *api) askLegacy(c *call, summary bool, write writer) error {
	kinds, err := legacyKinds(c.r.PathValue("type"))
	if err != nil {
		return err
	}
	o, err := c.options(a.Now())
	if err != nil {
		return err
	}
	o.Kinds, o.Summary = kinds, summary
	return a.ask(c, o, write)
}
