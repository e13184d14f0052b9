// Package soak runs a server's day in a short time: every feed every hour, with
// changes as feeds have them, while readers ask at full speed. What must be flat
// is measured every hour. Its test is all there is.
package soak
