// Package faults lets the publishers of feeds go wrong in every way that is known,
// under a whole server: its API, scheduler, downloads, parsers and data folder,
// over a network of the test's own and in virtual time. Whatever happens, the
// server answers, the last good data stays, its health says what is wrong, and
// the next good download mends it. Its tests are all there is.
package faults
