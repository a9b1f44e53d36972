package install

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/warrenvpn/warren/internal/cli"
)

// action is what is to be done about one path.
type action struct {
	verb  verb
	item  item  // to install
	entry entry // as the manifest will have it, or had it
}

type verb string

const (
	create  verb = "create"  // nothing was there
	replace verb = "replace" // ours is there, another version
	keep    verb = "keep"    // exactly this is there, and is ours from now on
	leave   verb = "leave"   // exactly this is there, and belongs to a package
	move    verb = "move"    // something else is there, and gives way
	remove  verb = "remove"  // ours, and not wanted any more
)

// conflict is something in the way.
type conflict struct{ path, what string }

// site is a place to install to.
type site struct {
	destdir string
	force   bool
	owner   func(path string) owner
}

// real is where a path is on disk.
func (s *site) real(p string) string { return filepath.Join(s.destdir, p) }

// plan compares what is wanted with what is there. old is nil for none.
func (s *site) plan(items []item, old *manifest) ([]action, error) {
	if old == nil {
		old = &manifest{}
	}
	var actions []action
	var conflicts []conflict
	wanted := map[string]bool{}
	for _, it := range items {
		wanted[it.path] = true
		dirs, err := s.parents(it, wanted, old)
		if err != nil {
			return nil, err
		}
		actions = append(actions, dirs...)
		a, c, err := s.planOne(it, old.find(it.path))
		if err != nil {
			return nil, err
		}
		if c != nil {
			conflicts = append(conflicts, *c)
			continue
		}
		actions = append(actions, a)
	}
	if len(conflicts) > 0 {
		return nil, inTheWay(conflicts)
	}
	for i := len(old.Entries) - 1; i >= 0; i-- {
		if e := old.Entries[i]; !wanted[e.Path] {
			actions = append(actions, action{verb: remove, entry: e})
		}
	}
	return actions, nil
}

// manifestDir is the directory of the manifest. It comes first in a plan, so
// that whatever else is made is known to the manifest before.
func manifestDir(prefix string) item {
	return item{path: path.Dir(path.Join(prefix, manifestName)), kind: dir, mode: 0o755}
}

// parents are the directories above an item that are not there, outermost
// first, and those that we made earlier.
func (s *site) parents(it item, wanted map[string]bool, old *manifest) (actions []action, err error) {
	for p := path.Dir(it.path); p != "/" && p != "."; p = path.Dir(p) {
		if wanted[p] {
			continue
		}
		e := old.find(p)
		info, err := os.Stat(s.real(p)) // a link to a directory is as good
		switch {
		case err == nil && !info.IsDir():
			return nil, fmt.Errorf("%s is not a directory", s.real(p))
		case err == nil && e == nil:
			continue // others made it
		case err != nil && !errors.Is(err, os.ErrNotExist):
			return nil, err
		}
		v := create
		if err == nil {
			v = keep
		}
		wanted[p] = true
		it := item{path: p, kind: dir, mode: 0o755}
		actions = append([]action{{verb: v, item: it, entry: entryOf(it)}}, actions...)
	}
	return actions, nil
}

func entryOf(it item) entry {
	e := entry{Path: it.path, Type: it.kind, To: it.target}
	if it.kind == file {
		e.Sum = sum(it.data)
	}
	return e
}

// planOne decides about one item; e is what the manifest has about its path.
func (s *site) planOne(it item, e *entry) (action, *conflict, error) {
	have, err := inspect(s.real(it.path))
	if err != nil {
		return action{}, nil, err
	}
	a := action{item: it, entry: entryOf(it)}
	if e != nil {
		a.entry.Moved, a.entry.Diverted = e.Moved, e.Diverted
	}
	same := have.is(&a.entry)
	switch {
	case have.absent:
		a.verb = create
	case have.kind == dir && it.kind != dir:
		return a, &conflict{s.real(it.path), "is a directory"}, nil
	case it.kind == dir && !same:
		return a, &conflict{s.real(it.path), "is not a directory"}, nil
	case e != nil && (have.is(e) || have.was(e)):
		a.verb = replace
		a.entry.Was = have.mark()
		if same {
			a.verb, a.entry.Was = keep, ""
		}
	case same && it.kind == dir, same && s.owner(it.path).name != "":
		a.verb = leave
	case same:
		a.verb = keep
	default:
		return s.giveWay(a, e)
	}
	return a, nil, nil
}

// giveWay decides about something that is not ours.
func (s *site) giveWay(a action, e *entry) (action, *conflict, error) {
	p := a.item.path
	by := s.owner(p)
	what := "is there and was not installed by warren"
	if by.name != "" {
		what = "belongs to the package " + by.name
	} else if e != nil {
		what = "was changed after warren installed it"
	}
	if !s.force {
		return a, &conflict{s.real(p), what}, nil
	}
	if a.entry.Moved != "" {
		// What was there first is kept already, and stays what comes back.
		a.verb = replace
		return a, nil, nil
	}
	a.verb = move
	a.entry.Moved, a.entry.Diverted = p+movedSuffix, by.dpkg
	if have, err := inspect(s.real(a.entry.Moved)); err != nil || !have.absent {
		return a, &conflict{s.real(a.entry.Moved), "is there already, and " + s.real(p) + " cannot be moved to it"}, err
	}
	return a, nil, nil
}

// inTheWay is the error that names everything that is in the way.
func inTheWay(all []conflict) error {
	lines := make([]string, len(all))
	hints := []string{"nothing was changed; --force moves files away until `warren uninstall`"}
	for i, c := range all {
		lines[i] = c.path + " " + c.what
		if strings.HasPrefix(c.what, "belongs to") && len(hints) == 1 {
			hints = append(hints, "with another --prefix, such as /usr/local, both can be there, and PATH decides")
		}
	}
	return cli.WithHint(errors.New(strings.Join(lines, "\n")), hints...)
}
