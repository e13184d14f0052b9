package archtest

import (
	"go/ast"
	"go/token"
	"strings"
)

// checkVars looks at the declarations of package-level variables: an error, a
// table or something compiled is fine; what is empty at first, or made to be
// changed, is state.
func (c *checker) checkVars(f *ast.File, p *pkg) {
	names := imported(f)
	for _, d := range f.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.VAR {
			continue
		}
		for _, s := range gen.Specs {
			spec := s.(*ast.ValueSpec)
			for _, id := range spec.Names {
				p.vars[id.Name] = id.Name != "_"
			}
			if spec.Names[0].Name == "_" || embedded(gen.Doc) || embedded(spec.Doc) {
				continue
			}
			if why := stateful(spec, names); why != "" {
				c.report(spec.Pos(), "the package variable %s is %s: put it into a struct that main makes, or give it its value here and never change it", spec.Names[0].Name, why)
			}
		}
	}
}

func embedded(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, c := range doc.List {
		if strings.HasPrefix(c.Text, "//go:embed ") {
			return true
		}
	}
	return false
}

func stateful(spec *ast.ValueSpec, names map[string]string) string {
	if len(spec.Values) == 0 {
		return "empty at first, so somebody must change it"
	}
	why := ""
	for _, e := range append([]ast.Expr{spec.Type}, spec.Values...) {
		if e == nil {
			continue
		}
		ast.Inspect(e, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit: // what it does inside is its own business
				return false
			case *ast.ChanType:
				why = "a channel, which goroutines share"
			case *ast.SelectorExpr:
				if pkg, name := selected(n, names); shared[pkg] {
					why = "a " + pkg + "." + name + ", which is made to be changed"
				}
			}
			return true
		})
	}
	return why
}

// checkAssignments finds changes of package-level variables in functions.
func (c *checker) checkAssignments(f *ast.File, p *pkg) {
	blame := func(e ast.Expr, what string) {
		if id := root(e); id != nil && p.vars[id.Name] && isPackageLevel(f, id) {
			c.report(e.Pos(), "the package variable %s is %s: put what changes into a struct and pass that along", id.Name, what)
		}
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, e := range n.Lhs {
					if n.Tok != token.DEFINE {
						blame(e, "changed here")
					}
				}
			case *ast.IncDecStmt:
				blame(n.X, "changed here")
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					blame(n.X, "handed out by address here, so that anybody can change it")
				}
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") && id.Obj == nil && len(n.Args) > 0 {
					blame(n.Args[0], "changed here")
				}
			}
			return true
		})
	}
}

// root is the variable whose part an expression like v.a[i] is.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// isPackageLevel says whether an identifier means a variable of the package: the
// parser resolves local names and those of the same file, but not other files'.
func isPackageLevel(f *ast.File, id *ast.Ident) bool {
	return id.Obj == nil || f.Scope.Lookup(id.Name) == id.Obj
}
