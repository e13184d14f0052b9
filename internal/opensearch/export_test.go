package opensearch

// Tell sets how many values of a facet each of several shards tells at most.
func (e *Engine) Tell(n int) { e.told = n }
