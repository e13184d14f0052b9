package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/query"
)

const (
	defaultResults = 20    // listings of a page where the client names no limit
	maxPage        = 1_000 // listings of a page that is made before it is sent; more are streamed
	defaultFacet   = 10    // values of a facet
)

// search serves GET /api/v1/search.
func (a *api) search(c *call) error {
	o, err := c.searchOptions("q", "cursor", "sort", "facets", "facet_limit", "count")
	if err != nil {
		return err
	}
	if o.Limit, err = c.limit(defaultResults); err != nil {
		return err
	}
	o.Facets = c.list("facets")
	if o.FacetLimit, err = c.facetLimit("facet_limit"); err != nil {
		return err
	}
	switch n := c.query.Get("count"); {
	case n == "only":
		o.Limit = -1
	case n != "":
		return &fault{is: errRequest, code: "bad_count", detail: fmt.Sprintf("count=%.40q is not only, which asks for the total and the facets without listings", n)}
	}
	return a.answerSearch(c, c.query.Get("q"), o)
}

// facets serves GET /api/v1/facets.
func (a *api) facets(c *call) error {
	o, err := c.searchOptions("q", "by")
	if err != nil {
		return err
	}
	if o.Facets = c.list("by"); len(o.Facets) == 0 {
		return &fault{is: errRequest, code: "bad_by", detail: "by is missing: name the fields whose values to count, with commas between, as in by=feed,kind"}
	}
	if o.FacetLimit, err = c.facetLimit("limit"); err != nil {
		return err
	}
	o.Limit = -1
	found, err := a.brief(c, c.query.Get("q"), o, dropListing)
	if err != nil {
		return searchFault(err, "by", 0)
	}
	a.metrics.searched(searchCount, &found)
	c.sendTagged(typeJSON, append(found.AppendJSON(nil), '\n'))
	return nil
}

func dropListing(*intel.Listing) error { return nil }

// legacyText serves GET /iocs/search/string/{text}: the text is a phrase.
func (a *api) legacyText(c *call) error {
	o, err := c.searchOptions("cursor")
	if err != nil {
		return err
	}
	if o.Limit, err = c.limit(defaultResults); err != nil {
		return err
	}
	return a.answerSearch(c, lookup.Phrase(c.value), o)
}

// legacyTextSummary serves GET /iocs/search/string/{text}/summary.
func (a *api) legacyTextSummary(c *call) error {
	o, err := c.searchOptions()
	if err != nil {
		return err
	}
	o.Limit, o.Facets, o.FacetLimit = -1, []string{string(query.FieldFeed)}, lookup.MaxFacetLimit
	found, err := a.brief(c, lookup.Phrase(c.value)+" listed:true", o, dropListing)
	if err != nil {
		return searchFault(err, "", 1)
	}
	a.metrics.searched(searchCount, &found)
	if found.Total == 0 && found.Partial {
		return &fault{is: errNotReady, code: lookup.CodeIncomplete, detail: fmt.Sprintf("%.200q: %s", c.value, found.PartialReason)}
	}
	h := Hits{Value: c.value, Found: found.Total > 0, Hits: found.Total, Sources: []string{}}
	for _, v := range found.Facets[string(query.FieldFeed)].Values {
		h.Sources = append(h.Sources, v.Value)
	}
	slices.Sort(h.Sources)
	return c.sendJSON(h)
}

// searchOptions reads what all searches have. The parameters named must not be
// empty where they are given: an empty one is a script's unset variable.
func (c *call) searchOptions(names ...string) (lookup.SearchOptions, error) {
	for _, name := range append(names, "as_of") {
		if c.query.Has(name) && strings.TrimSpace(c.query.Get(name)) == "" {
			return lookup.SearchOptions{}, &fault{is: errRequest, code: "bad_" + name, detail: name + " is empty: give it a value or leave it out"}
		}
	}
	if slices.Contains(names, "q") && !c.query.Has("q") {
		return lookup.SearchOptions{}, &fault{is: errRequest, code: "bad_q", detail: "q is missing: the query, as in q=phishing+kind:domain; q=* asks for everything"}
	}
	return lookup.SearchOptions{AsOf: c.query.Get("as_of"), Sort: c.query.Get("sort"), Cursor: c.query.Get("cursor")}, nil
}

