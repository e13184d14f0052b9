// Package near finds the name that a person most likely meant: for the spelling
// suggestions of settings, commands and search fields.
package near

// Name returns the name most like s, or "" where none is near enough to be
// what was meant: at most a third of the letters differ.
func Name(s string, names []string) string {
	best, dist := "", max(1, len(s)/3)+1
	for _, n := range names {
		if d := distance(s, n); d < dist {
			best, dist = n, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
