package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// owner is the package that a file belongs to.
type owner struct {
	name string // empty: none
	// dpkg is the path by which dpkg knows the file. It may be another name of
	// it: /lib/x for /usr/lib/x, where one is a link to the other.
	dpkg string
}

// ownerOf asks the package managers of this host.
func ownerOf(path string) owner {
	if o := ownerByName(path); o.name != "" {
		return o
	}
	if short, ok := strings.CutPrefix(path, "/usr"); ok && sameFile(short, path) {
		return ownerByName(short)
	}
	return owner{}
}

// sameFile reports whether two paths lead to the same directory entry.
func sameFile(a, b string) bool {
	one, errA := os.Stat(filepath.Dir(a))
	two, errB := os.Stat(filepath.Dir(b))
	return errA == nil && errB == nil && os.SameFile(one, two)
}

func ownerByName(path string) owner {
	for _, ask := range []struct {
		argv []string
		name func(out string) string
	}{
		// dpkg names packages, and then the path; diversions are lines of their own.
		{[]string{"dpkg", "-S", path}, func(out string) string {
			for _, line := range strings.Split(out, "\n") {
				name, _, ok := strings.Cut(line, ": ")
				if ok && !strings.HasPrefix(line, "diversion by ") {
					return name
				}
			}
			return ""
		}},
		{[]string{"rpm", "-qf", "--queryformat", "%{NAME}", path}, func(out string) string { return out }},
		{[]string{"apk", "info", "-qW", path}, strings.TrimSpace},
		{[]string{"pacman", "-Qqo", path}, strings.TrimSpace},
	} {
		if _, err := exec.LookPath(ask.argv[0]); err != nil {
			continue
		}
		out, err := exec.Command(ask.argv[0], ask.argv[1:]...).Output()
		if name := ask.name(string(out)); err == nil && name != "" {
			o := owner{name: name}
			if ask.argv[0] == "dpkg" {
				o.dpkg = path
			}
			return o
		}
	}
	return owner{}
}

// divert makes dpkg keep a file of a package under another name, and move it
// there.
func divert(path string) error { return dpkgDivert("--add", path) }

// restore ends that, and moves the file back.
func restore(path string) error { return dpkgDivert("--remove", path) }

func dpkgDivert(what, path string) error {
	to := path + movedSuffix
	out, err := exec.Command("dpkg-divert", "--local", "--rename", "--divert", to, what, path).CombinedOutput()
	if err != nil {
		return &commandError{"dpkg-divert " + what + " " + path, strings.TrimSpace(string(out)), err}
	}
	return nil
}

// commandError is a program that failed, with what it said.
type commandError struct {
	command, said string
	err           error
}

func (e *commandError) Error() string {
	if e.said == "" {
		return e.command + ": " + e.err.Error()
	}
	return e.command + ": " + e.said
}

func (e *commandError) Unwrap() error { return e.err }
