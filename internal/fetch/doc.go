// Package fetch downloads what feeds publish and unpacks it.
//
// Everything it talks to is taken to be hostile. A [Client] connects only to
// public addresses (checked on the resolved address at every connect, see
// guard.go), follows few redirects and drops credentials on the way to another
// origin, spools the body to a file under caps on bytes, time and rate, and
// keeps secrets out of every error, log line and URL it shows. [Decode] finds
// out by content how a spooled file is compressed and undoes it under caps on
// bytes and ratio.
package fetch
