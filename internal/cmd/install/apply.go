package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// journal undoes what was done, last first.
type journal []func() error

func (j journal) rollBack() (err error) {
	for i := len(j) - 1; i >= 0; i-- {
		err = errors.Join(err, j[i]())
	}
	return err
}

// say is told what is being done, in words for the user.
type say func(format string, args ...any)

// install carries out a plan. If a step fails, or ctx ends, what was done is
// undone. With an empty manifestPath no manifest is written.
func (s *site) install(ctx context.Context, actions []action, m *manifest, manifestPath string, say say) error {
	var done journal
	err := s.installAll(ctx, actions, m, manifestPath, say, &done)
	if err == nil {
		return nil
	}
	if undo := done.rollBack(); undo != nil {
		return fmt.Errorf("%w\nundoing what was done: %w", err, undo)
	}
	return err
}

func (s *site) installAll(ctx context.Context, actions []action, m *manifest, manifestPath string, say say, done *journal) error {
	written := manifestPath == ""
	write := func() error {
		before, err := snapshot(manifestPath)
		if err != nil {
			return err
		}
		// What is about to be: a crash from here on leaves nothing unknown.
		if err := intent(actions, m).write(manifestPath); err != nil {
			return err
		}
		written = true
		*done = append(*done, before)
		return nil
	}
	for _, a := range actions {
		if a.item.kind != dir {
			continue
		}
		if err := s.do(a, say, done); err != nil {
			return err
		}
		if !written && s.real(a.item.path) == filepath.Dir(manifestPath) {
			if err := write(); err != nil {
				return err
			}
		}
	}
	if !written {
		return errors.New("install: no place for the manifest in the plan")
	}
	for _, a := range actions {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if a.item.kind != dir {
			if err := s.do(a, say, done); err != nil {
				return err
			}
		}
	}
	if manifestPath == "" {
		return nil
	}
	return result(actions, m).write(manifestPath)
}

// intent is the manifest while the plan is carried out: all that is there or
// may be.
func intent(actions []action, m *manifest) *manifest {
	im := &manifest{Version: m.Version, Compat: m.Compat}
	for _, a := range actions {
		if a.verb != leave {
			im.Entries = append(im.Entries, a.entry)
		}
	}
	return im
}

// result is the manifest afterwards.
func result(actions []action, m *manifest) *manifest {
	rm := &manifest{Version: m.Version, Compat: m.Compat, Complete: true}
	for _, a := range actions {
		if a.verb != leave && a.verb != remove {
			e := a.entry
			e.Was = ""
			rm.Entries = append(rm.Entries, e)
		}
	}
	return rm
}

// do carries out one action and tells the journal how to undo it.
func (s *site) do(a action, say say, done *journal) error {
	path := s.real(a.entry.Path)
	switch a.verb {
	case keep, leave:
		return nil
	case remove:
		return s.removeStale(a.entry, say, done)
	case move:
		if err := s.moveAway(a.entry, say, done); err != nil {
			return err
		}
	}
	if a.item.kind == dir {
		if err := makeDir(path, a.item.mode); err != nil {
			return err
		}
		say("mkdir %s (%04o)", path, a.item.mode)
		*done = append(*done, func() error { return os.Remove(path) })
		return nil
	}
	before, err := snapshot(path)
	if err != nil {
		return err
	}
	if a.item.kind == link {
		err = replaceLink(path, a.item.target)
		say("link %s -> %s", path, a.item.target)
	} else {
		err = replaceFile(path, a.item.data, a.item.mode)
		say("install %s (%04o)", path, a.item.mode)
	}
	if err == nil {
		*done = append(*done, before)
	}
	return err
}

// makeDir makes a directory with a mode, whatever the umask is.
func makeDir(path string, mode fs.FileMode) error {
	if err := os.Mkdir(path, mode); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// snapshot remembers a file or link, and returns what brings it back.
func snapshot(path string) (restore func() error, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return func() error { return os.Remove(path) }, nil
	}
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		return func() error { return replaceLink(path, target) }, err
	}
	data, err := os.ReadFile(path)
	return func() error { return replaceFile(path, data, info.Mode().Perm()) }, err
}

// moveAway makes room, and remembers how to bring back what was there.
func (s *site) moveAway(e entry, say say, done *journal) error {
	path, to := s.real(e.Path), s.real(e.Moved)
	if e.Diverted != "" && s.destdir == "" {
		if err := divert(e.Diverted); err != nil {
			return err
		}
		say("divert %s to %s", path, to)
		*done = append(*done, func() error { return restore(e.Diverted) })
		return nil
	}
	if err := os.Rename(path, to); err != nil {
		return err
	}
	say("move %s to %s", path, to)
	*done = append(*done, func() error { return os.Rename(to, path) })
	return nil
}

// removeStale removes what an earlier version had and this one has not.
func (s *site) removeStale(e entry, say say, done *journal) error {
	path := s.real(e.Path)
	have, err := inspect(path)
	if err != nil || have.absent || !have.is(&e) && !have.was(&e) {
		return err
	}
	if e.Type == dir {
		return removeIfEmpty(path, say)
	}
	before, err := snapshot(path)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	say("remove %s", path)
	*done = append(*done, before)
	return s.bringBack(e, say)
}

// bringBack puts back what was moved away.
func (s *site) bringBack(e entry, say say) error {
	if e.Moved == "" {
		return nil
	}
	path, from := s.real(e.Path), s.real(e.Moved)
	if have, err := inspect(from); err != nil || have.absent {
		return err
	}
	say("move %s back to %s", from, path)
	if e.Diverted != "" && s.destdir == "" {
		return restore(e.Diverted)
	}
	return os.Rename(from, path)
}

// removeIfEmpty removes a directory unless somebody has put something into it.
func removeIfEmpty(path string, say say) error {
	names, err := os.ReadDir(path)
	if err != nil || len(names) > 0 {
		return err
	}
	say("rmdir %s", path)
	return os.Remove(path)
}

// uninstall removes what a manifest lists, and the manifest. What was changed
// since is left, unless force says otherwise, and its paths are returned.
func (s *site) uninstall(m *manifest, manifestPath string, say say) (left []string, err error) {
	var dirs []entry
	for i := len(m.Entries) - 1; i >= 0; i-- {
		e := m.Entries[i]
		path := s.real(e.Path)
		have, err := inspect(path)
		switch {
		case err != nil:
			return left, err
		case e.Type == dir && have.kind == dir && !have.absent:
			dirs = append(dirs, e)
			continue
		case e.Type == dir:
			continue
		case have.absent:
		case !m.Complete && e.Moved != "" && absent(s.real(e.Moved)) && !have.is(&e):
			continue // cut off before it was moved away: it is where it was
		case have.is(&e), have.was(&e), s.force && have.kind != dir:
			if err := os.Remove(path); err != nil {
				return left, err
			}
			say("remove %s", path)
		default:
			left = append(left, path)
			continue
		}
		if err := s.bringBack(e, say); err != nil {
			return left, err
		}
	}
	if len(left) > 0 {
		return left, nil // the manifest stays, for another try
	}
	if err := os.Remove(manifestPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return left, err
	}
	say("remove %s", manifestPath)
	for _, e := range dirs {
		if err := removeIfEmpty(s.real(e.Path), say); err != nil {
			return left, err
		}
	}
	return left, nil
}

func absent(path string) bool {
	have, err := inspect(path)
	return err == nil && have.absent
}

// manifestPath is where the manifest of a prefix is on disk.
func (s *site) manifestPath(prefix string) string {
	return s.real(filepath.Join(prefix, manifestName))
}
