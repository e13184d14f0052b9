package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/elasticintel/elasticintel"

// TestSource reads the source of this module.
func TestSource(t *testing.T) {
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || !strings.HasPrefix(string(mod), "module "+module+"\n") {
		t.Fatalf("%s is not the module: %v", dir, err)
	}
	found, err := Check(os.DirFS(dir), module)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// TestRules breaks each rule, and does what looks similar and is right.
func TestRules(t *testing.T) {
	for name, c := range map[string]struct {
		file, body string
		want       string // "" for nothing
	}{
		"downward import":      {"internal/lookup/a.go", `import _ "M/internal/score"`, ""},
		"upward import":        {"internal/intel/a.go", `import _ "M/internal/feed"`, "internal/intel imports internal/feed, but may import only nothing of ours"},
		"sideways import":      {"internal/lookup/a.go", `import _ "M/internal/corpus"`, "may import only internal/intel, internal/score, internal/query"},
		"root import":          {"internal/api/a.go", `import _ "M"`, "imports the root package"},
		"root allowed":         {"internal/cli/a.go", `import _ "M"`, ""},
		"another module":       {"internal/intel/a.go", `import _ "M2/x"`, ""},
		"in a test":            {"internal/intel/a_test.go", `import _ "M/internal/feed"`, ""},
		"test package":         {"internal/feed/a.go", `import _ "M/internal/testing/feedserver"`, "which is for tests"},
		"unknown package":      {"internal/misc/a.go", ``, "internal/misc is not in the table"},
		"unknown test package": {"internal/testing/misc/a.go", `import _ "M/internal/feed"`, ""},
		"aws":                  {"internal/local/a.go", `import _ "github.com/aws/aws-sdk-go-v2/service/s3"`, "must start and run without AWS"},
		"aws in its place":     {"internal/aws/a.go", `import _ "github.com/aws/aws-sdk-go-v2/service/s3"`, ""},
		"not aws":              {"internal/local/a.go", `import _ "github.com/awsome/x"`, ""},
		"exec":                 {"internal/feed/a.go", `import _ "os/exec"`, "command line"},
		"slog":                 {"internal/feed/a.go", `import _ "log/slog"`, ""},
		"log":                  {"internal/feed/a.go", `import _ "log"`, "*slog.Logger"},
		"init":                 {"internal/feed/a.go", `func init() {}`, "func init runs before main"},
		"init in a test":       {"internal/feed/a_test.go", `func init() {}`, "func init"},
		"init in test package": {"internal/testing/x/a.go", `func init() {}`, "func init"},
		"method init":          {"internal/feed/a.go", `type t int; func (t) init() {}`, ""},
		"http.Get":             {"internal/feed/a.go", `import "net/http"; func f() { http.Get("") }`, "internal/feed uses http.Get"},
		"renamed":              {"internal/feed/a.go", `import h "net/http"; var c = h.DefaultClient`, "uses http.DefaultClient"},
		"a client":             {"internal/cli/a.go", `import "net/http"; func f() { _ = &http.Client{} }`, "go through internal/fetch"},
		"handler":              {"internal/api/a.go", `import "net/http"; func f() http.Handler { return http.NotFoundHandler() }`, ""},
		"fetch":                {"internal/fetch/a.go", `import "net/http"; func f() { _ = &http.Transport{} }`, ""},
		"dial":                 {"internal/enrich/a.go", `import "net"; func f() { net.Dial("", "") }`, "uses net.Dial"},
		"a variable http":      {"internal/feed/a.go", `type s struct{ Get func() }; func f(http s) { http.Get() }`, ""},
		"background":           {"internal/ingest/a.go", `import "context"; var _ = context.Background()`, "take a context"},
		"background in main":   {"cmd/elasticintel/a.go", `import "context"; func f() { context.Background() }`, ""},
		"background in a test": {"internal/ingest/a_test.go", `import "context"; var _ = context.Background()`, ""},
		"now called":           {"internal/score/a.go", `import "time"; func f() { time.Now() }`, "calls time.Now"},
		"now passed":           {"internal/score/a.go", `import "time"; func f() any { return time.Now }`, ""},
		"print":                {"internal/score/a.go", `import "fmt"; func f() { fmt.Println() }`, "io.Writer"},
		"exit":                 {"internal/score/a.go", `import "os"; func f() { os.Exit(1) }`, "only main ends"},
		"panic":                {"internal/score/a.go", `func f() { panic("x") }`, "f panics"},
		"must":                 {"internal/score/a.go", `func MustF() { panic("x") }; func mustG() { panic("x") }`, ""},
		"panic again":          {"internal/score/a.go", `func f() { if p := recover(); p != nil { panic(p) } }`, ""},
		"sentinel":             {"internal/score/a.go", `import "errors"; var ErrX = errors.New("x")`, ""},
		"table":                {"internal/score/a.go", `var t = map[string]int{"a": 1}; func f() int { x := t["a"]; x++; return x }`, ""},
		"assigned":             {"internal/score/a.go", `var n = 1; func f() { n = 2 }`, "n is changed here"},
		"counted":              {"internal/score/a.go", `var n = 1; func f() { n++ }`, "n is changed here"},
		"entry assigned":       {"internal/score/a.go", `var t = map[string][]int{}; func f() { t["a"][0] = 1 }`, "t is changed here"},
		"field assigned":       {"internal/score/a.go", `var t = struct{ a int }{}; func f() { t.a += 1 }`, "t is changed here"},
		"deleted":              {"internal/score/a.go", `var t = map[string]int{}; func f() { delete(t, "a") }`, "t is changed here"},
		"address":              {"internal/score/a.go", `var n = 1; func f() *int { return &n }`, "handed out by address"},
		"shadowed":             {"internal/score/a.go", `var n = 1; func f(n int) { n++; { n := 3; n = 4 } }`, ""},
		"empty":                {"internal/score/a.go", `var n int`, "empty at first"},
		"mutex":                {"internal/score/a.go", `import "sync"; var m = sync.Mutex{}`, "sync.Mutex"},
		"atomic":               {"internal/score/a.go", `import "sync/atomic"; var m = &atomic.Int64{}`, "atomic.Int64"},
		"channel":              {"internal/score/a.go", `var c = make(chan int)`, "a channel"},
		"embedded":             {"internal/api/a.go", "//go:embed x\nvar x []byte", ""},
		"assertion":            {"internal/score/a.go", `var _ error = (*e)(nil); type e struct{ error }`, ""},
		"local var":            {"internal/score/a.go", `func f() { var n int; n = 1; _ = n }`, ""},
		"testdata":             {"internal/score/testdata/a.go", `func init() {}`, ""},
		"nested module":        {"bench/a.go", `func init() {}`, ""},
		"other system":         {"internal/score/a_windows.go", `var n int`, "empty at first"},
	} {
		src := strings.ReplaceAll("package x\n"+c.body+"\n", `"M`, `"`+module)
		found, err := Check(fstest.MapFS{c.file: {Data: []byte(src)}, "bench/go.mod": {}}, module)
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want == "" && len(found) > 0:
			t.Errorf("%s: %q, want nothing", name, found)
		case c.want != "" && (len(found) != 1 || !strings.Contains(found[0], c.want) || !strings.HasPrefix(found[0], c.file+":")):
			t.Errorf("%s: %q, want one with %q", name, found, c.want)
		}
	}
}

