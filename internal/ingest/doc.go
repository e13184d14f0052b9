// Package ingest runs feeds. A run is a proposal: fetch, archive the raw bytes,
// parse, guard, merge with what the feed listed before, make that current by
// compare-and-swap, write the ledger row. Until the swap nothing that is served
// has changed, so a run may be killed at any instant.
//
// A store holds four sorts of objects of this package:
//
//	raw/FEED/YYYY/MM/DD/HHMMSS-SHA16.zst  bytes as received, compressed (zstd); where a secret
//	                                       was blackened, the name ends in -SHA256 of what is archived
//	raw/FEED/pruned.json                  before when raw bytes were deleted by age
//	runs/FEED/YYYY-MM-DD.ndjson           the ledger: one intel.Run a line, by the day (UTC) they started
//	state/FEED.json                       a feed.State: derived from the ledger, rewritten after each run
//
// and by corpus unfinished/FEED.json, a run that ran out of time (see handover.go).
//
// The order of writes is: raw, segments, head, ledger row, state. A run is
// acknowledged when its ledger row stands. The head carries that row, so a row
// lost between the two is written later (Repair, and the next run).
package ingest
