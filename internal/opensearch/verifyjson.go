package opensearch

import (
	"strings"
	"time"
)

// removePath takes what is at a path of names out of an object.
func removePath(m map[string]any, path string) {
	name, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		delete(m, name)
		return
	}
	if inner, ok := m[name].(map[string]any); ok {
		removePath(inner, rest)
	}
}

// toMillis writes instants without what is smaller than a millisecond, which the
// index does not tell apart. It changes v.
func toMillis(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k, inner := range x {
			x[k] = toMillis(inner)
		}
	case []any:
		for i, inner := range x {
			x[i] = toMillis(inner)
		}
	case string:
		if t, err := time.Parse(time.RFC3339Nano, x); err == nil {
			return t.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
		}
	}
	return v
}
