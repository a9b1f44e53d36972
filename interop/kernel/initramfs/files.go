package initramfs

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Image is an archive with programs of this machine and what those need.
type Image struct {
	Archive
	libraries []string // folders, in the order in which they are searched
}

// New returns an image with the top folders of this machine: where /bin is a
// link to /usr/bin, it is there too.
func New() (*Image, error) {
	i := &Image{libraries: libraryFolders()}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		target, err := os.Readlink("/" + dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil: // a folder
			err = i.Dir(dir)
		default:
			err = errors.Join(i.Link(dir, target), i.Dir(filepath.Join("/", target)))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return i, nil
}

// Program adds a program of this machine, found in PATH or given by its path,
// its interpreter, and its libraries.
func (i *Image) Program(name string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	return i.Copy(path)
}

// Copy adds a file of this machine at the same place, with what it needs to run
// if it is a program or a library. Links are kept, and followed.
func (i *Image) Copy(path string) error {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return err
	}
	path = filepath.Join(dir, filepath.Base(path))
	if i.Has(path) {
		return nil
	}
	if target, err := os.Readlink(path); err == nil {
		if err := i.Link(path, target); err != nil {
			return err
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(dir, target)
		}
		return i.Copy(target)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := i.File(path, info.Mode(), content); err != nil {
		return err
	}
	needed, err := i.needs(path, content)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, n := range needed {
		if err := i.Copy(n); err != nil {
			return err
		}
	}
	return nil
}

// needs returns the files without which a file does not run: the interpreter of
// a script, the loader and the libraries of a binary.
func (i *Image) needs(path string, content []byte) ([]string, error) {
	if script, ok := strings.CutPrefix(string(content[:min(len(content), 256)]), "#!"); ok {
		line, _, _ := strings.Cut(script, "\n")
		if words := strings.Fields(line); len(words) > 0 && filepath.Base(words[0]) != "env" {
			return words[:1], nil
		}
		return nil, nil
	}
	if !strings.HasPrefix(string(content[:min(len(content), 4)]), elf.ELFMAG) {
		return nil, nil
	}
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []string
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			b := make([]byte, p.Filesz)
			if _, err := p.ReadAt(b, 0); err != nil {
				return nil, err
			}
			all = append(all, strings.TrimRight(string(b), "\x00"))
		}
	}
	names, err := f.ImportedLibraries()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, err
	}
	runPath, _ := f.DynString(elf.DT_RUNPATH)
	for _, n := range names {
		lib, err := i.library(n, f.Machine, runPath)
		if err != nil {
			return nil, err
		}
		all = append(all, lib)
	}
	return all, nil
}

// library finds a library as the loader does, ld.so(8). Those of other
// processors may lie in the same folders.
func (i *Image) library(name string, machine elf.Machine, first []string) (string, error) {
	for _, dir := range slices.Concat(first, i.libraries) {
		path := filepath.Join(dir, name)
		f, err := elf.Open(path)
		if err != nil {
			continue
		}
		f.Close()
		if f.Machine == machine {
			return path, nil
		}
	}
	return "", fmt.Errorf("library %s: %w in %s", name, fs.ErrNotExist, strings.Join(i.libraries, ", "))
}

// libraryFolders returns where the loader looks: what its configuration names,
// then its own.
func libraryFolders() (dirs []string) {
	files, _ := filepath.Glob("/etc/ld.so.conf.d/*.conf")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "/") {
				dirs = append(dirs, line)
			}
		}
	}
	return append(dirs, "/lib64", "/usr/lib64", "/lib", "/usr/lib")
}
