package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const modulePath = "github.com/warrenvpn/warren"

// top is the root of the tree, seen from this package.
const top = "../.."

// systems are those whose imports are checked, since files differ between them.
var systems = []string{"linux", "darwin", "windows", "freebsd", "openbsd"}

// pkg is what `go list` says of one package, its paths shortened to the module.
type pkg struct {
	ImportPath   string
	Name         string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// packages lists the module's packages as one operating system sees them.
func packages(t *testing.T, goos string) map[string]*pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list for %s: %v\n%s", goos, err, stderr.Bytes())
	}
	all := map[string]*pkg{}
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		p := &pkg{}
		if err := dec.Decode(p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[short(p.ImportPath)] = p
	}
}

// short turns an import path of this module into a path inside it.
func short(importPath string) string {
	if importPath == modulePath {
		return "."
	}
	return strings.TrimPrefix(importPath, modulePath+"/")
}

func isOurs(importPath string) bool {
	return importPath == modulePath || strings.HasPrefix(importPath, modulePath+"/")
}

func isStd(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

func TestImportsFollowThePolicy(t *testing.T) {
	p := thePolicy(t)
	for _, goos := range systems {
		t.Run(goos, func(t *testing.T) {
			all := packages(t, goos)
			for _, name := range slices.Sorted(maps.Keys(all)) {
				if p.layerOf(name) == "" {
					t.Errorf("%s is on no layer of policy.txt", name)
					continue
				}
				for _, imp := range all[name].Imports {
					p.checkImport(t, name, imp)
				}
				p.checkReach(t, all, name)
			}
		})
	}
}

func (p *policy) checkImport(t *testing.T, name, imp string) {
	t.Helper()
	switch {
	case isOurs(imp) && matchAny(p.testOnly, short(imp)):
		t.Errorf("%s imports %s, which is for tests alone", name, short(imp))
	case isOurs(imp):
		if !p.mayImport(name, short(imp)) {
			t.Errorf("%s (%s) imports %s (%s)", name, p.layerOf(name), short(imp), p.layerOf(short(imp)))
		}
	case isStd(imp):
		if !p.mayUseStd(name, imp) {
			t.Errorf("%s (%s) imports %s", name, p.layerOf(name), imp)
		}
	default:
		if !p.mayUseModule(name, imp) {
			t.Errorf("%s imports %s, which no line of policy.txt allows", name, imp)
		}
	}
}

func (p *policy) mayUseStd(name, imp string) bool {
	limited := false
	for _, r := range p.std {
		if p.isAny(name, r.left) {
			limited = true
			if matchAny(r.right, imp) {
				return true
			}
		}
	}
	// What `only` names is judged there, file by file.
	named := slices.ContainsFunc(p.only, func(r rule) bool { return matchAny(r.left, imp) })
	return !limited || named
}

func (p *policy) mayUseModule(name, imp string) bool {
	return slices.ContainsFunc(p.external, func(r rule) bool {
		return match(r.left[0]+"/...", imp) && p.isAny(name, r.right)
	})
}

// checkReach checks the rules with !< against everything name imports,
// directly or through others.
func (p *policy) checkReach(t *testing.T, all map[string]*pkg, name string) {
	t.Helper()
	from := map[string]string{} // package reached -> who imports it
	todo := []string{name}
	for len(todo) > 0 {
		n := todo[0]
		todo = todo[1:]
		if all[n] == nil {
			continue
		}
		for _, imp := range all[n].Imports {
			if s := short(imp); isOurs(imp) && from[s] == "" {
				from[s] = n
				todo = append(todo, s)
			}
		}
	}
	for reached, by := range from {
		for _, f := range p.forbidden {
			if p.is(reached, f[0]) && p.is(name, f[1]) {
				t.Errorf("%s reaches %s (through %s), against %q !< %q", name, reached, by, f[0], f[1])
			}
		}
	}
}
