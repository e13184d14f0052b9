//go:build !race

package opensearch_test

// raceEnabled says that the race detector slows everything down.
const raceEnabled = false
