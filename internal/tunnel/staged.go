package tunnel

import (
	"sync"
	"sync/atomic"

	"github.com/warrenvpn/warren/internal/wire"
)

// StagedPacket is a copy of an IP packet that waits for a session.
type StagedPacket struct {
	Packet []byte
	TOS    byte
}

// Staged holds the packets that wait for a session of one peer: at most
// wire.MaxStaged, the oldest are dropped ([K] queueing). The zero value is ready
// and owns no memory until a packet comes. It must not be copied.
//
// It also guards the change of the session that is sent with, because the two
// must agree: a packet is staged only while there is no session, and a session
// is published only when no packet is left (so none is stranded), and after the
// last of them was sent (so none is overtaken). Lanes call Push and Confirm, control
// calls the rest.
type Staged struct {
	mu      sync.Mutex                    // guards the fields below and every store to current
	ring    *[wire.MaxStaged]StagedPacket // nil while there is no packet
	head    uint8                         // the oldest packet
	n       uint8                         // how many there are
	closing bool                          // Publish is sending the last packets: see there
}

// maxRounds is how often Publish goes back for packets that came while it was
// sending. Lanes that stage faster than control sends would keep it for ever.
const maxRounds = 8

// Push copies pkt to the end of the queue, unless current turns out to hold a
// session that can be sent with: then staged is false and the caller sends the
// packet itself. After a packet was staged the caller must see to it that
// Peer.HandleWantSession is called (an idempotent bit per peer will do: the
// machine limits its own rate). dropped is how many packets were lost.
func (q *Staged) Push(pkt []byte, tos byte, current *atomic.Pointer[Session]) (staged bool, dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s := current.Load(); s != nil && s.Sendable() {
		return false, 0
	}
	if q.closing {
		return true, 1
	}
	if q.ring == nil {
		q.ring = new([wire.MaxStaged]StagedPacket)
	}
	if q.n == wire.MaxStaged { // the oldest gives its place, and its memory, to the new one
		q.head = (q.head + 1) % wire.MaxStaged
		q.n--
		dropped = 1
	}
	slot := &q.ring[(int(q.head)+int(q.n))%wire.MaxStaged]
	*slot = StagedPacket{Packet: append(slot.Packet[:0], pkt...), TOS: tos}
	q.n++
	return true, dropped
}

// Publish sends what is staged through send, oldest first, and makes s the
// session in current once nothing is left. send is called without the lock, with
// at most wire.MaxStaged packets, which it may keep. It returns how many packets
// went through send.
//
// Packets that come during the last of several rounds are dropped, as if the
// queue were full: sending under the lock would stop the lanes, and publishing
// first would let new packets overtake.
func (q *Staged) Publish(s *Session, current *atomic.Pointer[Session], send func(pkts []StagedPacket)) (sent int) {
	for round := 1; ; round++ {
		q.mu.Lock()
		pkts := q.takeLocked()
		if len(pkts) == 0 {
			current.Store(s)
			q.closing = false
			q.mu.Unlock()
			return sent
		}
		q.closing = round >= maxRounds
		q.mu.Unlock()
		send(pkts)
		sent += len(pkts)
	}
}

// Confirm puts s into current at once if it is the peer's next session and nothing
// is staged. A lane calls it when s.FirstReceipt returned true, before it hands
// over what it received, so that an answer leaves with the new session: the peer
// may have lost the old one. [K] receive.c does so too. Else, and in any case for
// everything besides, Peer.HandleConfirmed follows.
func (q *Staged) Confirm(s *Session, current *atomic.Pointer[Session]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	// The machine takes awaits and dead away before it publishes another session
	// or withdraws this one, both under the lock: what is stored here too late is
	// overwritten there.
	if q.n == 0 && !q.closing && s.awaits.Load() && s.Sendable() {
		current.Store(s)
	}
}

// Withdraw takes s out of current, if it is there.
func (q *Staged) Withdraw(s *Session, current *atomic.Pointer[Session]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	current.CompareAndSwap(s, nil)
}

// Unpublish leaves current without a session.
func (q *Staged) Unpublish(current *atomic.Pointer[Session]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	current.Store(nil)
}

// Drop empties the queue, gives its memory back and returns how many packets
// were lost.
func (q *Staged) Drop() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.n
	q.ring, q.head, q.n = nil, 0, 0
	return int(n)
}

// Len returns how many packets are staged.
func (q *Staged) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int(q.n)
}

// takeLocked empties the queue and returns its packets in order.
func (q *Staged) takeLocked() []StagedPacket {
	if q.n == 0 {
		return nil
	}
	pkts := make([]StagedPacket, 0, q.n)
	for i := range q.n {
		pkts = append(pkts, q.ring[(int(q.head)+int(i))%wire.MaxStaged])
	}
	q.ring, q.head, q.n = nil, 0, 0
	return pkts
}
