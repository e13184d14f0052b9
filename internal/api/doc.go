// Package api is the HTTP face: look-ups single and bulk, feeds and their runs,
// statistics, health and metrics under /api/v1, and the search routes of the
// 2018 system at the root. One table, routes, says for every route who may call
// it, which parameters it takes and how it may answer; the multiplexer, the
// tests of who may do what, and the comparison with the OpenAPI document are
// all made from it.
//
// # Who may call
//
// Until the first key exists, clients on the same machine may do everything and
// nobody else anything. From then on every route but /healthz and /readyz wants
// Authorization: Bearer ei_…, whose role must reach the route's. A GET never
// changes state.
//
// # Values in a path
//
// The value of /api/v1/indicators/{value} and of /iocs/search/{type}/{value} is
// everything behind the prefix, percent-decoded once. Slashes and colons may
// stand as they are or escaped; ?, # and % of a value must be escaped (%3F, %23,
// %25), because they mean something else in the path of a request.
//
// /iocs/search/{type}/{value}/summary asks for the short form. A URL that itself
// ends in /summary is asked for with that slash escaped (%2Fsummary): only a
// plain /summary at the end of the path is the suffix.
//
// # Searches
//
// /api/v1/search answers with a page, made in at most Limits.Search and then
// partial, or streams: a limit of 0 (everything) or above 1,000 is sent as it is
// found, however long it takes, as long as the client reads. A listing is
// a line with Accept: application/x-ndjson, a record with text/csv; there the
// totals and the next cursor are headers (X-Total, X-Total-Is, X-Partial,
// X-Next-Cursor), or trailers where the answer was streamed.
//
// # Metrics
//
// GET /metrics, Prometheus text exposition:
//
//	ei_build_info{version}                                     1
//	ei_http_requests_total{method,route,status}                requests answered
//	ei_http_request_duration_seconds{method,route}             histogram, until the last byte was handed to the kernel
//	ei_http_in_flight                                          requests being answered
//	ei_auth_refused_total{reason}                              no_key, bad_key, role, host, origin
//	ei_lookups_total{via,result}                               values looked up: via single or bulk; found, not_found or unusable
//	ei_searches_total{what,result}                             searches: page, stream or count; complete or partial
//	ei_bulk_bytes_total                                        bytes of bulk request bodies
//	ei_listings, ei_indicators, ei_feeds, ei_segment_bytes     what the engine holds
//	go_*, process_*                                            the process
//
// and whatever Config.Metrics writes (the feeds' own, and those of an engine that
// follows the object store).
package api
