// Package allowedips maps inner addresses to peers by longest prefix match:
// the cryptokey routing table of [W] 2.
//
// A Table is immutable and safe for concurrent use; changing it makes another.
// The package holds the relation only, in both directions of use: destination
// of outgoing packets and permitted source of incoming ones. It does not know
// in which order a peer's prefixes were added; the device keeps that.
package allowedips

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// Copying the whole table once is cheaper than copying a path for each change
// when there are some changes at all and not many more routes for each of them:
// a path costs as much as so many routes. So an edit never costs more than its
// changes would, however large the table is.
const (
	cloneFrom   = 64
	pathInRoute = 256
)

// Table maps prefixes to values of type V. The zero value is not ready: use New.
type Table[V comparable] struct {
	t *bart.Table[V]
}

// New returns an empty table.
func New[V comparable]() *Table[V] { return &Table[V]{t: new(bart.Table[V])} }

// Lookup returns the value of the longest prefix that contains a.
//
// hot path
func (t *Table[V]) Lookup(a netip.Addr) (V, bool) { return t.t.Lookup(a) }

// Get returns the value of exactly p.
func (t *Table[V]) Get(p netip.Prefix) (V, bool) { return t.t.Get(p) }

// Len returns the number of prefixes.
func (t *Table[V]) Len() int { return t.t.Size() }

// Edit starts a change. The receiver stays as it is.
func (t *Table[V]) Edit() *Editor[V] {
	e := &Editor[V]{t: t.t}
	if t.Len() == 0 {
		e.own()
	}
	return e
}

// Editor is a change of a table in progress, owned by one goroutine.
type Editor[V comparable] struct {
	t     *bart.Table[V]
	edits int  // so far, while t is shared
	owned bool // t is a private copy that may be changed in place
}

// Expect says that about n changes follow, so that the decision how to make
// them comes before the first of them. Changes need not be announced.
func (e *Editor[V]) Expect(n int) {
	if n += e.edits; !e.owned && n >= cloneFrom && n*pathInRoute >= e.t.Size() {
		e.own()
	}
}

func (e *Editor[V]) own() { e.t, e.owned = e.t.Clone(), true }

// shared notes one change and reports whether it is to be made in a copy of its
// path.
func (e *Editor[V]) shared() bool {
	e.Expect(1)
	if e.owned {
		return false
	}
	e.edits++
	return true
}

// Get returns the value of exactly p as changed so far.
func (e *Editor[V]) Get(p netip.Prefix) (V, bool) { return e.t.Get(p) }

// Insert gives p, which must be masked, to v, whoever had it.
func (e *Editor[V]) Insert(p netip.Prefix, v V) {
	if e.shared() {
		e.t = e.t.InsertPersist(p, v)
		return
	}
	e.t.Insert(p, v)
}

// Remove takes p away if v has it, and reports whether that was so.
func (e *Editor[V]) Remove(p netip.Prefix, v V) bool {
	if got, ok := e.t.Get(p); !ok || got != v {
		return false
	}
	if e.shared() {
		e.t = e.t.DeletePersist(p)
	} else {
		e.t.Delete(p)
	}
	return true
}

// Table returns the result. The editor must not be used afterwards.
func (e *Editor[V]) Table() *Table[V] { return &Table[V]{t: e.t} }
