// Package local is the set of parts for one machine: the data folder with its
// lock, the secrets beside it, the feed catalogue that is watched while the
// server runs, and copies of the folder.
package local
