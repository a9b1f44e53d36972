package resolver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// disk is a folder with the file and its backup in memory, and what is stored
// of the stack: the world that stack.next decides about, without a system.
type disk struct {
	t              *testing.T
	random         *rand.Rand
	target, backup *inode
	record         []byte
	inPlace        bool // replacing fails
	crashIn        int  // steps until the process ends; negative: never
}

type inode struct{ text []byte }

func (i *inode) String() string {
	if i == nil {
		return "none"
	}
	return fmt.Sprintf("%q", i.text)
}

// step counts down to the crash.
func (d *disk) step() bool {
	d.crashIn--
	return d.crashIn != 0
}

func (d *disk) look() view {
	of := func(i *inode) snapshot {
		if i == nil {
			return snapshot{}
		}
		return snapshot{true, i.text}
	}
	return view{of(d.target), of(d.backup), d.target != nil && d.target == d.backup, false}
}

func (d *disk) load() *stack {
	s := &stack{}
	if d.record != nil {
		if err := json.Unmarshal(d.record, s); err != nil {
			d.t.Fatal(err)
		}
	}
	if len(s.Tunnels) == 0 {
		s.Pending, s.InPlace = false, d.inPlace
	}
	return s
}

func (d *disk) save(s *stack) bool {
	if !d.step() {
		return false
	}
	d.record, _ = json.Marshal(s)
	return true
}

// settle does what file.settle does. It returns false if it crashed.
func (d *disk) settle(s *stack) bool {
	for range actionsAtMost {
		a := s.next(d.look())
		if a.verb == done {
			s.Writing, s.Pending = nil, false
			if len(s.Tunnels) > 0 {
				return d.save(s)
			}
			if !d.step() {
				return false
			}
			d.record = nil
			return true
		}
		if a.verb == write {
			s.Writing = &writing{From: d.target.text, To: a.text, Dirty: s.Writing.torn(d.target.text)}
			if !d.save(s) {
				return false
			}
			if !d.step() {
				d.tear(a.text)
				return false
			}
			d.target.text = a.text
			continue
		}
		if !d.step() {
			return false
		}
		d.perform(a)
	}
	d.t.Fatalf("no end: target %v, backup %v", d.target, d.backup)
	return false
}

// tear leaves a random part of a write.
func (d *disk) tear(text []byte) {
	n := d.random.IntN(len(text) + 1)
	from := d.target.text
	d.target.text = append(slices.Clone(text[:n]), from[min(n, len(from)):]...)
}

func (d *disk) perform(a action) {
	if d.inPlace && a.verb != dropBackup {
		d.t.Fatalf("action %d where files can only be written", a.verb)
	}
	switch a.verb {
	case keep:
		d.backup = d.target
	case dropBackup:
		d.backup = nil
	case replace:
		d.target = &inode{a.text}
	case remove:
		d.target = nil
	case putBack:
		d.target, d.backup = d.backup, nil
	default:
		d.t.Fatalf("action %d, although nobody else changes anything", a.verb)
	}
}

// Q28, U01: three tunnels come, go and are killed in random order and at random
// steps. In between the file is that of the highest, and in the end it is the
// one that was there, not an equal one.
func TestTunnelsInAnyOrderRestoreTheFile(t *testing.T) {
	var seed uint64
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	for seed = range 3000 {
		random := rand.New(rand.NewPCG(seed, 28))
		d := &disk{t: t, random: random, inPlace: seed%3 == 2}
		original := &inode{[]byte("nameserver 192.0.2.1\nsearch home\noptions ndots:3 trust-ad\n")}
		if seed%3 == 1 {
			original = nil
		}
		d.target = original
		var text []byte
		if original != nil {
			text = slices.Clone(original.text)
		}
		var model []int // the tunnels that are up
		for range 1 + random.IntN(20) {
			model = d.change(model)
			d.check(model)
		}
		for len(model) > 0 {
			d.crashIn = -1
			model, _ = d.down(model, random.IntN(len(model)))
		}
		if d.target != original || original != nil && !bytes.Equal(d.target.text, text) || d.backup != nil || d.record != nil {
			t.Fatalf("target %v, backup %v, record %s; want %v and nothing", d.target, d.backup, d.record, original)
		}
	}
}

// change brings a random tunnel up or down, perhaps with crashes of this and
// other attempts before one succeeds. It returns the tunnels that are up.
func (d *disk) change(model []int) []int {
	for {
		d.crashIn = -1
		if d.random.IntN(2) == 0 {
			d.crashIn = 1 + d.random.IntN(8)
		}
		ok := false
		if len(model) == 3 || len(model) > 0 && d.random.IntN(2) == 0 {
			model, ok = d.down(model, d.random.IntN(len(model)))
		} else {
			model, ok = d.up(model, d.random.IntN(3))
		}
		if ok {
			return model
		}
	}
}

