//go:build race

package parse

// raceEnabled says that the race detector slows everything down.
const raceEnabled = true
