package feed

import (
	"slices"
	"strings"
)

// nearest returns the name of known that a person most likely meant by s, or ""
// where none is close: the smallest edit distance, where a name that contains s
// (feed_name for name) counts as one edit away. Ties go to the first in order.
func nearest(s string, known []string) string {
	s = strings.ToLower(s)
	limit := max(3, len(s)/2)
	best, found := limit+1, ""
	for _, k := range slices.Sorted(slices.Values(known)) {
		low := strings.ToLower(k)
		d := distance(s, low)
		if len(s) > 2 && strings.Contains(low, s) {
			d = min(d, 1)
		}
		if d < best && d < len(s) {
			best, found = d, k
		}
	}
	return found
}

// distance is the Levenshtein distance of a and b in runes.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, c := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j, d := range y {
			change := diagonal
			if c != d {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, diagonal+1, row[j]+1)
		}
	}
	return row[len(y)]
}

// didYouMean is the end of a message about an unknown name.
func didYouMean(s string, known []string) string {
	if n := nearest(s, known); n != "" {
		return "; did you mean " + quoted(n) + "?"
	}
	return "; known are " + strings.Join(known, ", ")
}

func quoted(s string) string { return `"` + s + `"` }
