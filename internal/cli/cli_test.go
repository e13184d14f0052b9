package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// TestMain makes this test binary the command elasticintel, for the scripts and
// for the tests that start it as a process.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"elasticintel": func() { os.Exit(Main()) }})
}

// TestScripts runs testdata/*.txtar. Each script has a publisher of its own at
// $FEED and these commands besides testscript's:
//
//	publish PATH FILE   serve FILE at PATH from now on
//	fault PATH NAME     answer PATH with a fault (see feedserver)
//	heal PATH           end it
//	down, up            stop and start the publisher
//	expand FILE…        replace $FEED in files
//	damage FOLDER       change one byte of a file below it
//	exits CODE CMD…     run a command that must end with this code
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			s := feedserver.New()
			if err := s.Listen("127.0.0.1:0"); err != nil {
				return err
			}
			env.Defer(s.Close)
			env.Values["feed"] = s
			env.Setenv("FEED", "http://"+s.Addr())
			env.Setenv("EI_DATA", "data")
			env.Setenv("EI_ENRICH", "off") // no registry is asked by tests
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"publish": func(ts *testscript.TestScript, _ bool, a []string) { publisher(ts).SetString(a[0], ts.ReadFile(a[1])) },
			"fault": func(ts *testscript.TestScript, _ bool, a []string) {
				publisher(ts).Fail(a[0], feedserver.Fault(a[1]), 0)
			},
			"heal":   func(ts *testscript.TestScript, _ bool, a []string) { publisher(ts).Heal(a[0]) },
			"down":   func(ts *testscript.TestScript, _ bool, _ []string) { publisher(ts).Down() },
			"up":     func(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(publisher(ts).Up()) },
			"expand": expand,
			"damage": damage,
			"exits":  exits,
		},
	})
}

func publisher(ts *testscript.TestScript) *feedserver.Server {
	return ts.Value("feed").(*feedserver.Server)
}

func expand(ts *testscript.TestScript, _ bool, files []string) {
	for _, f := range files {
		text := strings.ReplaceAll(ts.ReadFile(f), "$FEED", ts.Getenv("FEED"))
		ts.Check(os.WriteFile(ts.MkAbs(f), []byte(text), 0o600))
	}
}

func damage(ts *testscript.TestScript, _ bool, a []string) {
	done := false
	ts.Check(filepath.WalkDir(ts.MkAbs(a[0]), func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || done {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil || len(b) == 0 {
			return err
		}
		done = true
		b[len(b)/3] ^= 0x40
		return os.WriteFile(p, b, 0o600)
	}))
	if !done {
		ts.Fatalf("damage: no file below %s", a[0])
	}
}

// exits runs a command and checks its exit code, which `exec` cannot.
func exits(ts *testscript.TestScript, _ bool, a []string) {
	want, args := a[0], a[1:]
	err := ts.Exec(args[0], args[1:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != want {
		ts.Fatalf("%s ended with %s, want %s", strings.Join(args, " "), got, want)
	}
}

// TestHelp_EveryCommandHasExamples holds for each command that can be run, and
// for the flags: each says what it does.
func TestHelp_EveryCommandHasExamples(t *testing.T) {
	p := &program{cfg: config.Default()}
	var walk func(c *cobra.Command)
	n := 0
	walk = func(c *cobra.Command) {
		n++
		if c.Short == "" || c.Example == "" && c.Name() != "help" {
			t.Errorf("%s: no help or no example", c.CommandPath())
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s: no help", c.CommandPath(), f.Name)
			}
		})
		for line := range strings.SplitSeq(c.Example, "\n") {
			if line != "" && !strings.Contains(line, "elasticintel") {
				t.Errorf("%s: example %q", c.CommandPath(), line)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(p.root())
	if n < 25 {
		t.Errorf("%d commands", n)
	}
}
