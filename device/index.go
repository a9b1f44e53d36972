package device

import (
	"encoding/binary"
	"io"
	"sync/atomic"

	"github.com/warrenvpn/warren/internal/tunnel"
)

// indexTable finds what a receiver index names: a session, or a handshake that
// waits for its response. Control writes, lanes read without a lock.
//
// An index is drawn at random until its slot (index & mask) is free, so all 32
// bits stay unpredictable (P18) and a look-up is one load.
type indexTable struct {
	slots atomic.Pointer[[]atomic.Pointer[indexEntry]]
	used  int // owned by control
	rand  io.Reader
}

// indexEntry is immutable; a handshake that becomes a session gets a new one.
type indexEntry struct {
	index   uint32
	peer    *peer
	session *tunnel.Session // nil while the handshake is pending
}

const minIndexSlots = 256

func newIndexTable(rand io.Reader) *indexTable {
	t := &indexTable{rand: rand}
	s := make([]atomic.Pointer[indexEntry], minIndexSlots)
	t.slots.Store(&s)
	return t
}

// lookup returns the entry of index, or nil.
//
// hot path
func (t *indexTable) lookup(index uint32) *indexEntry {
	s := *t.slots.Load()
	e := s[index&uint32(len(s)-1)].Load()
	if e == nil || e.index != index {
		return nil
	}
	return e
}

// reserve draws a free index for p.
func (t *indexTable) reserve(p *peer) uint32 {
	if s := *t.slots.Load(); 2*(t.used+1) > len(s) {
		t.grow(2 * len(s))
	}
	s := *t.slots.Load()
	for {
		var b [4]byte
		if _, err := io.ReadFull(t.rand, b[:]); err != nil {
			// Without randomness nothing here is safe; crypto/rand never fails.
			panic("device: random source failed: " + err.Error())
		}
		index := binary.LittleEndian.Uint32(b[:])
		slot := &s[index&uint32(len(s)-1)]
		if slot.Load() == nil {
			slot.Store(&indexEntry{index: index, peer: p})
			t.used++
			return index
		}
	}
}

// admit makes the reserved index name session.
func (t *indexTable) admit(p *peer, session *tunnel.Session) {
	s := *t.slots.Load()
	s[session.LocalIndex&uint32(len(s)-1)].Store(&indexEntry{index: session.LocalIndex, peer: p, session: session})
}

// release frees an index; lanes do not find it any more.
func (t *indexTable) release(index uint32) {
	if t.lookup(index) == nil {
		return
	}
	s := *t.slots.Load()
	s[index&uint32(len(s)-1)].Store(nil)
	t.used--
}

// grow copies into a table of n slots. Entries never collide in the larger one:
// they differed in fewer bits already.
func (t *indexTable) grow(n int) {
	old := *t.slots.Load()
	s := make([]atomic.Pointer[indexEntry], n)
	for i := range old {
		if e := old[i].Load(); e != nil {
			s[e.index&uint32(n-1)].Store(e)
		}
	}
	t.slots.Store(&s)
}
