package api

import (
	"strings"
	"testing"
	"time"
)

func TestIndicator_relatedAndTimeline(t *testing.T) {
	f := newFixture(t)
	f.engine.Add(ind(t, "192.0.2.9"), info("a"), now.AddDate(0, 0, -4), time.Time{})
	plain := f.get("/api/v1/indicators/192.0.2.7")
	if strings.Contains(plain.body, `"related"`) || strings.Contains(plain.body, `"timeline"`) {
		t.Errorf("not asked for: %s", plain.body)
	}
	for _, off := range []string{"related=0", "timeline=false"} {
		if got := f.get("/api/v1/indicators/192.0.2.7?" + off); got.body != plain.body {
			t.Errorf("%s: %s", off, got.body)
		}
	}
	a := answerOf(t, f.get("/api/v1/indicators/192.0.2.7?related=1&timeline=true").body)
	if r := a.Related; r == nil || r.Networks.Total != 1 || r.Neighbours.Total != 1 || r.Neighbours.Items[0].Canonical != "192.0.2.9" || r.Domains != nil || r.Partial {
		t.Errorf("related: %+v", r)
	}
	if m := a.Timeline; len(m) != 4 || m[0].Feed != "b" || m[0].Type != "listed" || m[2].Type != "de-listed" || m[3].Relation != "network" {
		t.Errorf("timeline: %+v", m)
	}
	bulk := f.post("/api/v1/lookup?related=1", typeText, "192.0.2.7\nnonsense!\nevil.example\n", "Accept", typeNDJSON)
	if n := strings.Count(bulk.body, `"related":{`); n != 2 {
		t.Errorf("bulk: %d with related: %s", n, bulk.body)
	}
	f.want(f.get("/api/v1/indicators/192.0.2.7?related=yes"), 400, "bad_query")
	f.want(f.get("/api/v1/indicators/192.0.2.7?related="), 400, "bad_query")
	f.want(f.get("/api/v1/indicators/192.0.2.7?related=1&fields=summary"), 400, "bad_fields")
	f.want(f.post("/api/v1/lookup?timeline=1", typeText, "192.0.2.7"), 400, "unknown_parameter")
}
