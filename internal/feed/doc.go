// Package feed holds feed definitions, the catalogue they make up, and the pure
// decision which of them are due. It reads no network, no clock and no store.
package feed
