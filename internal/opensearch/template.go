package opensearch

import (
	_ "embed" // of the template
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// MappingVersion is the version of the documents that this program writes. It
// goes up with every change of template.json or of what a document holds; an
// index of another version is made anew from the object store, beside the old one.
const MappingVersion = 1

// Alias is what is read and written where nobody gives another name. The index
// template is called as the alias is.
const Alias = "elasticintel-listings"

// maxAlias is the longest alias, in bytes: a name of the cluster has at most 255,
// and those of indices are longer.
const maxAlias = 200

// CheckAlias says why a name cannot be that of an installation's alias: OpenSearch
// would refuse it, or indices of this alias could be taken for those of another.
func CheckAlias(name string) error {
	const want = "expected lower-case letters, digits, '-', '_' and '.', a letter or digit first, and at most 200 of them"
	if name == "" || len(name) > maxAlias {
		return fmt.Errorf("opensearch: index name %.300q: %s", name, want)
	}
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '-' && c != '_' && c != '.') {
			return fmt.Errorf("opensearch: index name %q: %q is not allowed; %s", name, string(rune(c)), want)
		}
	}
	if looksVersioned(name + "-") {
		return fmt.Errorf("opensearch: index name %q looks like an index of another name; leave out what is like -v1", name)
	}
	return nil
}

// looksVersioned says whether a name has a part like that of an index's version in it.
func looksVersioned(name string) bool {
	for rest, found := name, true; found; {
		if _, rest, found = strings.Cut(rest, "-v"); !found {
			break
		}
		if digits := len(rest) - len(strings.TrimLeft(rest, "0123456789")); digits > 0 && strings.HasPrefix(rest[digits:], "-") {
			return true
		}
	}
	return false
}

// IndexName is the name of the nth index of this version of an alias.
func IndexName(alias string, n int) string { return fmt.Sprintf("%s%06d", versionOf(alias), n) }

// versionOf is how all indices of this version of an alias begin.
func versionOf(alias string) string { return fmt.Sprintf("%s-v%d-", alias, MappingVersion) }

// IndexPattern matches the indices of this version of an alias, and none of another alias.
func IndexPattern(alias string) string { return versionOf(alias) + "*" }

//go:embed template.json
var templateJSON []byte

// Shape is how an index is laid over nodes.
type Shape struct {
	Shards   int // 0 = 1; of an index that is there only Reindex changes it
	Replicas int // 0 is right for a single node only
	// AutoReplicas, in place of Replicas, lets the cluster have one copy more as soon
	// as it has a second node, and none before.
	AutoReplicas bool
}

// replicas are the settings of the copies.
func (s Shape) replicas() clause {
	if s.AutoReplicas {
		return clause{"auto_expand_replicas": "0-1"}
	}
	return clause{"auto_expand_replicas": "false", "number_of_replicas": max(s.Replicas, 0)}
}

// Template returns the index template of an alias, with the settings of s.
func Template(alias string, s Shape) ([]byte, error) {
	var t map[string]any
	if err := json.Unmarshal(templateJSON, &t); err != nil {
		return nil, fmt.Errorf("template.json: %w", err)
	}
	index, ok := dig(t, "template", "settings", "index")
	if !ok {
		return nil, fmt.Errorf("template.json has no template.settings.index")
	}
	t["index_patterns"] = []string{IndexPattern(alias)}
	index["number_of_shards"] = max(s.Shards, 1)
	maps.Copy(index, s.replicas())
	return json.Marshal(t)
}

// dig returns the object at the path of names.
func dig(t map[string]any, names ...string) (map[string]any, bool) {
	for _, name := range names {
		inner, ok := t[name].(map[string]any)
		if !ok {
			return nil, false
		}
		t = inner
	}
	return t, true
}
