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

// cloneFrom is the number of changes from which copying the whole table once is
// cheaper than copying a path for each.
const cloneFrom = 64

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

// Edit starts a change of about n prefixes. The receiver stays as it is.
func (t *Table[V]) Edit(n int) *Editor[V] {
	e := &Editor[V]{t: t.t}
	if n >= cloneFrom {
		e.t, e.owned = t.t.Clone(), true
	}
	return e
}

// Editor is a change of a table in progress, owned by one goroutine.
type Editor[V comparable] struct {
	t     *bart.Table[V]
	owned bool // t is a private copy that may be changed in place
}

// Get returns the value of exactly p as changed so far.
func (e *Editor[V]) Get(p netip.Prefix) (V, bool) { return e.t.Get(p) }

// Insert gives p, which must be masked, to v, whoever had it.
func (e *Editor[V]) Insert(p netip.Prefix, v V) {
	if e.owned {
		e.t.Insert(p, v)
		return
	}
	e.t = e.t.InsertPersist(p, v)
}

// Remove takes p away if v has it, and reports whether that was so.
func (e *Editor[V]) Remove(p netip.Prefix, v V) bool {
	if got, ok := e.t.Get(p); !ok || got != v {
		return false
	}
	if e.owned {
		e.t.Delete(p)
	} else {
		e.t = e.t.DeletePersist(p)
	}
	return true
}

// Table returns the result. The editor must not be used afterwards.
func (e *Editor[V]) Table() *Table[V] { return &Table[V]{t: e.t} }
