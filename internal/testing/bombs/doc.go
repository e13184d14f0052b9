// Package bombs throws hostile input at the way every download takes: unpacking
// and parsing. Each bomb runs in a process of its own, whose memory is measured;
// what it lists must be bounded, and what is refused must say why. Its test is all
// there is.
package bombs
