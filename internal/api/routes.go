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
	asOf := []string{"as_of"}
	full := []string{"as_of", "fields"}
	return []*route{
		{"GET", "/api/v1/indicators/{value}", auth.Reader, full, jsonOnly, []int{304}, (*api).indicator},
		{"POST", "/api/v1/lookup", auth.Reader, full, bulk, []int{403, 408, 413, 415}, (*api).lookup},
		{"GET", "/api/v1/feeds", auth.Reader, nil, jsonOnly, []int{304}, (*api).feeds},
		{"GET", "/api/v1/feeds/{id}", auth.Reader, nil, jsonOnly, []int{304, 404}, (*api).feed},
		{"GET", "/api/v1/feeds/{id}/runs", auth.Reader, []string{"limit"}, jsonOnly, []int{304, 404}, (*api).runs},
		{"POST", "/api/v1/feeds/{id}/run", auth.Editor, nil, jsonOnly, []int{403, 404, 409}, (*api).run},
		{"GET", "/api/v1/stats", auth.Reader, nil, jsonOnly, []int{304}, (*api).stats},
		{"GET", "/api/v1/openapi.json", auth.Reader, nil, jsonOnly, []int{304}, (*api).openapi},
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

// dispatch serves a request whose route is known.
func (a *api) dispatch(c *call, r *http.Request, rt *route) {
	c.r, c.route = r, rt
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
func (a *api) unrouted(c *call, r *http.Request) error {
	var allow []string
	for _, m := range []string{"GET", "HEAD", "POST"} {
		probe := *r
		probe.Method = m
		if _, pattern := a.mux.Handler(&probe); pattern != "" && pattern != "/" {
			allow = append(allow, m)
		}
	}
	if len(allow) == 0 {
		return &fault{is: errNoRoute, detail: "no such path; /api/v1/openapi.json lists them"}
	}
	c.Header().Set("Allow", strings.Join(allow, ", "))
	return &fault{is: errMethod, detail: r.Method + " is not possible here, only " + strings.Join(allow, ", ")}
}

// Prefixes behind which a path is a value.
const (
	indicatorPrefix = "/api/v1/indicators/"
	legacyPrefix    = "/iocs/search/"
	summarySuffix   = "/summary"
)

// fold makes the value at the end of a path one escaped segment, so that the
// multiplexer neither cuts a URL at its slashes nor cleans its "//" away.
func fold(r *http.Request) *http.Request {
	raw := r.URL.EscapedPath()
	head, value, tail := raw, "", ""
	if rest, ok := strings.CutPrefix(raw, indicatorPrefix); ok {
		head, value = indicatorPrefix, rest
	} else if rest, ok := strings.CutPrefix(raw, legacyPrefix); ok {
		kind, rest, _ := strings.Cut(rest, "/")
		head, value = legacyPrefix+kind+"/", rest
		if cut, ok := strings.CutSuffix(rest, summarySuffix); ok && cut != "" {
			value, tail = cut, summarySuffix
		}
	}
	if value == "" {
		return r
	}
	plain, err := url.PathUnescape(value)
	escaped := escapeSegment(plain)
	if err != nil || escaped == value {
		return r
	}
	headPlain, err := url.PathUnescape(head)
	if err != nil {
		return r
	}
	u := *r.URL
	u.Path, u.RawPath = headPlain+plain+tail, head+escaped+tail
	folded := *r
	folded.URL = &u
	return &folded
}

// escapeSegment escapes s as one path segment that no cleaning changes.
func escapeSegment(s string) string {
	if s == "." || s == ".." {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	return url.PathEscape(s)
}

// clean says whether the multiplexer would take the path as it is; it would
// redirect others to where no route is.
func clean(r *http.Request) bool {
	p := r.URL.EscapedPath()
	c := path.Clean(p)
	return p == c || p == c+"/"
}
