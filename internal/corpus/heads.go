package corpus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// Heads reads the heads of all feeds and opens no segment: it says what there is
// without the cost of opening it. broken says why a feed's head cannot be read.
func Heads(ctx context.Context, store blob.Store) (heads map[string]*Head, broken map[string]error, err error) {
	infos, err := store.List(ctx, headDir)
	if err != nil {
		return nil, nil, fmt.Errorf("list heads: %w", err)
	}
	heads, broken = map[string]*Head{}, map[string]error{}
	for _, info := range infos {
		id, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, headDir), headExt)
		if !ok || strings.Contains(id, "/") {
			continue
		}
		switch h, _, err := readHead(ctx, store, id); {
		case errors.Is(err, blob.ErrNotFound): // it went in between
		case err != nil:
			broken[id] = err
		default:
			heads[id] = h
		}
	}
	return heads, broken, ctx.Err()
}
