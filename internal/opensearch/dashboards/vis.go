package dashboards

import "fmt"

// visual is a visualisation.
type visual struct {
	id, title, note string
	chart           string // Dashboards' name of the type
	unit            string // what is counted, on the axis
	picked          bool   // by the time picker; else over all listings
	filters         []filter
	aggs            []agg // metrics, then buckets from the outermost in
	text            string
	controls        []control
}

// control is a list in which a reader picks values.
type control struct{ field, label string }

// agg is an aggregation as Dashboards saves it.
type agg struct {
	ID      string         `json:"id"`
	Enabled bool           `json:"enabled"`
	Type    string         `json:"type"`
	Schema  string         `json:"schema"`
	Params  map[string]any `json:"params"`
}

func (v visual) object() (object, error) {
	params := v.params()
	for i := range v.aggs {
		v.aggs[i].ID, v.aggs[i].Enabled = fmt.Sprint(i+1), true
	}
	if v.aggs == nil {
		v.aggs = []agg{}
	}
	a := map[string]any{"title": v.title, "description": v.note, "uiStateJSON": "{}", "version": 1}
	o := newObject("visualization", v.id, a)
	pattern := allPattern
	if v.picked {
		pattern = newPattern
	}
	for i := range v.controls {
		o.References = append(o.References, reference{controlRef(i), "index-pattern", pattern})
	}
	if err := setJSON(a, "visState", map[string]any{"title": v.title, "type": v.chart, "aggs": v.aggs, "params": params}); err != nil {
		return o, err
	}
	if v.text != "" || v.controls != nil { // they ask nothing
		return o, o.referNothing()
	}
	return o, o.refer(pattern, v.filters)
}

func controlRef(i int) string { return fmt.Sprintf("control_%d_index_pattern", i) }

// referNothing is for objects that have no question of their own.
func (o *object) referNothing() error {
	inner := map[string]any{}
	err := setJSON(inner, "searchSourceJSON", map[string]any{"query": map[string]any{"query": "", "language": "kuery"}, "filter": []any{}})
	o.Attributes["kibanaSavedObjectMeta"] = inner
	return err
}

// params are the settings of the chart.
func (v visual) params() map[string]any {
	p := map[string]any{"addTooltip": true, "addLegend": true, "legendPosition": "right", "type": v.chart}
	switch v.chart {
	case "histogram", "horizontal_bar":
		v.axes(p)
	case "pie":
		p["isDonut"] = true
		p["labels"] = map[string]any{"show": true, "values": true, "last_level": true, "truncate": 100}
	case "metric":
		p["addLegend"] = false
		p["metric"] = map[string]any{
			"percentageMode": false, "useRanges": false, "colorSchema": "Green to Red", "metricColorMode": "None", "invertColors": false,
			"colorsRange": []any{map[string]any{"from": 0, "to": 10000}}, "labels": map[string]any{"show": true},
			"style": map[string]any{"bgFill": "#000", "bgColor": false, "labelColor": false, "subText": "", "fontSize": 48},
		}
	case "table":
		return map[string]any{"perPage": 15, "showPartialRows": false, "showMetricsAtAllLevels": false, "showTotal": false, "totalFunc": "sum", "percentageCol": ""}
	case "tagcloud":
		return map[string]any{"scale": "log", "orientation": "single", "minFontSize": 14, "maxFontSize": 48, "showLabel": false}
	case "markdown":
		return map[string]any{"fontSize": 12, "openLinksInNewTab": true, "markdown": v.text}
	case "input_control_vis":
		return v.controlParams()
	}
	return p
}

