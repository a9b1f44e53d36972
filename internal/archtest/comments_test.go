package archtest

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

func TestEveryPackageHasAComment(t *testing.T) {
	has := map[string]bool{}
	for _, s := range sources(t) {
		if !s.test {
			has[s.pkg] = has[s.pkg] || s.file.Doc != nil
		}
	}
	for pkg, ok := range has {
		if !ok {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.file.Name.Name == "main" {
			continue
		}
		for _, e := range exported(s) {
			if !e.documented {
				t.Errorf("%s: %s has no comment", s.at(e.node), e.name)
			}
		}
	}
}

// export is one exported name.
type export struct {
	name       string
	documented bool
	node       ast.Node
}

func exported(s *source) []export {
	var all []export
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && receiverExported(d) {
				all = append(all, export{d.Name.Name, d.Doc != nil, d})
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				all = append(all, exportedSpec(d, spec)...)
			}
		}
	}
	return all
}

func exportedSpec(d *ast.GenDecl, spec ast.Spec) []export {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() {
			return []export{{spec.Name.Name, spec.Doc != nil || d.Doc != nil, spec}}
		}
	case *ast.ValueSpec:
		for _, n := range spec.Names {
			if n.IsExported() && (d.Tok == token.CONST || d.Tok == token.VAR) {
				return []export{{n.Name, spec.Doc != nil || spec.Comment != nil || d.Doc != nil, spec}}
			}
		}
	}
	return nil
}

func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	name := d.Recv.List[0].Type
	if star, ok := name.(*ast.StarExpr); ok {
		name = star.X
	}
	switch n := name.(type) {
	case *ast.IndexExpr:
		name = n.X
	case *ast.IndexListExpr:
		name = n.X
	}
	id, ok := name.(*ast.Ident)
	return ok && id.IsExported()
}

// TestCommentsBeginWithTheName holds exported types and functions to the form
// that go doc expects.
func TestCommentsBeginWithTheName(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.file.Name.Name == "main" {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Doc == nil || !f.Name.IsExported() || !receiverExported(f) {
				continue
			}
			text := strings.TrimPrefix(f.Doc.Text(), "Deprecated: ")
			if first, _, _ := strings.Cut(text, " "); strings.Trim(first, ",.:\n") != f.Name.Name {
				t.Errorf("%s: the comment of %s begins with %q", s.at(f), f.Name.Name, first)
			}
		}
	}
}
