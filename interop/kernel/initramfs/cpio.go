// Package initramfs makes the file system that a test kernel starts with: an
// archive of files of this machine and of our own making.
//
// What it is not: it is no root for a machine to be used by people. There is no
// shell unless one is added, and no device but those that the kernel makes.
package initramfs

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// The types of files in an archive, and the bits that hold them: stat(2).
const (
	typeMask    = 0o170000
	typeDir     = 0o040000
	typeRegular = 0o100000
	typeLink    = 0o120000
)

// Archive is an archive in the "newc" form that Linux unpacks: for each file a
// header of 110 characters, the name, and the content, both padded to four
// bytes; at the end an entry of a special name. Folders come before what they
// hold. A name below a link to a folder is put where that points. [K] Documentation/driver-api/early-userspace/buffer-format.rst
type Archive struct {
	buf   bytes.Buffer
	inode uint32
	names map[string]uint32 // type and permissions of what is there
	links map[string]string // what links point to
}

// Has reports whether a file was added.
func (a *Archive) Has(name string) bool { return a.names[a.place(name)] != 0 }

// Dir adds a folder, and those above it. One that is there stays as it is.
func (a *Archive) Dir(name string) error {
	name = a.place(name)
	if name == "" {
		return nil
	}
	if mode := a.names[name]; mode != 0 {
		if mode&typeMask != typeDir {
			return fmt.Errorf("%s: it is there and is no folder", name)
		}
		return nil
	}
	return a.add(name, typeDir|0o755, nil)
}

// File adds a file, and the folders above it.
func (a *Archive) File(name string, perm fs.FileMode, content []byte) error {
	return a.add(a.place(name), typeRegular|uint32(perm.Perm()), content)
}

// Link adds a symbolic link, and the folders above it.
func (a *Archive) Link(name, target string) error {
	name = a.place(name)
	if err := a.add(name, typeLink|0o777, []byte(target)); err != nil {
		return err
	}
	if a.links == nil {
		a.links = map[string]string{}
	}
	a.links[name] = target
	return nil
}

// Bytes ends the archive and returns it.
func (a *Archive) Bytes() []byte {
	a.entry("TRAILER!!!", 0, 1, nil)
	return a.buf.Bytes()
}

// Names returns what the archive holds, sorted.
func (a *Archive) Names() []string {
	var all []string
	for n := range a.names {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

// place returns the name by which the archive has a file: without the first
// slash, and with the links above it followed. A loop of links leads nowhere in
// Linux, and here to a name that is taken.
func (a *Archive) place(name string) string {
	name = path.Clean("/" + name)
	for range 40 {
		moved := false
		for i := 1; i < len(name); i++ {
			if name[i] != '/' {
				continue
			}
			dir := name[:i]
			target, ok := a.links[dir[1:]]
			if !ok {
				continue
			}
			if !path.IsAbs(target) {
				target = path.Join(path.Dir(dir), target)
			}
			name, moved = path.Clean(target+name[i:]), true
			break
		}
		if !moved {
			break
		}
	}
	return strings.TrimPrefix(name, "/")
}

func (a *Archive) add(name string, mode uint32, content []byte) error {
	if a.names[name] != 0 || name == "" {
		return fmt.Errorf("%s: %w", name, fs.ErrExist)
	}
	// Linux refuses names of PATH_MAX characters and more.
	if len(name) >= 4096 || uint64(len(content)) > 1<<32-1 {
		return fmt.Errorf("%s: too long for an archive", name)
	}
	if dir := path.Dir(name); dir != "." {
		if err := a.Dir(dir); err != nil {
			return err
		}
	}
	if a.names == nil {
		a.names = map[string]uint32{}
	}
	a.names[name] = mode
	links := uint32(1)
	if mode&typeMask == typeDir {
		links = 2
	}
	a.entry(name, mode, links, content)
	return nil
}

func (a *Archive) entry(name string, mode, links uint32, content []byte) {
	a.inode++
	a.buf.WriteString("070701")
	for _, v := range []uint32{
		a.inode, mode, 0, 0, links, 0, uint32(len(content)),
		0, 0, 0, 0, uint32(len(name) + 1), 0,
	} {
		fmt.Fprintf(&a.buf, "%08X", v)
	}
	a.buf.WriteString(name)
	a.buf.WriteByte(0)
	a.pad()
	a.buf.Write(content)
	a.pad()
}

func (a *Archive) pad() {
	for a.buf.Len()%4 != 0 {
		a.buf.WriteByte(0)
	}
}
