package hostnet

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/warrenvpn/warren/internal/journal"
	"github.com/warrenvpn/warren/internal/quick"
)

// ledger is what was done to an interface, in memory and, where there can be
// one, in a journal. It is used by one goroutine.
type ledger struct {
	dir     *journal.Dir
	file    *journal.File // nil: in memory alone
	name    string
	phase   journal.Phase // of the journal that was found
	found   bool          // there was a journal
	begun   bool          // the journal is of this run
	stale   bool          // and of another boot, or of a namespace that is gone
	about   json.RawMessage
	damage  error // why not all of it could be read
	entries []entry
	next    int
	// spared is the file of a journal that stays as it is until the interface
	// that would replace it is made; file is nil so long.
	spared *journal.File
}

type entry struct {
	n    int
	step quick.Step
}

// openLedger takes over what a journal says of an interface. A journal that
// cannot be is no error: problem then says why.
func openLedger(dir *journal.Dir, name string) (l *ledger, problem, err error) {
	l = &ledger{dir: dir, name: name, next: 1}
	if dir == nil {
		return l, nil, nil
	}
	file, record, err := dir.Take(name)
	switch {
	case errors.Is(err, journal.ErrBusy):
		return nil, nil, err
	case err != nil:
		return l, err, nil
	}
	l.file = file
	if record == nil {
		return l, nil, nil
	}
	l.found, l.phase, l.about, l.stale = true, record.Phase, record.About, dir.Stale(record)
	l.entries = decode(record)
	if n := len(l.entries); n > 0 {
		l.next = l.entries[n-1].n + 1
	}
	l.damage = record.Damage
	return l, nil, nil
}

// RecordedSteps returns the steps that the journal of an interface knows to stand,
// and whether there is one.
func RecordedSteps(d *journal.Dir, name string) (steps []quick.Step, found bool) {
	r, err := d.Read(name)
	if err != nil || r == nil || d.Stale(r) {
		return nil, false
	}
	for _, e := range decode(r) {
		steps = append(steps, e.step)
	}
	return steps, true
}

// decode returns the steps of a record that mean something to this program.
func decode(r *journal.Record) []entry {
	var all []entry
	for _, e := range r.Entries {
		s, ok := step(e.Step)
		if !ok {
			continue
		}
		if done, ok := step(e.Result); ok && e.Done {
			s = done
		}
		all = append(all, entry{e.Number, s})
	}
	return all
}

func step(text json.RawMessage) (s quick.Step, ok bool) {
	return s, len(text) > 0 && json.Unmarshal(text, &s) == nil
}

// steps returns what was done and not undone.
func (l *ledger) steps() []quick.Step {
	all := make([]quick.Step, len(l.entries))
	for i, e := range l.entries {
		all[i] = e.step
	}
	return all
}

// begin starts anew.
func (l *ledger) begin(about any) error {
	l.entries, l.begun, l.next = nil, true, 1
	if l.file == nil {
		return nil
	}
	return l.file.Begin(l.dir, l.name, about)
}

// spare lets the journal stay as it was found, for now.
func (l *ledger) spare() {
	l.spared, l.file, l.found, l.entries = l.file, nil, false, nil
}

// replace puts what was done since spare in the place of the journal.
func (l *ledger) replace(about any) error {
	if l.spared == nil {
		return nil
	}
	l.file, l.spared = l.spared, nil
	if err := l.file.Begin(l.dir, l.name, about); err != nil {
		return err
	}
	for i := range l.entries {
		n, err := l.file.Intend(l.entries[i].step)
		if err == nil {
			err = l.file.Done(n, nil)
		}
		if err != nil {
			return err
		}
		l.entries[i].n, l.next = n, n+1
	}
	return nil
}

// halved reports whether the journal that was found has lost a part: what it does
// not say may have been done nevertheless.
func (l *ledger) halved() bool {
	if !l.found || l.stale || l.phase != journal.Up {
		return false
	}
	made := slices.ContainsFunc(l.entries, func(e entry) bool {
		return e.step.Kind == quick.CreateLink || e.step.Kind == quick.CreateDevice
	})
	return l.damage != nil || !made
}

// index is that of the interface as it was made; 0: it is not known.
func (l *ledger) index() int {
	for _, e := range l.entries {
		if e.step.Kind == quick.CreateLink || e.step.Kind == quick.CreateDevice {
			return e.step.Index
		}
	}
	return 0
}

func (l *ledger) enter(p journal.Phase) error {
	if l.file == nil || !l.found && !l.begun {
		return nil
	}
	return l.file.Go(l.dir, p)
}

// intend records that a step is about to be taken.
func (l *ledger) intend(s quick.Step) (n int, err error) {
	n = l.next
	if l.file != nil && (l.found || l.begun) {
		if n, err = l.file.Intend(s); err != nil {
			return 0, fmt.Errorf("nothing is done that could not be undone: %w", err)
		}
	}
	l.next = n + 1
	l.entries = append(l.entries, entry{n, s})
	return n, nil
}

// done records that it was taken, and how it turned out.
func (l *ledger) done(n int, was, s quick.Step) error {
	for i := range l.entries {
		if l.entries[i].n == n {
			l.entries[i].step = s
		}
	}
	if l.file == nil || !l.found && !l.begun {
		return nil
	}
	if s == was {
		return l.file.Done(n, nil)
	}
	return l.file.Done(n, s)
}

// undone records that u was taken, which undoes all steps that it is the undo
// of.
func (l *ledger) undone(u quick.Step) error {
	var left []entry
	var failed error
	for _, e := range l.entries {
		back, ok := e.step.Undo()
		back.Lenient = u.Lenient
		if !ok || back != u {
			left = append(left, e)
			continue
		}
		if l.file != nil && (l.found || l.begun) {
			failed = errors.Join(failed, l.file.Undone(e.n))
		}
	}
	l.entries = left
	return failed
}

// close gives the interface free for others. If there is nothing to be known
// of it any more, the journal goes.
func (l *ledger) close(over bool) error {
	if l.spared != nil {
		return l.spared.Close()
	}
	if l.file == nil {
		return nil
	}
	if over || !l.found && !l.begun {
		return l.file.Remove()
	}
	return l.file.Close()
}

// release removes the journal, which has nothing to tell any more: what is done
// from here on is remembered nowhere.
func (l *ledger) release() error {
	err := l.close(true)
	*l = ledger{name: l.name, next: 1}
	return err
}

// failed forgets a step that failed, and so did nothing.
func (l *ledger) failed(n int) error {
	for i, e := range l.entries {
		if e.n == n {
			l.entries = append(l.entries[:i], l.entries[i+1:]...)
			break
		}
	}
	if l.file == nil || !l.found && !l.begun {
		return nil
	}
	return l.file.Undone(n)
}
