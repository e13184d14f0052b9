package awslambda

import (
	"context"
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// OneFeed is a store in which a corpus finds the head of one feed only, so that
// opening it costs what that feed costs. Everything else is as in the store.
func OneFeed(s blob.Store, feed string) blob.Store { return oneFeed{s, headsPrefix + feed + ".json"} }

// headsPrefix is where the heads lie, see corpus.
const headsPrefix = "heads/"

type oneFeed struct {
	blob.Store
	head string
}

// List implements blob.Store.
func (s oneFeed) List(ctx context.Context, prefix string) ([]blob.Info, error) {
	all, err := s.Store.List(ctx, prefix)
	return slices.DeleteFunc(all, func(i blob.Info) bool { return strings.HasPrefix(i.Key, headsPrefix) && i.Key != s.head }), err
}

// Map implements blob.Mapper, as the store does.
func (s oneFeed) Map(ctx context.Context, key string) ([]byte, func(), error) {
	return blob.Open(ctx, s.Store, key)
}

// Forget implements blob.Forgetter, where the store does.
func (s oneFeed) Forget(key string) bool {
	f, ok := s.Store.(blob.Forgetter)
	return ok && f.Forget(key)
}
