package device

import (
	"slices"
	"sync/atomic"
)

// A crew is the set of lanes that may hold a reference to a session or an
// identity that control has just unpublished. What they may still be using is
// erased only after each of them has passed a batch boundary. Owned by control,
// except for the epochs.
type crew struct {
	epochs []*epoch
	grave  []burial
}

// epoch is odd while its lane works on a batch, even while it waits.
type epoch struct {
	n atomic.Uint64
	_ [56]byte
}

func (e *epoch) enter() { e.n.Add(1) }
func (e *epoch) leave() { e.n.Add(1) }

type burial struct {
	busy  []*epoch // lanes that were inside a batch
	at    []uint64 // at this epoch
	erase func()
}

func (c *crew) join() *epoch {
	e := new(epoch)
	c.epochs = append(c.epochs, e)
	return e
}

// part removes the epoch of a lane that has ended.
func (c *crew) part(e *epoch) {
	if i := slices.Index(c.epochs, e); i >= 0 {
		c.epochs = slices.Delete(c.epochs, i, i+1)
	}
}

// bury calls erase as soon as no lane can hold what the caller has unpublished
// before; at once if all lanes are waiting.
func (c *crew) bury(erase func()) {
	b := burial{erase: erase}
	for _, e := range c.epochs {
		if n := e.n.Load(); n%2 == 1 {
			b.busy, b.at = append(b.busy, e), append(b.at, n)
		}
	}
	if len(b.busy) == 0 {
		erase()
		return
	}
	c.grave = append(c.grave, b)
}

// sweep erases what has become unreachable and reports whether anything is
// still waiting.
func (c *crew) sweep() bool {
	c.grave = slices.DeleteFunc(c.grave, func(b burial) bool {
		for i, e := range b.busy {
			if e.n.Load() == b.at[i] {
				return false
			}
		}
		b.erase()
		return true
	})
	return len(c.grave) > 0
}
