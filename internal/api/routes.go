package api

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/auth"
)

// Media types.
const (
	typeJSON    = "application/json"
	typeNDJSON  = "application/x-ndjson"
	typeText    = "text/plain"
	typeCSV     = "text/csv"
	typeProblem = "application/problem+json"
)

// route is one line of the table.
type route struct {
	method string    // GET also answers HEAD
	path   string    // pattern for the multiplexer, path in the OpenAPI document
	role   auth.Role // the least role that may call it; "" = anyone
	query  []string  // parameters it knows; any other is refused
	types  []string  // media types it answers with, the default first
	status []int     // how it may answer, beside what every route may (common)
	handle func(*api, *call) error
}

// common are the answers any route may give: bad request, not acceptable, wrong
// host, failures. Routes with a role may also answer 401 and 403.
func common() []int { return []int{200, 400, 406, 421, 500, 503} }

// routes is the table of all routes.
func routes() []*route {
	jsonOnly, bulk := []string{typeJSON}, []string{typeJSON, typeNDJSON}
	found, page := []string{typeJSON, typeNDJSON, typeCSV}, []string{"as_of", "limit", "cursor"}
	asOf := []string{"as_of"}
	full, one := []string{"as_of", "fields", "related"}, []string{"as_of", "fields", "related", "timeline"}
	return []*route{
		{"GET", "/api/v1/indicators/{value}", auth.Reader, one, jsonOnly, []int{304}, (*api).indicator},
		{"POST", "/api/v1/lookup", auth.Reader, full, bulk, []int{403, 408, 413, 415}, (*api).lookup},
		{"GET", "/api/v1/feeds", auth.Reader, nil, jsonOnly, []int{304}, (*api).feeds},
		{"GET", "/api/v1/feeds/{id}", auth.Reader, nil, jsonOnly, []int{304, 404}, (*api).feed},
		{"GET", "/api/v1/feeds/{id}/runs", auth.Reader, []string{"limit"}, jsonOnly, []int{304, 404}, (*api).runs},
		{"GET", "/api/v1/feeds/report", auth.Reader, []string{"limit"}, jsonOnly, []int{304, 501}, (*api).reports},
		{"GET", "/api/v1/feeds/{id}/report", auth.Reader, []string{"limit"}, jsonOnly, []int{304, 404, 501}, (*api).report},
		{"POST", "/api/v1/feeds/{id}/run", auth.Editor, nil, jsonOnly, []int{403, 404, 409}, (*api).run},
		{"GET", "/api/v1/stats", auth.Reader, nil, jsonOnly, []int{304}, (*api).stats},
		{"GET", "/api/v1/openapi.json", auth.Reader, nil, jsonOnly, []int{304}, (*api).openapi},
		{"GET", "/api/v1/search", auth.Reader, append([]string{"q", "sort", "facets", "facet_limit", "count"}, page...), found, []int{304}, (*api).search},
		{"GET", "/api/v1/facets", auth.Reader, []string{"q", "by", "limit", "as_of"}, jsonOnly, []int{304}, (*api).facets},
		{"GET", "/api/v1/changes", auth.Reader, []string{"since", "limit"}, bulk, []int{410, 501}, (*api).changes},
		{"GET", legacyTextPath, auth.Reader, page, jsonOnly, []int{304}, (*api).legacyText},
		{"GET", legacyTextPath + summarySuffix, auth.Reader, asOf, jsonOnly, []int{304}, (*api).legacyTextSummary},
		{"GET", "/iocs/search/{type}/{value}", auth.Reader, asOf, jsonOnly, []int{304, 404}, (*api).legacy},
		{"GET", "/iocs/search/{type}/{value}/summary", auth.Reader, asOf, jsonOnly, []int{304, 404}, (*api).legacySummary},
		{"GET", "/metrics", auth.Reader, nil, []string{typeText}, nil, (*api).exposition},
		{"GET", "/healthz", "", nil, jsonOnly, nil, (*api).health},
		{"GET", "/readyz", "", nil, jsonOnly, nil, (*api).ready},
	}
}

