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
	head  atomic.Pointer[peer]
	wake  chan struct{} // capacity 1
	taken *peer         // taken from the list by control, oldest first, not handled yet
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
	s.ring()
}

// ring makes wake ready.
func (s *signals) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// drain calls f for waiting peers with their bits, in order of arrival, for at
// most n of them. If some are left it rings again. Control only.
func (s *signals) drain(n int, f func(p *peer, bits uint32)) {
	for range n {
		p := s.next()
		if p == nil {
			return
		}
		f(p, p.pending.Swap(0))
	}
	s.ring()
}

// next takes the peer that has waited longest, or nil.
func (s *signals) next() *peer {
	if s.taken == nil {
		for p := s.head.Swap(nil); p != nil; { // newest first: turn the list over
			next := p.nextSignal
			p.nextSignal = s.taken
			s.taken, p = p, next
		}
	}
	p := s.taken
	if p != nil {
		// Before the bits are cleared: from then on p may be posted again.
		s.taken, p.nextSignal = p.nextSignal, nil
	}
	return p
}
