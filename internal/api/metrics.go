package api

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// How a value came to be looked up, as metrics name it.
const (
	viaSingle = iota
	viaBulk
)

// What was searched, as metrics name it.
const (
	searchPage     = iota // a page of listings
	searchStreamed        // a whole result, or much of it
	searchCount           // totals and facets
)

// meter counts what the API does, in a set of its own.
type meter struct {
	set      *metrics.Set
	inFlight *metrics.Gauge
	bulk     *metrics.Counter
	refused  map[string]*metrics.Counter // by Problem.Code
	lookups  [2][3]*metrics.Counter      // via; found, not_found, unusable
	searches [3][2]*metrics.Counter      // what; complete, partial
	routes   map[*route]*routeMeter      // nil key: what no route took
}

type routeMeter struct {
	took   *metrics.PrometheusHistogram
	status map[int]*metrics.Counter // every status the route may answer with
}

// newMeter makes all counters at once, so that a rate can be computed from zero
// and counting is a map look-up.
func newMeter(version string, routes []*route) *meter {
	m := &meter{set: metrics.NewSet(), refused: map[string]*metrics.Counter{}, routes: map[*route]*routeMeter{}}
	m.inFlight = m.set.NewGauge("ei_http_in_flight", nil)
	m.bulk = m.set.NewCounter("ei_bulk_bytes_total")
	m.set.NewGauge("ei_build_info{version="+strconv.Quote(version)+"}", func() float64 { return 1 })
	for code, reason := range map[string]string{"no_key": "no_key", "bad_key": "bad_key", "role": "role", "wrong_host": "host", "cross_origin": "origin"} {
		m.refused[code] = m.set.NewCounter(fmt.Sprintf("ei_auth_refused_total{reason=%q}", reason))
	}
	for via, name := range []string{viaSingle: "single", viaBulk: "bulk"} {
		for i, result := range []string{"found", "not_found", "unusable"} {
			m.lookups[via][i] = m.set.NewCounter(fmt.Sprintf("ei_lookups_total{via=%q,result=%q}", name, result))
		}
	}
	for what, name := range []string{searchPage: "page", searchStreamed: "stream", searchCount: "count"} {
		for i, result := range []string{"complete", "partial"} {
			m.searches[what][i] = m.set.NewCounter(fmt.Sprintf("ei_searches_total{what=%q,result=%q}", name, result))
		}
	}
	m.routes[nil] = m.newRoute("any", "other", []int{403, 404, 405, 421})
	for _, rt := range routes {
		m.routes[rt] = m.newRoute(rt.method, rt.path, append(rt.statuses(), statusGone))
	}
	return m
}

func (m *meter) newRoute(method, path string, statuses []int) *routeMeter {
	labels := fmt.Sprintf("method=%q,route=%q", method, path)
	rm := &routeMeter{status: map[int]*metrics.Counter{}}
	rm.took = m.set.NewPrometheusHistogramExt("ei_http_request_duration_seconds{"+labels+"}",
		[]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60})
	for _, s := range statuses {
		rm.status[s] = m.set.NewCounter(fmt.Sprintf("ei_http_requests_total{%s,status=\"%d\"}", labels, s))
	}
	return rm
}

// done counts an answered request.
func (m *meter) done(c *call, took time.Duration) {
	rm := m.routes[c.route]
	rm.took.Update(took.Seconds())
	if n := rm.status[c.status]; n != nil {
		n.Inc()
	}
}

// looked counts an answer.
func (m *meter) looked(via int, a *intel.Answer) {
	result := 1
	switch {
	case a.Error != nil:
		result = 2
	case a.Found:
		result = 0
	}
	m.lookups[via][result].Inc()
}

// searched counts a search.
func (m *meter) searched(what int, f *lookup.Found) {
	result := 0
	if f.Partial {
		result = 1
	}
	m.searches[what][result].Inc()
}

func (m *meter) refuse(p Problem) {
	if n := m.refused[p.Code]; n != nil {
		n.Inc()
	}
}

func (m *meter) write(w io.Writer) {
	m.set.WritePrometheus(w)
	metrics.WriteProcessMetrics(w)
}

func writeStats(w io.Writer, st intel.Stats) {
	metrics.WriteGaugeUint64(w, "ei_listings", uint64(st.Listings))
	metrics.WriteGaugeUint64(w, "ei_indicators", uint64(st.Indicators))
	metrics.WriteGaugeUint64(w, "ei_feeds", uint64(st.Feeds))
	metrics.WriteGaugeUint64(w, "ei_segment_bytes", uint64(st.Bytes))
	metrics.WriteGaugeUint64(w, "ei_segments", uint64(st.Segments))
	metrics.WriteGaugeUint64(w, "ei_search_indexes", uint64(st.Indexes))
	m := &st.Memory
	for _, x := range []struct {
		part  string
		bytes int64
	}{{"mapped", m.Mapped}, {"copied", m.Copied}, {"directory", m.Directory}, {"networks", m.Networks}, {"replaced", m.Replaced}} {
		metrics.WriteGaugeUint64(w, fmt.Sprintf("ei_memory_bytes{part=%q}", x.part), uint64(x.bytes))
	}
}
