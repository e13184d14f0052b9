// Package cli is the command line: one file per command, and the few things
// they share (exit codes, output formats, talk on stderr). Data goes to stdout
// and talk to stderr, always.
package cli
