// Package app wires the parts into one program: the HTTP server, the scheduler,
// the loops that watch for new data, and Feeds, which the API and the command
// line share. It knows interfaces; which parts stand behind them is for
// internal/local and its like.
package app
