package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// source is one Go file of the module, parsed.
type source struct {
	name    string // inside the module, with slashes
	pkg     string
	test    bool
	e2e     bool // built with the e2e tag alone
	fset    *token.FileSet
	file    *ast.File
	imports map[string]string // name used in the file -> import path
}

func (s *source) at(n ast.Node) string {
	return s.name + ":" + strconv.Itoa(s.fset.Position(n.Pos()).Line)
}

var buildE2E = regexp.MustCompile(`^//go:build .*\be2e\b`)

// sources parses every Go file of the main module, whatever its build tags.
func sources(t *testing.T) []*source {
	t.Helper()
	var all []*source
	for _, name := range treeFiles(t) {
		if !strings.HasSuffix(name, ".go") || inOtherModule(t, name) {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, filepath.Join(top, name), nil, parser.ParseComments)
		if err != nil {
			t.Error(err)
			continue
		}
		s := &source{
			name: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
			fset: fset, file: file, imports: map[string]string{},
		}
		for _, imp := range file.Imports {
			p, _ := strconv.Unquote(imp.Path.Value)
			local := path.Base(p)
			if regexp.MustCompile(`^v[0-9]+$`).MatchString(local) {
				local = path.Base(path.Dir(p))
			}
			if imp.Name != nil {
				local = imp.Name.Name
			}
			s.imports[local] = p
		}
		for _, c := range file.Comments {
			if c.Pos() < file.Package && buildE2E.MatchString(c.List[0].Text) {
				s.e2e = true
			}
		}
		all = append(all, s)
	}
	return all
}

// treeFiles lists the files of the tree, without version control, binaries and
// hidden folders other than .ci.
func treeFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(top, p)
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			hidden := strings.HasPrefix(d.Name(), ".") && rel != "." && rel != ".ci"
			if hidden || rel == "bin" || rel == "dist" {
				return filepath.SkipDir
			}
			return nil
		}
		if rel != ".git" { // a file in a linked work tree
			files = append(files, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var nestedModules []string

// inOtherModule reports whether a file belongs to a module nested in ours.
func inOtherModule(t *testing.T, name string) bool {
	if nestedModules == nil {
		nestedModules = []string{}
		for _, f := range treeFiles(t) {
			if path.Base(f) == "go.mod" && f != "go.mod" {
				nestedModules = append(nestedModules, path.Dir(f)+"/")
			}
		}
	}
	return strings.Contains(name, "testdata/") ||
		slices.ContainsFunc(nestedModules, func(m string) bool { return strings.HasPrefix(name, m) })
}

func TestImportsOfDangerousPackages(t *testing.T) {
	p := thePolicy(t)
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, imp := range s.imports {
			for _, r := range p.only {
				if matchAny(r.left, imp) && !p.isAny(s.pkg, r.right) && !slices.Contains(r.right, s.name) && !s.onlyErrno(imp) {
					t.Errorf("%s imports %s, which policy.txt leaves to %s", s.name, imp, strings.Join(r.right, " "))
				}
			}
		}
	}
}

// onlyErrno reports whether all a file takes from package syscall are error
// numbers, which every platform has and which harm nobody.
func (s *source) onlyErrno(imp string) bool {
	if imp != "syscall" {
		return false
	}
	harmless := regexp.MustCompile(`^(Errno|E[A-Z0-9]+)$`)
	ok := true
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, is := n.(*ast.SelectorExpr); is && s.packageOf(sel) == imp && !harmless.MatchString(sel.Sel.Name) {
			ok = false
		}
		return true
	})
	return ok
}

// packageOf returns the import path when sel is a name of another package.
func (s *source) packageOf(sel *ast.SelectorExpr) string {
	if id, ok := sel.X.(*ast.Ident); ok && id.Obj == nil {
		return s.imports[id.Name]
	}
	return ""
}

func TestPureLayersCallNoClockAndNoRandomness(t *testing.T) {
	p := thePolicy(t)
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			imp := s.packageOf(sel)
			for _, r := range p.calls {
				if imp == "" || !p.isAny(s.pkg, r.left) {
					continue
				}
				if matchAny(r.right, imp+"."+sel.Sel.Name) {
					t.Errorf("%s uses %s.%s", s.at(sel), imp, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestPureLayersAreSequential(t *testing.T) {
	p := thePolicy(t)
	for _, s := range sources(t) {
		if s.test || !p.isAny(s.pkg, p.sequential) || slices.Contains(p.exempt, s.name) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", s.at(n))
			case *ast.ChanType, *ast.SendStmt, *ast.SelectStmt:
				t.Errorf("%s uses a channel", s.at(n))
			case *ast.SelectorExpr:
				if s.packageOf(n) == "sync" {
					t.Errorf("%s uses sync.%s", s.at(n), n.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestAtMostOneMutexPerExemptFile keeps the locking chapter of
// docs/architecture.md one sentence.
func TestAtMostOneMutexPerExemptFile(t *testing.T) {
	p := thePolicy(t)
	for _, s := range sources(t) {
		if !slices.Contains(p.exempt, s.name) {
			continue
		}
		mutexes := 0
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && s.packageOf(sel) == "sync" {
				mutexes++
			}
			return true
		})
		if mutexes > 1 {
			t.Errorf("%s names %d sync types, want at most one mutex", s.name, mutexes)
		}
	}
}

// TestTestsHideNothing: a test that cannot run here has a build tag and a make
// target, never a skip; and no test waits by sleeping.
func TestTestsHideNothing(t *testing.T) {
	for _, s := range sources(t) {
		if !s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			id, _ := sel.X.(*ast.Ident)
			name := sel.Sel.Name
			if id != nil && slices.Contains([]string{"t", "b", "f", "tb"}, id.Name) &&
				slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, name) {
				t.Errorf("%s skips", s.at(call))
			}
			if s.packageOf(sel) == "time" && name == "Sleep" && !s.e2e && s.imports["synctest"] == "" {
				t.Errorf("%s sleeps", s.at(call))
			}
			return true
		})
	}
}
