//go:build cgo && sqlite_fts5

package main

import (
	_ "github.com/mattn/go-sqlite3" // SQLite as its authors build it, measured beside us
)

// newMattnPeer is SQLite through a C compiler.
func newMattnPeer() (peer, error) { return newSQLitePeer("sqlite3", "") }
