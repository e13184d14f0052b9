//go:build race

package corpus_test

// raceEnabled says that the race detector slows everything down.
const raceEnabled = true
