package enginetest

import (
	"flag"
	"os"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what the Model answers into the scripts of testdata, to be read before it is committed")

func openModel(now func() time.Time) (Loader, error) { return NewModel(now), nil }

// TestModelConforms: the naive engine gives what the scripts say.
func TestModelConforms(t *testing.T) {
	if *update {
		updateScripts(t)
	}
	Run(t, openModel)
}

func updateScripts(t *testing.T) {
	names, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range names {
		path := "testdata/" + f.Name()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParseScript(path, string(text))
		if err != nil {
			t.Fatal(err)
		}
		r, err := newRunner(t.Context(), openModel)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range s.Steps {
			lines, err := r.step(step)
			if err != nil {
				t.Fatal(err)
			}
			step.Want = flat(lines)
		}
		if err := os.WriteFile(path, []byte(s.Updated()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Skip("written: read the difference, then run the tests again")
}