// statuses lists every status the route may answer with.
func (rt *route) statuses() []int {
	out := append(common(), rt.status...)
	if rt.role != "" {
		out = append(out, 401, 403)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// serve finds the request's route and serves it.
func (a *api) serve(c *call) {
	rt, kind, value, ok := a.values.find(c.r.URL)
	switch {
	case !ok && !clean(c.r):
		a.fail(c, noRoute())
	case !ok:
		a.mux.ServeHTTP(c, c.r) // goes on with dispatch, or with unrouted
	case c.r.Method != http.MethodGet && c.r.Method != http.MethodHead:
		a.fail(c, notAllowed(c, []string{"GET", "HEAD"}))
	default:
		c.kind, c.value = kind, value
		a.dispatch(c, rt)
	}
}

// dispatch serves a request whose route is known.
func (a *api) dispatch(c *call, rt *route) {
	c.route = rt
	err := a.authorise(c)
	if err == nil {
		err = c.parseQuery()
	}
	if err == nil {
		err = c.negotiate()
	}
	if err == nil {
		err = rt.handle(a, c)
	}
	if err != nil {
		a.fail(c, err)
	}
}

// unrouted says why no route took the request: its path or its method.
func (a *api) unrouted(c *call) error {
	var allow []string
	for _, m := range []string{"GET", "HEAD", "POST"} {
		probe := *c.r
		probe.Method = m
		if _, pattern := a.mux.Handler(&probe); pattern != "" && pattern != "/" {
			allow = append(allow, m)
		}
	}
	if len(allow) == 0 {
		return noRoute()
	}
	return notAllowed(c, allow)
}

func noRoute() error {
	return &fault{is: errNoRoute, detail: "no such path; /api/v1/openapi.json lists them"}
}

func notAllowed(c *call, allow []string) error {
	c.Header().Set("Allow", strings.Join(allow, ", "))
	return &fault{is: errMethod, detail: c.r.Method + " is not possible here, only " + strings.Join(allow, ", ")}
}

// Prefixes behind which a path is a value.
const (
	indicatorPrefix = "/api/v1/indicators/"
	legacyPrefix    = "/iocs/search/"
	legacyTextPath  = legacyPrefix + legacyText + "/{text}"
	legacyText      = "string" // the type whose value is a text to search for
	summarySuffix   = "/summary"
)

// valueRoutes are the routes whose path ends in a value. The multiplexer, which
// cuts a path at its slashes and cleans "//" away, would not get a URL whole, so
// these are found by their prefix.
type valueRoutes struct{ indicator, legacy, summary, text, textSummary *route }

// find returns the route and what its path holds. ok is false where the path is
// none of these; then the multiplexer decides.
func (v *valueRoutes) find(u *url.URL) (rt *route, kind, value string, ok bool) {
	raw := u.Path // the path as sent, save for escapes that no one could do without
	if u.RawPath != "" {
		raw = u.EscapedPath()
	}
	if rest, ok := strings.CutPrefix(raw, indicatorPrefix); ok {
		value, ok := unescape(u, rest)
		return v.indicator, "", value, ok && value != ""
	}
	rest, ok := strings.CutPrefix(raw, legacyPrefix)
	if !ok {
		return nil, "", "", false
	}
	kind, rest, _ = strings.Cut(rest, "/")
	rt, summary := v.legacy, v.summary
	if kind == legacyText {
		rt, summary = v.text, v.textSummary
	}
	if cut, ok := strings.CutSuffix(rest, summarySuffix); ok && cut != "" {
		rt, rest = summary, cut
	}
	value, ok = unescape(u, rest)
	return rt, kind, value, ok && value != ""
}

// unescape decodes part of a URL's path, unless it comes decoded.
func unescape(u *url.URL, part string) (string, bool) {
	if u.RawPath == "" {
		return part, true
	}
	plain, err := url.PathUnescape(part)
	return plain, err == nil
}

// clean says whether the multiplexer would take the path as it is; it would
// redirect others to where no route is.
func clean(r *http.Request) bool {
	p := r.URL.EscapedPath()
	c := path.Clean(p)
	return p == c || p == c+"/"
}
