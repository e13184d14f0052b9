//go:build race

package bombs

const raceEnabled = true
