package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// walk is a feed that takes more than one request. A fault is met by the last.
type walk struct {
	keys string // of the definition
	docs func(values []string) map[string]string
	last string // path of the last request
}

// walks are a feed in pages, a list of lists, and a TAXII collection.
func walks() []*publisher {
	two := func(values []string) ([]string, []string) { return values[:4], values[4:] }
	page := func(values []string, next string) string {
		text, _ := json.Marshal(map[string]any{"data": values, "next": next}) // of strings
		return string(text)
	}
	list := []struct {
		id string
		walk
	}{
		{"paged", walk{`"feed_type":"json","indicator_type":"domain","feed_url":"https://paged.test/1","records":"data[]","pages":{"by":"url","path":"next"},
			"field_mapping":{"source":["."],"destination":["indicator"]}`, func(values []string) map[string]string {
			a, b := two(values)
			return map[string]string{"/1": page(a, "https://paged.test/2"), "/2": page(b, "")}
		}, "/2"}},
		{"items", walk{`"feed_type":"txt","indicator_type":"domain","feed_url":"https://items.test/list","items":{"records":"lines","url":"https://items.test/{.}"},
			"field_mapping":{"source":[],"destination":[]}`, func(values []string) map[string]string {
			a, b := two(values)
			return map[string]string{"/list": "one\ntwo\n", "/one": strings.Join(a, "\n"), "/two": strings.Join(b, "\n")}
		}, "/two"}},
		{"taxii", walk{`"feed_type":"taxii","feed_url":"https://taxii.test/api/collections/c1/"`, func(values []string) map[string]string {
			objects := []any{}
			for _, v := range values {
				objects = append(objects, map[string]string{"type": "indicator", "spec_version": "2.1", "id": "indicator--" + v, "pattern": "[domain-name:value = '" + v + "']", "pattern_type": "stix",
					"created": "2026-01-01T00:00:00Z", "modified": "2026-01-01T00:00:00Z"})
			}
			text, _ := json.Marshal(map[string]any{"objects": objects}) // of strings
			return map[string]string{"/api/collections/c1/": `{"id":"c1","title":"x","can_read":true,"can_write":false}`, "/api/collections/c1/objects/": string(text)}
		}, "/api/collections/c1/objects/"}},
	}
	var pubs []*publisher
	for _, l := range list {
		p := &publisher{format: &format{kind: l.id, value: names(l.id)}, id: l.id, server: "walk", path: l.last, walk: &l.walk}
		for j := range listings {
			p.values = append(p.values, p.value(j))
		}
		pubs = append(pubs, p)
	}
	return pubs
}

// serveWalk puts all that the feed's requests get.
func (w *world) serveWalk(p *publisher) {
	for path, body := range p.walk.docs(p.values) {
		w.srv.SetWith(path, []byte(body), p.walk.header())
	}
}

func (l *walk) header() http.Header {
	if strings.Contains(l.keys, "taxii") {
		return http.Header{"Content-Type": {"application/taxii+json;version=2.1"}}
	}
	return http.Header{}
}

// TestWalkFaults: a fault in the last request of a pull is a fault of the whole:
// nothing of what came before it is taken. Half of one list among several is left
// out: no protocol tells it, and the guard on shrinking sees half of all at most.
func TestWalkFaults(t *testing.T) {
	for i, f := range faults() {
		constant := slices.Contains([]string{"200 + HTML", "200 + JSON error", "200 + empty", "200 + binary"}, f.name)
		if f.http == "" && !constant || f.http == feedserver.ShortLength || slices.Equal(f.classes, healthy) || raceEnabled && i%5 != 0 {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			dir, defs := t.TempDir(), t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, walks(), dir, defs, nil)
				w.app.Start()
				w.pull(nil)
				for _, p := range w.pubs {
					if h := w.health(p); h.Status != feed.ClassHealthy || h.Listings != listings {
						t.Fatalf("%s at first: %s %s, %d listings", p.id, h.Status, h.Reason, h.Listings)
					}
				}
				w.ahead.Add(int64(6 * time.Hour))
				f.begin(w)
				w.pull(func() { w.alive("while they are pulled") })
				w.alive("afterwards")
				var said []string
				for _, p := range w.pubs {
					h := w.health(p)
					if f.name == "200 + empty" && p.id == "taxii" { // nothing is new there
						continue
					}
					if !h.Status.Sick() || h.Reason == "" || h.Advice == "" || h.Listings != listings {
						t.Errorf("%s: %s: %q, %d listings", p.id, h.Status, h.Reason, h.Listings)
					}
					said = append(said, fmt.Sprintf("%s %s: %s", p.id, h.Status, h.Reason))
				}
				t.Logf("%s: %s", f.name, strings.Join(said, "\n"))
				w.tidy("after the fault")
				w.ahead.Add(int64(6 * time.Hour))
				f.heal(w)
				w.pull(nil)
				for _, p := range w.pubs {
					if h := w.health(p); h.Status != feed.ClassHealthy || h.Listings != listings+1 {
						t.Errorf("%s healed: %+v", p.id, h)
					}
					w.listed(p, p.values[listings], "healed")
				}
				w.alive("healed")
				w.tidy("healed")
				w.stop()
			})
		})
	}
}
