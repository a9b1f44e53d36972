// Package ratelimit bounds how often one source may do something, with a bounded
// table of sources. A device uses it for handshake messages under load, after
// the cookie has shown that the source's address is true. [W] 5.3, [K] ratelimiter.c
//
// An IPv4 source is one address. An IPv6 source is a /64, because whoever has one
// address there has them all (E7). Nothing is counted across sources: a limit for
// all together would let one sender use up everybody's share (B51).
//
// A full table refuses new sources. Throwing out a source that still has debts
// would give it a new allowance, so that an attacker with more addresses than the
// table has room would not be limited at all; refusing keeps the total at
// entries x rate, whatever the number of addresses (A04). A source stays in the
// table only until its allowance is whole again, a quarter of a second with the
// protocol's numbers, so room comes back quickly, and forgetting it then changes
// nothing.
//
// A Limiter reads no clock and belongs to one goroutine.
package ratelimit

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/internal/mono"
)

// Limiter holds a token bucket for each recent source.
type Limiter struct {
	cost time.Duration // what one event takes from a bucket
	full time.Duration // the most a bucket holds: burst events
	max  int

	// The table, and a ring of links through its entries, oldest first: entries
	// are kept in the order of their last event. Entry 0 is the ring's head and
	// holds no source.
	index   map[source]int32
	entries []entry
	free    int32 // first of the list of unused entries through next, or 0
}

// entry is the bucket of a source.
type entry struct {
	source     source
	seen       mono.Time     // the last event
	tokens     time.Duration // what the bucket held then, after it
	prev, next int32
}

// source is the part of an address that counts: four bytes or eight.
type source struct {
	prefix uint64
	is6    bool
}

// New returns a limiter that lets each source do burst events at once and
// perSecond in the long run, and that remembers at most maxEntries sources. All
// must be positive. The table grows as it is needed.
func New(perSecond, burst, maxEntries int) *Limiter {
	if perSecond <= 0 || burst <= 0 || maxEntries <= 0 {
		panic("ratelimit: rate, burst and size must be positive")
	}
	cost := time.Second / time.Duration(perSecond)
	l := &Limiter{cost: cost, full: cost * time.Duration(burst), max: maxEntries}
	l.reset()
	return l
}

// Allow reports whether the source of a may do one more event at now, and counts
// it if so. An address that is not valid may not.
func (l *Limiter) Allow(now mono.Time, a netip.Addr) bool {
	l.Collect(now)
	s, ok := sourceOf(a)
	if !ok {
		return false
	}
	i, known := l.index[s]
	if !known {
		return l.insert(now, s)
	}
	e := &l.entries[i]
	if d := now.Sub(e.seen); d > 0 {
		e.tokens = min(e.tokens+d, l.full)
		e.seen = now
	}
	l.unlink(i)
	l.link(i)
	if e.tokens < l.cost {
		return false
	}
	e.tokens -= l.cost
	return true
}

// Collect forgets the sources whose bucket is certainly full again at now. Allow
// does it too; calling Collect once in a while gives the memory back after a
// flood has ended.
func (l *Limiter) Collect(now mono.Time) {
	for i := l.entries[0].next; i != 0; i = l.entries[0].next {
		if now.Sub(l.entries[i].seen) < l.full {
			return
		}
		l.remove(i)
	}
	if len(l.entries) > keep {
		l.reset()
	}
}

// keep is the number of entries for which memory is kept while no source is known.
const keep = 1024

// Len returns the number of sources remembered.
func (l *Limiter) Len() int { return len(l.index) }

// insert begins to remember a source with its first event, if there is room.
func (l *Limiter) insert(now mono.Time, s source) bool {
	if len(l.index) >= l.max {
		return false
	}
	i := l.free
	if i != 0 {
		l.free = l.entries[i].next
	} else {
		i = int32(len(l.entries))
		l.entries = append(l.entries, entry{})
	}
	l.entries[i] = entry{source: s, seen: now, tokens: l.full - l.cost}
	l.link(i)
	l.index[s] = i
	return true
}

func (l *Limiter) remove(i int32) {
	l.unlink(i)
	delete(l.index, l.entries[i].source)
	l.entries[i] = entry{next: l.free}
	l.free = i
}

// link puts entry i at the young end of the ring.
func (l *Limiter) link(i int32) {
	youngest := l.entries[0].prev
	l.entries[i].prev, l.entries[i].next = youngest, 0
	l.entries[youngest].next, l.entries[0].prev = i, i
}

func (l *Limiter) unlink(i int32) {
	prev, next := l.entries[i].prev, l.entries[i].next
	l.entries[prev].next, l.entries[next].prev = next, prev
}

func (l *Limiter) reset() {
	l.index = make(map[source]int32)
	l.entries = make([]entry, 1)
	l.free = 0
}

func sourceOf(a netip.Addr) (source, bool) {
	switch a = a.Unmap(); {
	case a.Is4():
		b := a.As4()
		return source{prefix: uint64(binary.BigEndian.Uint32(b[:]))}, true
	case a.Is6():
		b := a.As16()
		return source{prefix: binary.BigEndian.Uint64(b[:8]), is6: true}, true
	default:
		return source{}, false
	}
}
