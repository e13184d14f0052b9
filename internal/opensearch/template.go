package opensearch

import (
	_ "embed" // of the template
	"encoding/json"
	"fmt"
)

// MappingVersion is the version of the documents that this program writes. It
// goes up with every change of template.json or of what a document holds; an
// index of another version is made anew from the object store, beside the old one.
const MappingVersion = 1

// Names of what is in a cluster.
const (
	Alias        = "elasticintel-listings" // what is read and written
	TemplateName = "elasticintel-listings"
)

// IndexName is the name of the nth index of this version.
func IndexName(n int) string { return fmt.Sprintf("%s-v%d-%06d", Alias, MappingVersion, n) }

//go:embed template.json
var templateJSON []byte

// Shape is how an index is laid over nodes.
type Shape struct {
	Shards   int // 0 = 1
	Replicas int // 0 is right for a single node only
	// AutoReplicas, in place of Replicas, lets the cluster have one copy more as soon
	// as it has a second node, and none before.
	AutoReplicas bool
}

// Template returns the index template, with the settings of s.
func Template(s Shape) ([]byte, error) {
	var t map[string]any
	if err := json.Unmarshal(templateJSON, &t); err != nil {
		return nil, fmt.Errorf("template.json: %w", err)
	}
	index, ok := dig(t, "template", "settings", "index")
	if !ok {
		return nil, fmt.Errorf("template.json has no template.settings.index")
	}
	index["number_of_shards"], index["number_of_replicas"] = max(s.Shards, 1), max(s.Replicas, 0)
	if s.AutoReplicas {
		index["auto_expand_replicas"] = "0-1"
	}
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
