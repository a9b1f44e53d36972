package device

import "sync/atomic"

// What a lane has to tell control of a peer, as bits of peer.pending.
const (
	wantSession  uint32 = 1 << iota // packets are staged
	rekeyDue                        // a session crossed a limit of [W] 6.2
	sawFirst                        // first authenticated message on a responder's session
	activityWake                    // the peer slept and something happened
)

// signals carries peers with pending bits from lanes to control: a lock-free
// list that cannot lose or overflow, since a peer is on it at most once
// (joint: a bounded queue that drops would lose a timer for ever).
type signals struct {
	head atomic.Pointer[peer]
	wake chan struct{} // capacity 1
}

func newSignals() *signals { return &signals{wake: make(chan struct{}, 1)} }

// post sets bits of p and wakes control if p was not waiting already.
//
// hot path (rare branch)
func (s *signals) post(p *peer, bits uint32) {
	if p.pending.Or(bits) != 0 {
		return
	}
	for {
		head := s.head.Load()
		p.nextSignal = head
		if s.head.CompareAndSwap(head, p) {
			break
		}
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// drain calls f for every waiting peer with its bits, in order of arrival.
func (s *signals) drain(f func(p *peer, bits uint32)) {
	var first *peer
	for p := s.head.Swap(nil); p != nil; {
		next := p.nextSignal
		p.nextSignal = first
		first, p = p, next
	}
	for p := first; p != nil; {
		// Read the link before the bits are cleared: from then on p may be
		// posted again.
		next := p.nextSignal
		p.nextSignal = nil
		f(p, p.pending.Swap(0))
		p = next
	}
}
