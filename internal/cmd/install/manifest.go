package install

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/warrenvpn/warren/internal/cli"
)

// manifest is what was installed below one prefix.
type manifest struct {
	Version  string  `json:"version"`
	Compat   bool    `json:"compat"`
	Complete bool    `json:"complete"` // false: an installation was cut off
	Entries  []entry `json:"entries"`
}

// entry is one thing that we made. Directories are listed if they were not
// there before, parents first.
type entry struct {
	Path string `json:"path"` // without the destdir
	Type kind   `json:"type"`
	Sum  string `json:"sha256,omitempty"` // of a file
	Was  string `json:"was,omitempty"`    // sum or target that is being replaced
	To   string `json:"target,omitempty"` // of a link
	// Moved is where the file is that was there before. Diverted is the path by
	// which dpkg knows that file, if it does.
	Moved    string `json:"moved,omitempty"`
	Diverted string `json:"diverted,omitempty"`
}

// manifestName is where the manifest is, below the prefix.
const manifestName = "share/warren/installed.json"

// movedSuffix is added to what was moved away.
const movedSuffix = ".before-warren"

func (m *manifest) find(path string) *entry {
	for i := range m.Entries {
		if m.Entries[i].Path == path {
			return &m.Entries[i]
		}
	}
	return nil
}

// readManifest returns nil if there is none.
func readManifest(path string) (*manifest, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseManifest(data, path)
}

func parseManifest(data []byte, path string) (*manifest, error) {
	m := &manifest{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, cli.WithHint(fmt.Errorf("%s: %w", path, err), "it lists what was installed; if it cannot be restored, remove it and what it would list by hand")
	}
	for _, e := range m.Entries {
		if e.Type != file && e.Type != link && e.Type != dir {
			return nil, fmt.Errorf("%s: the entry %q has the type %q, want file, link or dir", path, e.Path, e.Type)
		}
		for _, p := range []string{e.Path, e.Moved, e.Diverted} {
			if p != "" && (!filepath.IsAbs(p) || filepath.Clean(p) != p) || e.Path == "" || e.Path == "/" {
				return nil, fmt.Errorf("%s: %q is not the path of something that was installed", path, p)
			}
		}
		if e.Moved != "" && !strings.HasPrefix(e.Moved, e.Path+".") {
			return nil, fmt.Errorf("%s: %q cannot be where %q was moved to", path, e.Moved, e.Path)
		}
	}
	return m, nil
}

func (m *manifest) write(path string) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(path, append(data, '\n'), 0o644)
}

// replaceFile writes a file beside its place and then moves it there, so that
// there is always either the old one or the new one.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// replaceLink does the same for a symbolic link.
func replaceLink(path, target string) error {
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".warren-link")
	_ = os.Remove(temp)
	if err := os.Symlink(target, temp); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		_ = os.Remove(temp)
		return err
	}
	return nil
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// found is what is at a path.
type found struct {
	absent bool
	kind   kind
	sum    string // of a file
	target string // of a link
}

// inspect looks at a path without following a link.
func inspect(path string) (found, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return found{absent: true}, nil
	case err != nil:
		return found{}, err
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return found{kind: link, target: target}, err
	case info.IsDir():
		return found{kind: dir}, nil
	case !info.Mode().IsRegular():
		return found{}, fmt.Errorf("%s is neither a file, a link nor a directory", path)
	}
	data, err := os.ReadFile(path)
	return found{kind: file, sum: sum(data)}, err
}

// mark is what tells one content from another.
func (f found) mark() string { return f.sum + f.target }

// is reports whether what is there is what an entry says.
func (f found) is(e *entry) bool {
	return !f.absent && f.kind == e.Type && (f.kind == dir || f.mark() == e.Sum+e.To)
}

// was reports whether it is what the entry replaces.
func (f found) was(e *entry) bool { return !f.absent && e.Was != "" && f.mark() == e.Was }
