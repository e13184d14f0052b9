package enginetest

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// files are the scripts of the suite.
//
//go:embed testdata/*.txt
var files embed.FS

// Run holds an engine against every script of the suite. An engine with
// background work goes through each a second time, doing all of it after every
// run.
func Run(t *testing.T, open Opener) {
	RunScripts(t, open)
	t.Run("promises", func(t *testing.T) { promises(t, open) })
}

// RunScripts is Run without the promises that hold whatever is asked: that a run is
// seen at once is one, and no index of several shards keeps it.
func RunScripts(t *testing.T, open Opener) {
	names, err := fs.Glob(files, "testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(name, "testdata/"), ".txt"), func(t *testing.T) {
			t.Parallel()
			s := readScript(t, name)
			runScript(t, s, open, nil)
			runScript(t, s, open, []string{"fold", "regroup", "sweep", "reopen"})
		})
	}
}

func readScript(t *testing.T, name string) *Script {
	t.Helper()
	text, err := files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseScript(name, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// runScript goes through a script. each is background work to be done after every run.
func runScript(t *testing.T, s *Script, open Opener, each []string) {
	t.Helper()
	r, err := newRunner(t.Context(), open)
	if err != nil {
		t.Fatal(err)
	}
	if _, keeps := r.engine.(Keeper); !keeps && each != nil {
		return
	}
	r.each = each
	for _, step := range s.Steps {
		lines, err := r.step(step)
		if err != nil {
			t.Fatalf("%s:%d (keeping %v): %s%v", s.Name, step.at+1, each, step, err)
		}
		if got := flat(lines); !slices.Equal(got, step.Want) {
			t.Errorf("%s:%d (keeping %v): %s%v", s.Name, step.at+1, each, step, difference(got, step.Want))
		}
	}
}

// flat gives what is several lines as such.
func flat(lines []string) []string {
	if len(lines) == 0 {
		return nil
	}
	return strings.Split(strings.Join(lines, "\n"), "\n")
}