// axes are those of bars: what is counted, and by what.
func (v visual) axes(p map[string]any) {
	category, value := "bottom", "left"
	if v.chart == "horizontal_bar" {
		category, value = "left", "bottom"
	}
	p["type"] = "histogram"
	p["grid"] = map[string]any{"categoryLines": false}
	p["categoryAxes"] = []any{map[string]any{
		"id": "CategoryAxis-1", "type": "category", "position": category, "show": true, "style": map[string]any{}, "title": map[string]any{},
		"scale": map[string]any{"type": "linear"}, "labels": map[string]any{"show": true, "rotate": 0, "filter": category == "bottom", "truncate": 200},
	}}
	p["valueAxes"] = []any{map[string]any{
		"id": "ValueAxis-1", "name": "LeftAxis-1", "type": "value", "position": value, "show": true, "style": map[string]any{}, "title": map[string]any{"text": v.unit},
		"scale": map[string]any{"type": "linear", "mode": "normal"}, "labels": map[string]any{"show": true, "rotate": 0, "filter": true, "truncate": 100},
	}}
	p["seriesParams"] = []any{map[string]any{
		"show": true, "type": "histogram", "mode": "stacked", "valueAxis": "ValueAxis-1", "drawLinesBetweenPoints": true, "showCircles": true,
		"data": map[string]any{"label": v.unit, "id": "1"},
	}}
	p["times"], p["addTimeMarker"], p["labels"] = []any{}, false, map[string]any{"show": false}
	p["thresholdLine"] = map[string]any{"show": false, "value": 10, "width": 1, "style": "full", "color": "#E7664C"}
}

func (v visual) controlParams() map[string]any {
	var list []any
	for i, c := range v.controls {
		list = append(list, map[string]any{
			"id": fmt.Sprint("control", i), "indexPatternRefName": controlRef(i), "fieldName": c.field, "parent": "", "label": c.label, "type": "list",
			"options": map[string]any{"type": "terms", "multiselect": true, "dynamicOptions": true, "size": 50, "order": "desc"},
		})
	}
	return map[string]any{"controls": list, "updateFiltersOnChange": true, "useTimeFilter": false, "pinFilters": false}
}

// Metrics.

func count(label string) agg {
	return agg{Type: "count", Schema: "metric", Params: map[string]any{"customLabel": label}}
}

// metric is cardinality, max, min or avg of a field.
func metric(kind, field, label string) agg {
	return agg{Type: kind, Schema: "metric", Params: map[string]any{"field": field, "customLabel": label}}
}

// Buckets. The schema is the part of the chart that they make: segment (along the
// axis), group (stacked), bucket (rows of a table).

// terms are the values of a field with the most listings.
func terms(schema, field, label string, size int) agg {
	return agg{Type: "terms", Schema: schema, Params: map[string]any{
		"field": field, "customLabel": label, "size": size, "orderBy": "1", "order": "desc",
		"otherBucket": false, "otherBucketLabel": "others", "missingBucket": false, "missingBucketLabel": "none",
	}}
}

// with sets one more parameter.
func (a agg) with(name string, value any) agg {
	a.Params[name] = value
	return a
}

// perDay counts days, in the time zone of the reader.
func perDay(field, label string) agg {
	return agg{Type: "date_histogram", Schema: "segment", Params: map[string]any{
		"field": field, "customLabel": label, "interval": "d", "useNormalizedOpenSearchInterval": true, "scaleMetricValues": false,
		"drop_partials": false, "min_doc_count": 1, "extended_bounds": map[string]any{},
	}}
}

// steps counts numbers in steps.
func steps(field, label string, step int) agg {
	return agg{Type: "histogram", Schema: "segment", Params: map[string]any{
		"field": field, "customLabel": label, "interval": step, "min_doc_count": false, "has_extended_bounds": false, "extended_bounds": map[string]any{},
	}}
}

// named counts what each query finds; they are in the syntax of Lucene.
func named(schema string, queries ...[2]string) agg {
	var list []any
	for _, q := range queries {
		list = append(list, map[string]any{"label": q[0], "input": map[string]any{"query": q[1], "language": "lucene"}})
	}
	return agg{Type: "filters", Schema: schema, Params: map[string]any{"filters": list}}
}
