// Package crashtest shows that an acknowledged run is never lost: it kills
// processes that ingest (kill -9) at random points, and lets any single
// operation of the store fail. It also holds stores that are wrong on purpose,
// which show that the tests can fail.
package crashtest
