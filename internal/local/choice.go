package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// choiceKey is the object that says which engine was chosen for a data folder.
const choiceKey = "settings/engine.json"

// Choice is which engine finds the listings of a data folder where no setting
// says otherwise. The password is a secret, and not in it.
type Choice struct {
	Engine string   `json:"engine"` // embedded or opensearch; "" = nothing was chosen
	URLs   []string `json:"urls,omitempty"`
	Auth   string   `json:"auth,omitempty"`
	User   string   `json:"user,omitempty"`
	CA     string   `json:"ca,omitempty"` // PEM
	Index  string   `json:"index,omitempty"`

	etag string // of the object it was read from
}

// Same says whether both choose the same.
func (c Choice) Same(o Choice) bool {
	a, err1 := json.Marshal(c)
	b, err2 := json.Marshal(o)
	return err1 == nil && err2 == nil && bytes.Equal(a, b)
}

// ReadChoice returns what was chosen; the zero Choice where nothing was.
func ReadChoice(ctx context.Context, store blob.Store) (c Choice, err error) {
	data, info, err := blob.Read(ctx, store, choiceKey)
	if errors.Is(err, blob.ErrNotFound) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("%s: %w; `elasticintel migrate` writes it anew", choiceKey, err)
	}
	c.etag = info.ETag
	return c, nil
}

// WriteChoice writes next where before, as it was read, still stands; else
// blob.ErrConflict.
func WriteChoice(ctx context.Context, store blob.Store, before, next Choice) error {
	data, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return err
	}
	_, err = blob.Write(ctx, store, choiceKey, append(data, '\n'), blob.Cond{IfMatch: before.etag, IfAbsent: before.etag == ""})
	return err
}
