// Package intel is the domain: kinds of indicators, their canonical form,
// listings, runs and answers. It imports nothing of this module.
package intel
