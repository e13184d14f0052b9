package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Check reads the module in fsys, whose path is module, and returns what breaks
// a rule, one sentence each: where, what, and what to do. Modules inside it and
// folders named testdata are left out.
func Check(fsys fs.FS, module string) ([]string, error) {
	c := &checker{module: module, fset: token.NewFileSet(), packages: map[string]*pkg{}}
	err := fs.WalkDir(fsys, ".", func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return skipFolder(fsys, p)
		case strings.HasSuffix(p, ".go"):
			return c.add(fsys, p)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, dir := range slices.Sorted(maps.Keys(c.packages)) {
		c.checkPackage(dir, c.packages[dir])
	}
	return c.found, nil
}

func skipFolder(fsys fs.FS, p string) error {
	if p == "." {
		return nil
	}
	base := path.Base(p)
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(fsys, p+"/go.mod"); err == nil {
		return fs.SkipDir
	}
	return nil
}

type checker struct {
	module   string
	fset     *token.FileSet
	packages map[string]*pkg
	found    []string
}

// pkg is the files of a folder.
type pkg struct {
	files, tests []*ast.File
	vars         map[string]bool // at package level
}

func (c *checker) add(fsys fs.FS, p string) error {
	src, err := fs.ReadFile(fsys, p)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(c.fset, p, src, parser.ParseComments)
	if err != nil {
		return err
	}
	dir := path.Dir(p)
	if c.packages[dir] == nil {
		c.packages[dir] = &pkg{vars: map[string]bool{}}
	}
	if strings.HasSuffix(p, "_test.go") {
		c.packages[dir].tests = append(c.packages[dir].tests, f)
	} else {
		c.packages[dir].files = append(c.packages[dir].files, f)
	}
	return nil
}

func (c *checker) report(at token.Pos, format string, args ...any) {
	pos := c.fset.Position(at)
	c.found = append(c.found, fmt.Sprintf("%s:%d: ", pos.Filename, pos.Line)+fmt.Sprintf(format, args...))
}

func (c *checker) checkPackage(dir string, p *pkg) {
	test := dir == testFolder || strings.HasPrefix(dir, testFolder+"/")
	if _, known := allowed[dir]; !known && !test && len(p.files) > 0 {
		c.report(p.files[0].Package, "the package %s is not in the table: add it to allowed in %s/archtest/rules.go with what it may import, as low in the layers as it goes", dir, testFolder)
	}
	for _, f := range slices.Concat(p.files, p.tests) {
		c.checkInit(f)
	}
	if test {
		return
	}
	for _, f := range p.files {
		c.checkImports(dir, f)
		c.checkUses(dir, f)
		c.checkVars(f, p)
	}
	for _, f := range p.files {
		c.checkAssignments(f, p)
		c.checkPanics(f)
	}
}

// checkInit allows no code that runs before main.
func (c *checker) checkInit(f *ast.File) {
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "init" && fn.Recv == nil {
			c.report(fn.Pos(), "func init runs before main and in every test: make it a function that somebody calls, or an explicit table")
		}
	}
}

func (c *checker) checkImports(dir string, f *ast.File) {
	for _, spec := range f.Imports {
		p := importPath(spec)
		ours, inModule := strings.CutPrefix(p+"/", c.module+"/")
		if ours = path.Clean(ours); inModule && !slices.Contains(allowed[dir], ours) {
			c.wrongImport(spec, dir, ours)
		}
		for _, o := range only {
			if (p == o.path || strings.HasSuffix(o.path, "/") && strings.HasPrefix(p, o.path)) && !slices.Contains(o.by, dir) {
				c.report(spec.Pos(), "%s imports %s: %s", dir, p, o.why)
			}
		}
	}
}

func (c *checker) wrongImport(spec *ast.ImportSpec, dir, ours string) {
	if strings.HasPrefix(ours, testFolder+"/") {
		c.report(spec.Pos(), "%s imports %s, which is for tests: move the use into a _test.go file", dir, ours)
		return
	}
	may := strings.Join(allowed[dir], ", ")
	if may == "" {
		may = "nothing of ours"
	}
	if ours == "." {
		ours = "the root package"
	}
	c.report(spec.Pos(), "%s imports %s, but may import only %s: declare a small interface here and let a package above pass the value in, or move the code down", dir, ours, may)
}

func importPath(spec *ast.ImportSpec) string {
	p, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
	return p
}

// imported maps the names of a file's imports to their paths.
func imported(f *ast.File) map[string]string {
	names := map[string]string{}
	for _, spec := range f.Imports {
		p := importPath(spec)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = p
	}
	return names
}

// selected is the import path and the name of a selector like http.Get, or "".
func selected(n ast.Node, names map[string]string) (pkg, name string) {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok || x.Obj != nil { // a local variable of that name
		return "", ""
	}
	return names[x.Name], sel.Sel.Name
}

func (c *checker) checkUses(dir string, f *ast.File) {
	names := imported(f)
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			pkg, name := selected(call.Fun, names)
			for _, u := range calls {
				if pkg == u.pkg && name == u.name && !slices.Contains(u.by, dir) {
					c.report(n.Pos(), "%s calls %s.%s: %s", dir, path.Base(pkg), name, u.why)
				}
			}
		}
		pkg, name := selected(n, names)
		for _, u := range uses {
			if pkg != "" && pkg == u.pkg && slices.Contains(u.names, name) && !slices.Contains(u.by, dir) {
				c.report(n.Pos(), "%s uses %s.%s: %s", dir, path.Base(pkg), name, u.why)
			}
		}
		return true
	})
}

// checkPanics allows panics in functions that are called Must…, and handing one
// on: a recovered value, or net/http's ErrAbortHandler.
func (c *checker) checkPanics(f *ast.File) {
	names := imported(f)
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || strings.HasPrefix(strings.ToLower(fn.Name.Name), "must") {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			_, variable := call.Args[0].(*ast.Ident)
			_, name := selected(call.Args[0], names)
			if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "panic" && id.Obj == nil && !variable && name != "ErrAbortHandler" {
				c.report(call.Pos(), "%s panics: return an error; only a function called Must… may panic", fn.Name.Name)
			}
			return true
		})
	}
}
