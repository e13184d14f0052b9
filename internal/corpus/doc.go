// Package corpus is the embedded engine: what every feed lists and has listed,
// in immutable segment files, and the tables in memory that find it.
//
// A store holds three sorts of objects of this package:
//
//	store.json             format version and the secret hash seed, written once
//	heads/FEED.json        what is current for a feed; replaced by compare-and-swap
//	segments/FEED/NAME.seg the listings of a feed; written once, never changed
//
// A feed is cut into shards by its records' hashes, one while it is small. A
// shard is a stack of segments, in which a record replaces that of the same
// indicator below: history (closed listings that are old), a base, and a delta of
// what changed since.
//
// A feed's run calls Merge, which compares what the feed says now with its
// current segments and writes what changed, and Commit, which makes that
// current. Fold brings in the background what deltas add up to into a new base;
// Purge deletes old history.
//
// A Corpus follows the heads (Refresh) and answers from a View, an immutable
// snapshot of all feeds that is swapped atomically: look-ups by a hash table over
// all segments (directory.go; in each segment until that is made: hashindex.go),
// searches by the text indexes that segments carry
// (plan.go and eval*.go say what matches, walk.go puts it in order). Regroup
// merges the indexes of small segments into groups/NAME.grp, so that a search asks
// few. Everything but those three sorts of objects is derived.
package corpus
