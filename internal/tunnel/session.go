package tunnel

import (
	"sync"
	"sync/atomic"

	"github.com/warrenvpn/warren/internal/aead"
	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/replay"
	"github.com/warrenvpn/warren/internal/wire"
)

// Session is the keys and counters that one handshake gave: what [W] calls a
// keypair. Lanes seal and open with it without asking the machine. The exported
// fields do not change.
type Session struct {
	LocalIndex  uint32    // receiver index of what we open with it
	RemoteIndex uint32    // receiver index of what we seal with it
	Initiator   bool      // we began the handshake, so we replace the session in time
	Created     mono.Time // when the keys were derived

	send    *aead.Key
	receive *aead.Key

	// Written by sending lanes. Reserve alone gives out counters.
	_    [64]byte
	next atomic.Uint64 // the next counter that was not given out
	dead atomic.Bool   // not to be sent with any more; set by lanes and machine

	// Written by receiving lanes.
	_         [64]byte
	confirmed atomic.Bool // something authenticated was received with it
	awaits    atomic.Bool // it is the peer's next session; set by the machine
	asked     atomic.Bool // RekeyDueOnReceive has returned true

	mu     sync.Mutex     // guards window
	window *replay.Window // nil until the first receipt
}

// sharedLimit is where Reserve goes over from adding to comparing and swapping.
// It is far above wire.RekeyAfterMessages and far below the limit: no number of
// lanes that add at once comes from here to there.
const sharedLimit = 1 << 62

// NewSession returns the session of a finished handshake and clears k.
func NewSession(local, remote uint32, initiator bool, k *noise.Keys, now mono.Time) *Session {
	s := &Session{
		LocalIndex:  local,
		RemoteIndex: remote,
		Initiator:   initiator,
		Created:     now,
		send:        aead.New(&k.Send),
		receive:     aead.New(&k.Receive),
	}
	k.Clear()
	return s
}

// Reserve gives the caller the n counters from first on. It refuses, and will
// from then on, when the session is wire.RejectAfterTime old or the counters
// would reach wire.RejectAfterMessages ([W] 6.2); the caller stages what it has.
// rekeyDue says that the session should be replaced, see Peer.HandleRekeyDue:
// the answer is the same for every call until it has been.
//
// hot path
func (s *Session) Reserve(now mono.Time, n int) (first uint64, ok, rekeyDue bool) {
	if s.dead.Load() {
		return 0, false, false
	}
	if now.Sub(s.Created) >= wire.RejectAfterTime {
		s.dead.Store(true)
		return 0, false, false
	}
	if s.next.Load() >= sharedLimit {
		return s.reserveLast(uint64(n))
	}
	end := s.next.Add(uint64(n))
	return end - uint64(n), true, s.Initiator && now.Sub(s.Created) >= wire.RekeyAfterTime || end > wire.RekeyAfterMessages
}

// reserveLast is Reserve near the limit, where an addition that goes too far
// could not be taken back in time.
func (s *Session) reserveLast(n uint64) (first uint64, ok, rekeyDue bool) {
	for {
		first = s.next.Load()
		if first > wire.RejectAfterMessages || n > wire.RejectAfterMessages-first {
			s.dead.Store(true)
			return 0, false, false
		}
		if s.next.CompareAndSwap(first, first+n) {
			return first, true, true
		}
	}
}

// Seal makes buf a transport message in place: wire.TransportHeaderSize bytes
// for the header, the padded packet, and wire.TagSize bytes for the tag. counter
// came from Reserve and is used once.
func (s *Session) Seal(buf []byte, counter uint64) {
	wire.PutTransportHeader(buf, s.RemoteIndex, counter)
	s.send.Seal(buf[wire.TransportHeaderSize:], counter)
}