// list reads a parameter that is names with commas between.
func (c *call) list(name string) []string {
	var out []string
	for s := range strings.SplitSeq(c.query.Get(name), ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func (c *call) facetLimit(name string) (int, error) {
	if !c.query.Has(name) {
		return defaultFacet, nil
	}
	n, err := strconv.Atoi(c.query.Get(name))
	if err != nil || n < 1 || n > lookup.MaxFacetLimit {
		return 0, &fault{is: errRequest, code: "bad_" + name, detail: fmt.Sprintf("%s=%.40q is not a number of values per facet, 1 to %d", name, c.query.Get(name), lookup.MaxFacetLimit)}
	}
	return n, nil
}

// searchFault turns a refusal of Search into a fault. facets is the parameter
// that holds their fields, shift how many characters stand in front of what the
// client wrote.
func searchFault(err error, facets string, shift int) error {
	var q *query.Error
	var o *lookup.OptionError
	switch {
	case errors.As(err, &q):
		at := *q
		at.Column = max(1, at.Column-shift)
		return &fault{is: errRequest, code: "broken_query", detail: at.Error(), column: at.Column}
	case errors.As(err, &o):
		name := o.Option
		if name == "facets" && facets != "" {
			name = facets
		}
		return &fault{is: errRequest, code: "bad_" + name, detail: name + ": " + o.Err.Error()}
	}
	return err
}

// answerSearch answers with a page, or streams where the result may be large.
func (a *api) answerSearch(c *call, text string, o lookup.SearchOptions) error {
	shift := 0
	if c.route.path == legacyTextPath {
		shift = 1
	}
	var err error
	if o.Limit == 0 || o.Limit > maxPage {
		err = a.streamSearch(c, text, o)
	} else {
		err = a.pageSearch(c, text, o)
	}
	if c.status != 0 { // fail will cut the connection
		return err
	}
	return searchFault(err, "", shift)
}

// pageSearch answers with a page that is made before it is sent.
func (a *api) pageSearch(c *call, text string, o lookup.SearchOptions) error {
	m := a.mem.get()
	defer a.mem.put(m)
	rows := rows{media: c.accept, buf: m.buf}
	found, err := a.brief(c, text, o, rows.add)
	m.buf = rows.buf
	if err != nil {
		return err
	}
	a.metrics.searched(map[bool]int{true: searchCount, false: searchPage}[o.Limit < 0], &found)
	c.sendResults(&found, &rows)
	return nil
}

// brief is a search within the time of a page. No more of them run at a time than
// Limits.Pages: what waits costs nothing, and what runs gets on.
func (a *api) brief(c *call, text string, o lookup.SearchOptions, emit func(*intel.Listing) error) (lookup.Found, error) {
	select {
	case a.pages <- struct{}{}:
		defer func() { <-a.pages }()
	case <-c.r.Context().Done():
		return lookup.Found{}, c.r.Context().Err()
	}
	o.Budget = a.Limits.Search
	return a.Lookup.Search(c.r.Context(), text, o, emit)
}

// sendResults sends a whole answer.
func (c *call) sendResults(found *lookup.Found, rows *rows) {
	if rows.media == typeJSON {
		c.sendTagged(typeJSON, append(found.AppendPage(nil, rows.buf), '\n'))
		return
	}
	if rows.media == typeCSV && rows.n == 0 {
		rows.buf = append(rows.buf, lookup.CSVHeader...)
	}
	setFound(c.Header(), found)
	c.sendTagged(mediaType(rows.media), rows.buf)
}

// Headers of search results that come without an envelope, or trailers where
// they are streamed.
const (
	headerTotal   = "X-Total"
	headerTotalIs = "X-Total-Is"
	headerPartial = "X-Partial"
	headerNext    = "X-Next-Cursor"
)

// setFound says in headers what the envelope says otherwise.
func setFound(h http.Header, found *lookup.Found) {
	h.Set(headerTotal, strconv.Itoa(found.Total))
	h.Set(headerTotalIs, found.TotalIs)
	if found.Partial {
		h.Set(headerPartial, found.PartialReason)
	}
	if found.Next != "" {
		h.Set(headerNext, found.Next)
	}
}

func mediaType(media string) string {
	if media == typeCSV {
		return typeCSV + "; charset=utf-8"
	}
	return media
}

// rows writes listings in a format, into memory.
type rows struct {
	media string
	buf   []byte
	n     int
}

func (r *rows) add(l *intel.Listing) error {
	r.n++
	switch r.media {
	case typeNDJSON:
		r.buf = append(lookup.AppendResult(r.buf, l), '\n')
	case typeCSV:
		if r.n == 1 {
			r.buf = append(r.buf, lookup.CSVHeader...)
		}
		r.buf = lookup.AppendCSV(r.buf, l)
	default:
		if r.n > 1 {
			r.buf = append(r.buf, ',')
		}
		r.buf = lookup.AppendResult(r.buf, l)
	}
	return nil
}
