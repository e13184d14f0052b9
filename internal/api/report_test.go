package api

import (
	"encoding/json"
	"testing"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/feed"
)

func TestReport(t *testing.T) {
	f := newFixture(t)
	a := f.get("/api/v1/feeds/report")
	var all []feed.Report
	if err := json.Unmarshal([]byte(a.body), &all); err != nil || a.status != 200 || len(all) != 2 {
		t.Fatalf("%v %+v", err, a)
	}
	good := all[1]
	if good.ID != "good" || good.UniqueShare != 0.25 || good.Overlaps != 2 || len(good.Overlap) != 2 || good.LastRead.RejectedShare != 0.25 {
		t.Errorf("%+v", good)
	}
	if o := good.Overlap[0]; o.Feed != "other" || o.Role != "allow" || o.Share != 0.75 || o.TheirShare != 0.5 {
		t.Errorf("the largest overlap comes first: %+v", o)
	}
	if b := f.get("/api/v1/feeds/report", "If-None-Match", a.header.Get("ETag")); b.status != 304 {
		t.Errorf("not cached: %+v", b)
	}
	if b := f.get("/api/v1/feeds/good/report?limit=1"); b.status != 200 {
		t.Errorf("%+v", b)
	} else {
		var one feed.Report
		if err := json.Unmarshal([]byte(b.body), &one); err != nil || len(one.Overlap) != 1 || one.Overlaps != 2 {
			t.Errorf("limit=1: %v %+v", err, one)
		}
	}
	f.want(f.get("/api/v1/feeds/busy/report"), 200, "")
	f.want(f.get("/api/v1/feeds/none/report"), 404, "unknown_feed")
	f.want(f.get("/api/v1/feeds/report?limit=-1"), 400, "bad_limit")
	f.want(f.get("/api/v1/feeds/report?x=1"), 400, "")
	f.feeds.noReport = true
	f.want(f.get("/api/v1/feeds/report"), 501, "no_report")
	f.want(f.get("/api/v1/feeds/good/report"), 501, "no_report")

	key, _ := f.key(auth.Reader)
	f.want(f.get("/api/v1/feeds/report"), 401, "no_key")
	f.feeds.noReport = false
	f.want(f.get("/api/v1/feeds/report", "Authorization", key), 200, "")
}
