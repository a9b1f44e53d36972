package initramfs

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ModuleDir is where Modules puts modules, and Order how they are to be loaded.
const (
	ModuleDir   = "/lib/modules"
	ModuleOrder = ModuleDir + "/order"
)

// Modules adds modules from a folder and those they depend on, and the order in
// which they load: a line for each with the name and, below it, what comes
// before. Without depmod there is no modules.dep; a module itself says what it
// needs. A name without a file is taken to be part of the kernel, unless another
// module needs it: only modules are needed in this sense.
//
// It returns the names of those that were added, dependencies first.
func (i *Image) Modules(folder string, names ...string) ([]string, error) {
	g := graph{files: map[string]string{}, needs: map[string][]string{}}
	files, err := filepath.Glob(filepath.Join(folder, "*.ko"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		g.files[moduleName(strings.TrimSuffix(filepath.Base(f), ".ko"))] = f
	}
	for _, n := range names {
		// What was asked for by name may be part of the kernel.
		if g.files[n] == "" {
			continue
		}
		if err := g.visit(n); err != nil {
			return nil, err
		}
	}
	var lines strings.Builder
	for _, n := range g.order {
		content, err := os.ReadFile(g.files[n])
		if err != nil {
			return nil, err
		}
		if err := i.File(filepath.Join(ModuleDir, n+".ko"), 0o644, content); err != nil {
			return nil, err
		}
		fmt.Fprintln(&lines, strings.Join(append([]string{n}, g.needs[n]...), " "))
	}
	return g.order, i.File(ModuleOrder, 0o644, []byte(lines.String()))
}

// graph is which module needs which.
type graph struct {
	files map[string]string // by name
	needs map[string][]string
	order []string // dependencies first
}

// moduleName returns what a module is called, whose file's name may have - where
// that has _.
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

func (g *graph) visit(name string) error {
	if _, seen := g.needs[name]; seen {
		return nil
	}
	g.needs[name] = nil
	if g.files[name] == "" {
		return fmt.Errorf("module %s: %w", name, fs.ErrNotExist)
	}
	f, err := elf.Open(g.files[name])
	if err != nil {
		return fmt.Errorf("module %s: %w", name, err)
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		return fmt.Errorf("module %s: there is no .modinfo in %s", name, g.files[name])
	}
	info, err := section.Data()
	if err != nil {
		return fmt.Errorf("module %s: %w", name, err)
	}
	for _, n := range depends(info) {
		if err := g.visit(n); err != nil {
			return err
		}
		g.needs[name] = append(g.needs[name], n)
	}
	g.order = append(g.order, name)
	return nil
}

// depends returns what a module's information says that it needs: strings that
// end with a zero, one of them "depends=a,b".
func depends(info []byte) (names []string) {
	for _, field := range bytes.Split(info, []byte{0}) {
		value, ok := strings.CutPrefix(string(field), "depends=")
		if !ok {
			continue
		}
		for _, n := range strings.Split(value, ",") {
			if n = strings.TrimSpace(n); n != "" {
				names = append(names, moduleName(n))
			}
		}
	}
	return names
}
