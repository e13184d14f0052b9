package awslambda_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/testing/crashtest"
)

const definition = `{"feeds":[{"id":"ID","feed_name":"x","feed_type":"txt","indicator_type":"domain","feed_url":"https://lists.example/x","field_mapping":{}}]}`

// Adding a feed is putting a file into the store; while there is none the built-in
// catalogue serves.
func TestCatalogue_OfTheStore(t *testing.T) {
	ctx, store, temp := t.Context(), crashtest.NewMem(), t.TempDir()
	built := fstest.MapFS{"built.json": {Data: []byte(strings.ReplaceAll(definition, "ID", "built"))}}
	c, err := awslambda.OpenCatalogue(ctx, store, built, temp)
	if err != nil || c.Current().Get("built") == nil {
		t.Fatal(err)
	}
	put := func(key, text string) {
		t.Helper()
		if _, err := blob.Write(ctx, store, key, []byte(text), blob.Cond{}); err != nil {
			t.Fatal(err)
		}
	}
	reload := func(want bool, wantErr string, ids ...string) {
		t.Helper()
		changed, err := c.Reload(ctx)
		if changed != want || (err != nil) != (wantErr != "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("changed %v, %v", changed, err)
		}
		if n := len(c.Current().All()); n != len(ids) {
			t.Errorf("%d feeds, want %v", n, ids)
		}
		for _, id := range ids {
			if c.Current().Get(id) == nil {
				t.Errorf("no feed %s", id)
			}
		}
	}
	reload(false, "", "built")
	put("feeds.d/mine.json", strings.ReplaceAll(definition, "ID", "mine"))
	put("feeds.d/README.txt", "no definition")
	put("feeds.d/samples/a.json", "no definition")
	reload(true, "", "mine")
	reload(false, "", "mine")
	put("feeds.d/broken.json", "{")
	reload(true, "broken.json", "mine")
	reload(false, "broken.json", "mine") // said again: each event of the log tells it
	if err := store.Delete(ctx, "feeds.d/broken.json"); err != nil {
		t.Fatal(err)
	}
	put("feeds.d/mine.json", strings.ReplaceAll(definition, "ID", "other"))
	reload(true, "", "other")
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