// Frame writes the headers of the messages that lie end to end in buf and adds
// them to r, to be sealed by SealRun. Each has size bytes but for the last,
// which may be shorter, and is laid out as Seal has it; the first gets the
// counter first, the others the following ones.
//
// hot path
func (s *Session) Frame(r *aead.Run, buf []byte, size int, first uint64) {
	for len(buf) > 0 {
		m := buf[:min(size, len(buf))]
		buf = buf[len(m):]
		wire.PutTransportHeader(m, s.RemoteIndex, first)
		r.Add(m[wire.TransportHeaderSize:], first)
		first++
	}
}

// SealRun seals what Frame added to r, in place.
//
// hot path
func (s *Session) SealRun(r *aead.Run) { s.send.SealRun(r) }

// Open decrypts a transport message in place and returns the padded packet,
// which is empty for a keepalive. It does not look for replays: see Admit.
func (s *Session) Open(msg []byte, counter uint64) (plaintext []byte, ok bool) {
	return s.receive.Open(msg[wire.TransportHeaderSize:], counter)
}

// OpenRun decrypts in place what was added to r: of each transport message all
// but its header. r.OK tells which were authentic. It does not look for replays:
// see Admit.
//
// hot path
func (s *Session) OpenRun(r *aead.Run) { s.receive.OpenRun(r) }

// Receivable reports whether the session is young enough to open messages with.
// [W] 6.2
//
// hot path
func (s *Session) Receivable(now mono.Time) bool {
	return now.Sub(s.Created) < wire.RejectAfterTime
}

// Admit passes the counters of a run of authenticated messages by the replay
// window and clears ok of those that were seen before, are too old or too high.
// Counters whose ok is false already are not looked at. [W] 5.4.6
//
// hot path
func (s *Session) Admit(counters []uint64, ok []bool) {
	s.mu.Lock()
	if s.window == nil {
		s.window = new(replay.Window)
	}
	for i, c := range counters {
		ok[i] = ok[i] && s.window.Accept(c)
	}
	s.mu.Unlock()
}

// FirstReceipt is called after messages were admitted. It returns true once, for
// the first of a session in which we are the responder: the session is confirmed
// and Peer.HandleConfirmed must be told.
//
// hot path
func (s *Session) FirstReceipt() bool {
	return !s.Initiator && !s.confirmed.Load() && s.confirmed.CompareAndSwap(false, true)
}

// Confirmed reports whether FirstReceipt has returned true.
func (s *Session) Confirmed() bool { return s.confirmed.Load() }

// RekeyDueOnReceive is asked of the session that is sent with, after anything
// authenticated was received from the peer. It returns true at most once: when
// we are the initiator and no keepalive or retry of ours may come in time any
// more. Peer.HandleRekeyDue must then be told. [W] 6.2, [K] receive.c
//
// hot path
func (s *Session) RekeyDueOnReceive(now mono.Time) bool {
	return s.Initiator && now.Sub(s.Created) >= wire.RekeyOnReceiveTime &&
		!s.dead.Load() && !s.asked.Load() && s.asked.CompareAndSwap(false, true)
}

// Sendable reports whether Reserve would have given a counter the last time it
// was called, and the machine has not ended the session.
//
// hot path
func (s *Session) Sendable() bool { return !s.dead.Load() }

// Clear erases the keys. No lane may be using the session any more.
func (s *Session) Clear() {
	s.dead.Store(true)
	s.send.Clear()
	s.receive.Clear()
}

// usable reports whether s exists and may be sent with at now.
func (s *Session) usable(now mono.Time) bool {
	return s != nil && !s.dead.Load() && now.Sub(s.Created) < wire.RejectAfterTime &&
		s.next.Load() < wire.RejectAfterMessages
}

// rekeyDue reports whether a usable session should be replaced. [W] 6.2: after
// so many messages by either side, after so much time by the initiator only.
func (s *Session) rekeyDue(now mono.Time) bool {
	return s.Initiator && now.Sub(s.Created) >= wire.RekeyAfterTime || s.next.Load() > wire.RekeyAfterMessages
}
