// Package enginetest decides whether an engine is right. It has a naive engine
// (Model), which keeps every listing in a map and looks at all of them; a suite of
// scripts (testdata/*.txt) of what feeds list and of what is asked, with what has
// to be answered; and a generator of such scripts, which goes on asking until an
// engine and the Model disagree, and then makes the script short.
//
// A second engine is tested by
//
//	func TestConformance(t *testing.T) { enginetest.Run(t, open) }
//	func TestModel(t *testing.T)       { enginetest.RunRandom(t, open, enginetest.Config{}) }
//
// Two engines that hold the same are held against each other by
//
//	func TestRealFeeds(t *testing.T) { enginetest.RunReal(t, openPair, enginetest.RealConfig{Feeds: feeds}) }
//
// on the lists of real feeds (RealFeeds), which live through some days, with
// questions of every kind made of what they list; the first difference is made
// small. What RunRandom is to the rules, this is to the data.
//
// A script is read from top to bottom. Words with blanks, quotes or a # in them
// are written as Go strings; lines that begin with # are comments.
//
//	now 2026-03-01T08:00:00Z
//	feed ID name="Its name" provider=… presence=rolling ttl=48h ttl.url=0s tags=a tags=b …
//	run ID [at=TIME]
//	  VALUE [original="what the feed wrote"] [FIELD=VALUE …]
//	keep fold
//	purge ID before=TIME
//	find VALUE
//	  as_of TIME
//	search QUERY
//	  as_of TIME | sort -value | limit 3 | pages | facets tag kind | facet_limit 2 | full | facts
//	follow 10
//	stats
//	compare aside=ID
//	= a line of the answer
//
// A run, keep or purge may have fault=7:after, which makes the seventh operation
// of the store fail (before, after or dead: see crashtest.Mode), and heal=reopen.
//
// follow reads all changes since the last follow, so many at a time, and holds the
// list that they make against what is listed.
//
// The feed line holds for the runs behind it; a run is at the time of the last
// now line unless it says otherwise.
package enginetest
