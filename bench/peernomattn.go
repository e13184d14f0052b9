//go:build !cgo || !sqlite_fts5

package main

import "errors"

// newMattnPeer says why there is none.
func newMattnPeer() (peer, error) {
	return nil, errors.New("built without a C compiler (CGO_ENABLED=1 go run -tags sqlite_fts5 has it)")
}