// TestAcrossFiles: a variable of another file is the package's too.
func TestAcrossFiles(t *testing.T) {
	found, err := Check(fstest.MapFS{
		"internal/score/a.go": {Data: []byte("package x\nvar n = 1\n")},
		"internal/score/b.go": {Data: []byte("package x\nfunc f() { n = 2 }\nfunc g() { m := 1; m = 2; _ = m }\n")},
	}, module)
	if err != nil || len(found) != 1 || !strings.HasPrefix(found[0], "internal/score/b.go:2: ") {
		t.Errorf("%q, %v", found, err)
	}
	if _, err := Check(fstest.MapFS{"a.go": {Data: []byte("package")}}, module); err == nil {
		t.Error("a file that is no Go: no error")
	}
}

// TestTable: the table itself has no cycle and names only packages it knows.
func TestTable(t *testing.T) {
	state := map[string]int{}
	var visit func(string)
	visit = func(p string) {
		if state[p] == 1 {
			t.Errorf("%s may import itself in a circle", p)
		}
		if state[p] != 0 {
			return
		}
		state[p] = 1
		for _, q := range allowed[p] {
			if _, ok := allowed[q]; !ok {
				t.Errorf("%s may import %s, which is not in the table", p, q)
			}
			visit(q)
		}
		state[p] = 2
	}
	for p := range allowed {
		visit(p)
	}
}
