package tun

import (
	"math"
	"sync/atomic"
)

// gate counts who uses a descriptor, so that it is closed only when nobody
// does. The count is one atomic; shut makes it negative for ever.
type gate struct {
	users atomic.Int64
	idle  chan struct{} // holds one token once the last user has left a shut gate
}

func newGate() gate { return gate{idle: make(chan struct{}, 1)} }

// enter reports whether the descriptor may be used until leave.
//
// hot path
func (g *gate) enter() bool {
	if g.users.Add(1) > 0 {
		return true
	}
	g.leave()
	return false
}

// hot path
func (g *gate) leave() {
	if g.users.Add(-1) == math.MinInt64 {
		select {
		case g.idle <- struct{}{}:
		default:
		}
	}
}

// shut lets nobody in any more and waits until all have left. It is called
// once.
func (g *gate) shut() {
	if g.users.Add(math.MinInt64) != math.MinInt64 {
		<-g.idle
	}
}
