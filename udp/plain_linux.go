package udp

import (
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
)

// plainTable is to whom a segmented send failed: there, messages of that size
// and larger go singly for a while. It is per endpoint, so that one peer behind
// a small MTU does not slow the others, and counted in runs, so that no clock is
// read: after that many the next run is tried whole again, at the price of one
// failing call.
type plainTable struct {
	entries atomic.Pointer[map[netip.AddrPort]*plainEntry] // immutable, nil when empty
	mu      sync.Mutex                                     // held by writers
}

type plainEntry struct {
	left atomic.Int32 // runs that still go singly
	span int32        // what left began with
	size int          // messages smaller than this are not concerned
}

// maxPlain bounds the table, which is emptied when it is full; leastSpan and
// mostSpan bound the runs between two tries, doubled at each failure.
const (
	maxPlain  = 256
	leastSpan = 256
	mostSpan  = 1 << 16
)

// has reports whether the next run to the endpoint, of messages of size, is to
// go singly.
//
// hot path
func (t *plainTable) has(to netip.AddrPort, size int) bool {
	m := t.entries.Load()
	if m == nil {
		return false
	}
	e := (*m)[to]
	if e == nil || size < e.size || e.left.Load() <= 0 {
		return false
	}
	e.left.Add(-1)
	return true
}

// learn notes that a segmented send of messages of size to the endpoint failed.
func (t *plainTable) learn(to netip.AddrPort, size int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := make(map[netip.AddrPort]*plainEntry)
	if m := t.entries.Load(); m != nil && len(*m) < maxPlain {
		next = maps.Clone(*m)
	}
	e := &plainEntry{span: leastSpan, size: size}
	if last := next[to]; last != nil {
		pending := last.left.Load() > 0
		if pending && last.size <= size {
			return // somebody else found out at the same time
		}
		if !pending {
			e.span = min(last.span*2, mostSpan)
		}
	}
	e.left.Store(e.span)
	next[to] = e
	t.entries.Store(&next)
}

// forget empties the table: the routes have changed.
func (t *plainTable) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries.Store(nil)
}
