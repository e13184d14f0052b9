package dashboards

import "fmt"

// search is a saved search: a table of listings.
type search struct {
	id, title, note string
	picked          bool
	filters         []filter
	columns         []string // fields of the _source
	sort            string   // by this field, latest first
}

func searches() []search {
	columns := []string{value, kind, feed, threat, "ei.whole.malware", "ei.whole.tag", trust, firstSeen} // not the aliases of ECS, which no _source has
	return []search{
		{id: "elasticintel-table-new", title: "Listings: new in the time picked", picked: true, columns: columns[:7], sort: firstSeen},
		{id: "elasticintel-table-now", title: "Listings: listed now, latest change first", filters: listed(), columns: append([]string{changed}, columns...), sort: changed,
			note: "A row opens to all that the feed says, its context too."},
		{id: "elasticintel-table-ended", title: "Listings: ended within 30 days", filters: ended(), columns: append([]string{lastSeen}, columns...), sort: lastSeen},
	}
}

func (s search) object() (object, error) {
	o := newObject("search", s.id, map[string]any{
		"title": s.title, "description": s.note, "hits": 0, "version": 1, "columns": s.columns, "sort": [][]string{{s.sort, "desc"}},
	})
	pattern := allPattern
	if s.picked {
		pattern = newPattern
	}
	return o, o.refer(pattern, s.filters)
}

// board is a dashboard.
type board struct {
	id, title, note string
	panels          []panel
}

// panel is a place on the grid of 48 columns, filled from the left and from above.
type panel struct {
	id     string
	saved  string // type of the object; visualization where empty
	width  int
	height int
}

func boards() []board {
	return []board{
		{id: "elasticintel-overview", title: "ElasticIntel: overview", note: "What is listed, what is new, and what feeds say of it.", panels: []panel{
			{id: "elasticintel-about", width: 48, height: 4},
			{id: "elasticintel-listed", width: 28, height: 7},
			{id: "elasticintel-new", width: 20, height: 7},
			{id: "elasticintel-new-by-kind", width: 24, height: 14},
			{id: "elasticintel-new-by-feed", width: 24, height: 14},
			{id: "elasticintel-kinds", width: 16, height: 14},
			{id: "elasticintel-threats", width: 16, height: 14},
			{id: "elasticintel-confidence", width: 16, height: 14},
			{id: "elasticintel-feeds", width: 24, height: 18},
			{id: "elasticintel-malware", width: 24, height: 18},
			{id: "elasticintel-tags", width: 24, height: 16},
			{id: "elasticintel-countries", width: 24, height: 16},
		}},
		{id: "elasticintel-feeds", title: "ElasticIntel: feeds", note: "How feeds change, and how far they say the same.", panels: []panel{
			{id: "elasticintel-freshness", width: 48, height: 18},
			{id: "elasticintel-new-by-feed", width: 24, height: 14},
			{id: "elasticintel-ended-by-feed", width: 24, height: 14},
			{id: "elasticintel-churn", width: 24, height: 18},
			{id: "elasticintel-kinds-by-feed", width: 24, height: 18},
			{id: "elasticintel-listed", width: 24, height: 7},
			{id: "elasticintel-new", width: 24, height: 7},
			{id: "elasticintel-shared", width: 48, height: 18},
		}},
		{id: "elasticintel-search", title: "ElasticIntel: search", note: "Listings, picked by what feeds say of them.", panels: []panel{
			{id: "elasticintel-pick", width: 12, height: 22},
			{id: "elasticintel-search-help", width: 24, height: 6},
			{id: "elasticintel-found", width: 12, height: 6},
			{id: "elasticintel-table-now", saved: "search", width: 36, height: 16},
			{id: "elasticintel-table-new", saved: "search", width: 24, height: 16},
			{id: "elasticintel-table-ended", saved: "search", width: 24, height: 16},
		}},
	}
}

// gridWidth is that of every dashboard.
const gridWidth = 48

func (b board) object() (object, error) {
	a := map[string]any{
		"title": b.title, "description": b.note, "hits": 0, "version": 1, "timeRestore": true, "timeFrom": "now-30d", "timeTo": "now",
		"refreshInterval": map[string]any{"pause": true, "value": 0},
	}
	o := newObject("dashboard", b.id, a)
	free := make([]int, gridWidth) // how far down each column is filled
	var panels []any
	for i, p := range b.panels {
		x, y, ok := place(free, p.width)
		if !ok {
			return o, fmt.Errorf("panel %s is wider than the grid", p.id)
		}
		for c := x; c < x+p.width; c++ {
			free[c] = y + p.height
		}
		name, saved := fmt.Sprintf("panel_%d", i), p.saved
		if saved == "" {
			saved = "visualization"
		}
		o.References = append(o.References, reference{name, saved, p.id})
		panels = append(panels, map[string]any{
			"version": "2.19.0", "panelIndex": fmt.Sprint(i + 1), "panelRefName": name, "embeddableConfig": map[string]any{},
			"gridData": map[string]any{"x": x, "y": y, "w": p.width, "h": p.height, "i": fmt.Sprint(i + 1)},
		})
	}
	if err := setJSON(a, "panelsJSON", panels); err != nil {
		return o, err
	}
	if err := setJSON(a, "optionsJSON", map[string]any{"hidePanelTitles": false, "useMargins": true}); err != nil {
		return o, err
	}
	return o, o.referNothing()
}

// place finds where a panel lies highest, and then most to the left.
func place(free []int, width int) (x, y int, ok bool) {
	for c := 0; c+width <= len(free); c++ {
		top := 0
		for _, f := range free[c : c+width] {
			top = max(top, f)
		}
		if !ok || top < y {
			x, y, ok = c, top, true
		}
	}
	return x, y, ok
}
