// Package intel is the domain: kinds of indicators, their canonical form,
// listings, runs and answers. It imports nothing of this module and does no I/O.
//
//   - value.go      Parse and Detect: from what somebody wrote to an Indicator; the rules of every kind
//   - clean, refang what is undone first; addr, domain, url, urlhost, email, hash: one kind each
//   - urlplain.go   and plainAddress, plainDomain: short cuts for what is canonical already
//   - reserved.go   what can be no threat
//   - question.go   Ask: everything to look for about one indicator
//   - answer, run   what feeds and look-ups say; json.go writes them
package intel
