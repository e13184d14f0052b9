package corpus

// SetLimits sets where searches go one way or the other, for the tests of
// package corpus_test.
func (c *Corpus) SetLimits(verify, facet, candidates int) {
	c.limits = searchLimits{verify: verify, facet: facet, candidates: candidates}
}

// Defer lets directories always wait until they pay, whatever their size.
func (c *Corpus) Defer() { c.deferFrom = -1 }

// Groups is how many groups searches of the view use.
func (v *View) Groups() (n int) {
	for _, u := range v.shelf().units {
		if len(u.members) > 1 {
			n++
		}
	}
	return n
}
