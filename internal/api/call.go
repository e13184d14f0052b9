package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/lookup"
)

// call is one request on its way: the writer that handlers write to, and what is
// found out about the request before they do.
type call struct {
	http.ResponseWriter
	r      *http.Request
	route  *route // nil until it is known
	kind   string // {type} of the path, where the route has one
	value  string // {value} of the path
	id     string
	start  time.Time
	who    string     // "local" or "key ID"
	query  url.Values // nil where there is none
	accept string     // the media type to answer with
	status int        // 0 until the answer has begun
	values [4]string  // of the headers below
}

// Headers that nearly every answer has. Their values live in the call, which
// saves an allocation for each.
const (
	headerID = iota
	headerType
	headerLength
	headerTag
)

// set sets one of them under its canonical name.
func (c *call) set(which int, name, value string) {
	c.values[which] = value
	c.Header()[name] = c.values[which : which+1 : which+1]
}

// WriteHeader remembers the status.
func (c *call) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write begins the answer with 200 where nothing began it before.
func (c *call) Write(b []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	return c.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (c *call) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// parseQuery reads the query and refuses what the route does not know. A URL
// whose ? was not escaped ends here instead of being looked up cut in half.
func (c *call) parseQuery() error {
	raw := c.r.URL.RawQuery
	if raw == "" {
		return nil
	}
	q, err := url.ParseQuery(raw)
	if err != nil {
		return &fault{is: errRequest, code: "bad_query", detail: "the query string cannot be read: " + err.Error()}
	}
	for name, values := range q {
		if !slices.Contains(c.route.query, name) {
			return &fault{is: errRequest, code: "unknown_parameter", detail: c.unknown(name)}
		}
		if len(values) > 1 {
			return &fault{is: errRequest, code: "bad_query", detail: "parameter " + name + " is given twice"}
		}
	}
	c.query = q
	return nil
}

func (c *call) unknown(name string) string {
	s := fmt.Sprintf("unknown parameter %.40q", name)
	if known := c.route.query; len(known) > 0 {
		s += ", known here: " + strings.Join(known, ", ")
	}
	if strings.HasSuffix(c.route.path, "{value}") || c.route.path == legacyTextPath {
		s += "; a ? that belongs to the value must be written %3F"
	}
	return s
}

// options reads as_of, fields, related and timeline.
func (c *call) options(now time.Time) (lookup.Options, error) {
	var o lookup.Options
	if c.query.Has("as_of") { // an empty one is a script's unset variable, not "now"
		at, err := lookup.ParseAsOf(c.query.Get("as_of"), now)
		if err != nil {
			return o, &fault{is: errRequest, code: "bad_as_of", detail: err.Error()}
		}
		o.AsOf = at
	}
	switch f := c.query.Get("fields"); {
	case !c.query.Has("fields"), f == "full":
	case f == "summary":
		o.Summary = true
	default:
		return o, &fault{is: errRequest, code: "bad_fields", detail: fmt.Sprintf("fields=%.40q is neither full nor summary", f)}
	}
	for name, to := range map[string]*bool{"related": &o.Related, "timeline": &o.Timeline} {
		if err := c.yes(name, to); err != nil {
			return o, err
		}
		if *to && o.Summary {
			return o, &fault{is: errRequest, code: "bad_fields", detail: "a summary has no room for " + name + ": leave fields=summary out"}
		}
	}
	return o, nil
}

// yes reads a parameter that is 1 or 0.
func (c *call) yes(name string, to *bool) error {
	switch v := c.query.Get(name); {
	case !c.query.Has(name), v == "0", v == "false":
	case v == "1", v == "true":
		*to = true
	default:
		return &fault{is: errRequest, code: "bad_query", detail: fmt.Sprintf("%s=%.40q is neither 1 nor 0", name, v)}
	}
	return nil
}

// limit reads limit: a number of rows, 0 for all of them.
func (c *call) limit(def int) (int, error) {
	if !c.query.Has("limit") {
		return def, nil
	}
	s := c.query.Get("limit")
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, &fault{is: errRequest, code: "bad_limit", detail: fmt.Sprintf("limit=%.40q is not a number of rows (0 = all)", s)}
	}
	return n, nil
}

// negotiate picks the media type of the answer by the Accept header.
func (c *call) negotiate() error {
	accept := c.r.Header["Accept"]
	if len(accept) == 0 || len(accept) == 1 && (accept[0] == "*/*" || accept[0] == "") {
		c.accept = c.route.types[0]
		return nil
	}
	best := 0.0
	for _, offer := range c.route.types {
		if q := quality(accept, offer); q > best {
			best, c.accept = q, offer
		}
	}
	if best == 0 {
		return &fault{is: errAccept, detail: "this can be had as " + strings.Join(c.route.types, " or ")}
	}
	return nil
}

// quality is how much the Accept header wants a media type, 0 to 1 (RFC 9110,
// 12.5.1): the most specific range that covers it decides.
func quality(accept []string, offer string) float64 {
	major, _, _ := strings.Cut(offer, "/")
	q, specific := 0.0, 0
	for _, line := range accept {
		for item := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(item, ";")
			rank := 0
			switch strings.ToLower(strings.TrimSpace(name)) {
			case offer:
				rank = 3
			case major + "/*":
				rank = 2
			case "*/*":
				rank = 1
			}
			if rank > specific {
				specific, q = rank, weight(params)
			}
		}
	}
	return q
}

// weight finds q among a media range's parameters; 1 where there is none.
func weight(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		if name, v, ok := strings.Cut(strings.TrimSpace(p), "="); ok && strings.EqualFold(name, "q") {
			if q, err := strconv.ParseFloat(v, 64); err == nil && q >= 0 && q <= 1 {
				return q
			}
			return 0
		}
	}
	return 1
}
