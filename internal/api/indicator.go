package api

import (
	"fmt"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// indicator serves GET /api/v1/indicators/{value}.
func (a *api) indicator(c *call) error {
	o, err := c.options(a.Now())
	if err != nil {
		return err
	}
	ans, err := a.ask(c, o)
	if err != nil {
		return err
	}
	buf := a.buf.get()
	body := append(appendAnswer(*buf, &ans, o), '\n')
	c.sendTagged(typeJSON, body)
	a.buf.put(buf, body)
	return nil
}

// ask looks up the value in the path. An unusable value is a fault here: there
// is nothing else to answer.
func (a *api) ask(c *call, o lookup.Options) (intel.Answer, error) {
	ans, err := a.Lookup.Answer(c.r.Context(), c.r.PathValue("value"), o)
	if err != nil {
		return ans, err
	}
	a.metrics.looked(viaSingle, &ans)
	if ans.Error != nil {
		return ans, &fault{is: errValue, code: ans.Error.Code, detail: fmt.Sprintf("%.200q: %s", ans.Value, ans.Error.Detail)}
	}
	return ans, nil
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
	ans, err := a.askLegacy(c, false)
	if err != nil {
		return err
	}
	buf := a.buf.get()
	body := append(ans.AppendJSON(*buf), '\n')
	c.sendTagged(typeJSON, body)
	a.buf.put(buf, body)
	return nil
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
	ans, err := a.askLegacy(c, true)
	if err != nil {
		return err
	}
	return c.sendJSON(Hits{Value: ans.Value, Found: ans.Found, Hits: len(ans.Listings), Sources: lookup.Feeds(&ans)})
}

func (a *api) askLegacy(c *call, summary bool) (intel.Answer, error) {
	kinds, err := legacyKinds(strings.ToLower(c.r.PathValue("type")))
	if err != nil {
		return intel.Answer{}, err
	}
	o, err := c.options(a.Now())
	if err != nil {
		return intel.Answer{}, err
	}
	o.Kinds, o.Summary = kinds, summary
	return a.ask(c, o)
}