func name(n int) string { return fmt.Sprintf("wg%d", n) }

func (d *disk) up(model []int, n int) ([]int, bool) {
	s := d.load()
	s.push(tunnel{Name: name(n), Servers: addresses(fmt.Sprintf("10.0.0.%d", n+1)), Domains: []string{name(n)}})
	ok := d.save(s) && d.settle(s)
	want := slices.DeleteFunc(slices.Clone(model), func(m int) bool { return m == n })
	return d.stored(model, append(want, n), ok), ok
}

func (d *disk) down(model []int, i int) ([]int, bool) {
	s := d.load()
	s.pop(name(model[i]), place{})
	ok := d.save(s) && d.settle(s)
	return d.stored(model, slices.Delete(slices.Clone(model), i, i+1), ok), ok
}

// stored returns the tunnels that are up by the record: after a crash those of
// before or those wanted, else those wanted.
func (d *disk) stored(before, want []int, ok bool) []int {
	d.t.Helper()
	names := []int{}
	for _, t := range d.load().Tunnels {
		names = append(names, int(t.Name[2]-'0'))
	}
	if !slices.Equal(names, want) && (ok || !slices.Equal(names, before)) {
		d.t.Fatalf("up are %v, want %v; before it were %v, crashed = %v", names, want, before, !ok)
	}
	return names
}

func (d *disk) check(model []int) {
	d.t.Helper()
	if len(model) == 0 {
		return
	}
	top := model[len(model)-1]
	c := parse(d.target.text)
	if _, mine := unseal(d.target.text); !mine || !slices.Equal(c.servers, []string{fmt.Sprintf("10.0.0.%d", top+1)}) || !slices.Equal(c.search, []string{name(top)}) {
		d.t.Fatalf("with %v up the file is %q", model, d.target.text)
	}
}

func TestWhatIsRendered(t *testing.T) {
	base := []byte("nameserver 192.0.2.1\nsearch home\noptions ndots:3 trust-ad\n")
	server := tunnel{Name: "wg0", Servers: addresses("10.0.0.1"), Domains: []string{"corp", "~routed"}}
	domains := tunnel{Name: "wg1", Domains: []string{"lab", "corp"}}
	for _, c := range []struct {
		name    string
		tunnels []tunnel
		want    string
	}{
		{"a server takes over, options stay but trust", []tunnel{server}, "nameserver 10.0.0.1\nsearch corp\noptions ndots:3\n"},
		{"domains alone come before those in force", []tunnel{domains}, "nameserver 192.0.2.1\nsearch lab corp home\noptions ndots:3 trust-ad\n"},
		{"domains above a server", []tunnel{server, domains}, "nameserver 10.0.0.1\nsearch lab corp\noptions ndots:3\n"},
		{"a server above domains", []tunnel{domains, server}, "nameserver 10.0.0.1\nsearch corp\noptions ndots:3\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := stack{Tunnels: c.tunnels}
			for _, m := range []mark{{kind: kept}, {inside, base}} {
				if got := parse(s.render(m, view{backup: snapshot{true, base}})).String(); got != c.want {
					t.Errorf("%s: %q, want %q", m.kind, got, c.want)
				}
			}
		})
	}
}

// What another hand wrote while a tunnel was up is left, and what was there
// before gets a name of its own; a tunnel that comes later restores it.
func TestFilesOfOthersAreNotOverwritten(t *testing.T) {
	foreign := snapshot{true, []byte("nameserver 203.0.113.1\n")}
	backup := snapshot{true, []byte("nameserver 192.0.2.1\n")}
	up := tunnel{Name: "wg0", Servers: addresses("10.0.0.1")}
	for _, c := range []struct {
		name string
		s    stack
		v    view
		want verb
	}{
		{"the last tunnel goes", stack{}, view{target: foreign, backup: backup}, rescue},
		{"nothing is left to rescue", stack{}, view{target: foreign}, done},
		{"one of two goes", stack{Tunnels: []tunnel{up}}, view{target: foreign, backup: backup}, done},
		{"another comes", stack{Tunnels: []tunnel{up}, Pending: true}, view{target: foreign, backup: backup}, dropBackup},
		{"and then", stack{Tunnels: []tunnel{up}, Pending: true}, view{target: foreign}, keep},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.s.next(c.v).verb; got != c.want {
				t.Errorf("action %d, want %d", got, c.want)
			}
		})
	}
	up2 := stack{Tunnels: []tunnel{up}}
	if !up2.changed(view{target: foreign}) {
		t.Error("the change is not noticed")
	}
}
