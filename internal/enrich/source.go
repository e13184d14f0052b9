package enrich

import "context"

// Source is one of those who can be asked about subjects: a protocol of the
// registries, a mapping of addresses, a service with a key.
type Source interface {
	// Name is what its findings have as their source.
	Name() string
	// Ask asks about one subject. That there is nothing, or that nobody answered, is a
	// finding too: a negative one. The error is ctx's, where it ended before the answer.
	Ask(ctx context.Context, s Subject) (Finding, error)
}
