package dashboards

// The fields that are shown.
const (
	feed      = "ei.feed"
	kind      = "ei.kind"
	value     = "threat.indicator.name"
	changed   = "@timestamp"
	firstSeen = "threat.indicator.first_seen"
	lastSeen  = "threat.indicator.last_seen" // of what the last good run did not have
	intervals = "ei.intervals"
	malware   = "threat.software.name"
	threat    = "ei.whole.threat_type"
	country   = "threat.indicator.geo.country_iso_code"
	trust     = "ei.confidence"
)

// Filters: something is listed at an instant that lies in one of its intervals.

func during(from, to string) map[string]any {
	return map[string]any{"range": map[string]any{intervals: map[string]any{"gte": from, "lte": to}}}
}

func listed() []filter { return []filter{{label: "listed now", query: during("now", "now")}} }

// ended is what ended within the days that are shown without the time picker.
func ended() []filter {
	return []filter{
		{label: "listed now", not: true, query: during("now", "now")},
		{label: "ended within 30 days", query: map[string]any{"range": map[string]any{lastSeen: map[string]any{"gte": "now-30d/d"}}}},
	}
}

// changing is what is new or ended within 7 days.
func changing() []filter {
	since := func(field string) any {
		return map[string]any{"range": map[string]any{field: map[string]any{"gte": "now-7d"}}}
	}
	return []filter{{label: "new or ended within 7 days", query: map[string]any{
		"bool": map[string]any{"should": []any{since(firstSeen), since(lastSeen)}, "minimum_should_match": 1},
	}}}
}

const (
	newThisWeek   = firstSeen + ":[now-7d TO now]"
	endedThisWeek = lastSeen + ":[now-7d TO now] AND NOT " + intervals + ":[now TO now]"
)

// visuals are all visualisations.
func visuals() []visual {
	return append(append(overviewVisuals(), feedVisuals()...), searchVisuals()...)
}

func overviewVisuals() []visual {
	const listings = "Listings"
	bars := func(id, title, field string, size int) visual {
		return visual{id: id, title: title, chart: "horizontal_bar", unit: listings, filters: listed(), aggs: []agg{count(listings), terms("segment", field, title, size)}}
	}
	return []visual{
		{id: "elasticintel-about", title: "About this page", chart: "markdown", text: aboutText},
		{id: "elasticintel-listed", title: "Listed now", note: "One feed's word on one indicator is a listing.", chart: "metric", filters: listed(),
			aggs: []agg{count(listings), metric("cardinality", value, "Indicators (about)"), metric("cardinality", feed, "Feeds")}},
		{id: "elasticintel-new", title: "New in the time picked", chart: "metric", picked: true, aggs: []agg{count("New listings"), metric("cardinality", value, "Indicators (about)")}},
		{id: "elasticintel-new-by-kind", title: "New per day, by kind", chart: "histogram", unit: listings, picked: true,
			aggs: []agg{count(listings), perDay(firstSeen, "Day"), terms("group", kind, "Kind", 12)}},
		{id: "elasticintel-new-by-feed", title: "New per day, by feed", note: "The ten feeds with the most of each day.", chart: "histogram", unit: listings, picked: true,
			aggs: []agg{count(listings), perDay(firstSeen, "Day"), terms("group", feed, "Feed", 10)}},
		{id: "elasticintel-kinds", title: "Listed now, by kind", chart: "pie", filters: listed(), aggs: []agg{count(listings), terms("segment", kind, "Kind", 12)}},
		{id: "elasticintel-threats", title: "Listed now, by threat type", chart: "pie", filters: listed(),
			aggs: []agg{count(listings), terms("segment", threat, "Threat type", 12).with("otherBucket", true)}},
		bars("elasticintel-feeds", "Listed now, by feed", feed, 25),
		bars("elasticintel-malware", "Listed now, by malware family", malware, 20),
		bars("elasticintel-countries", "Listed now, by country that the feed names", country, 20),
		{id: "elasticintel-tags", title: "Tags of what is listed now", chart: "tagcloud", filters: listed(), aggs: []agg{count(listings), terms("segment", "tags", "Tag", 60)}},
		{id: "elasticintel-confidence", title: "Listed now, by confidence", note: "How far the feed is trusted, from 0 to 100, as its definition says.", chart: "histogram",
			unit: listings, filters: listed(), aggs: []agg{count(listings), steps(trust, "Confidence", 10)}},
	}
}

func feedVisuals() []visual {
	const listings = "Listings"
	return []visual{
		{id: "elasticintel-freshness", title: "Feeds, the one that changed longest ago first", chart: "table",
			note: "A feed that stands still changes nothing here, and may be well: `elasticintel feeds status` knows when it was last pulled.",
			aggs: []agg{count("Listings, ended ones too"), metric("max", changed, "Newest change"), metric("max", firstSeen, "Newest listing"),
				metric("min", firstSeen, "Oldest listing"), metric("avg", trust, "Confidence"), terms("bucket", feed, "Feed", 500).with("orderBy", "2").with("order", "asc")}},
		{id: "elasticintel-ended-by-feed", title: "Ended per day, by feed, the last 30 days", note: "By the day on which the feed last had it.", chart: "histogram", unit: listings,
			filters: ended(), aggs: []agg{count(listings), perDay(lastSeen, "Day"), terms("group", feed, "Feed", 10)}},
		{id: "elasticintel-churn", title: "New and ended within 7 days, by feed", chart: "horizontal_bar", unit: listings, filters: changing(),
			aggs: []agg{count(listings), terms("segment", feed, "Feed", 25), named("group", [2]string{"new", newThisWeek}, [2]string{"ended", endedThisWeek})}},
		{id: "elasticintel-shared", title: "Indicators that most feeds list now", chart: "table", filters: listed(),
			note: "An indicator has one listing for each feed that lists it.",
			aggs: []agg{count("Feeds"), terms("bucket", value, "Indicator", 100).with("json", `{"min_doc_count": 2}`)}},
		{id: "elasticintel-kinds-by-feed", title: "Kinds of each feed, listed now", chart: "horizontal_bar", unit: listings, filters: listed(),
			aggs: []agg{count(listings), terms("segment", feed, "Feed", 25), terms("group", kind, "Kind", 12)}},
	}
}

func searchVisuals() []visual {
	return []visual{
		{id: "elasticintel-pick", title: "Pick", chart: "input_control_vis", controls: []control{
			{kind, "Kind"}, {feed, "Feed"}, {"tags", "Tag"}, {malware, "Malware family"}, {threat, "Threat type"}, {country, "Country that the feed names"},
		}},
		{id: "elasticintel-search-help", title: "How to search", chart: "markdown", text: searchText},
		{id: "elasticintel-found", title: "Found, listed now", chart: "metric", filters: listed(), aggs: []agg{count("Listings"), metric("cardinality", value, "Indicators (about)")}},
	}
}

const aboutText = "**What is listed now** is everything that a feed lists at this moment, whatever the time picker says. **What is new** was first seen in the time picked. " +
	"A listing is one feed's word on one indicator. A map by country will come with enrichment; the countries here are those that feeds name themselves."

const searchText = "Pick values on the left, or write in the bar above: `tags: phishing and not ei.kind: url`, `threat.indicator.ip: \"198.51.100.0/24\"`, `ei.host: com.example.*` " +
	"(names below example.com), `ei.confidence >= 80`. Texts are in small letters. `elasticintel search` has the full query language, and gives each answer its score."
