package tunnel

import (
	"sync/atomic"
	"time"

	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/wire"
)

// Activity is what lanes tell the machine about transport messages: a handful
// of instants from which three of the kernel's five timers follow. The zero
// value is ready. It must not be copied.
//
// Lanes (any number) call DataSent, DataReceived and KeepaliveReceived, once
// per run of authenticated messages, after the run. Everything else belongs to
// the machine, that is, to the goroutine that owns the Peer. In the steady state
// a call is two or three loads and at most two stores.
//
// # Sleeping
//
// A lane must be able to arm a deadline without touching a timer or waking
// control. So a peer is asleep or awake:
//
//   - Awake, its Deadline is never more than wire.KeepaliveTimeout ahead of the
//     instant it was woken or last looked at. Whatever a lane arms meanwhile is
//     due wire.KeepaliveTimeout after the arming at the earliest, so the machine
//     looks in time without being told.
//   - Asleep, nothing is armed here but the persistent keepalive, which lanes only
//     ever put off. A lane that arms something finds the peer asleep, wakes it and
//     returns wake; its caller must then make control read Peer.Deadline again.
//
// HandleTimeout puts a peer to sleep when nothing is armed: it clears the flag,
// then reads the values again. A lane stores its value first and looks at the
// flag second. All are sequentially consistent atomics, so one of the two sees
// the other: a deadline is never lost. The price is at most one early timeout
// every ten seconds for a peer with traffic.
type Activity struct {
	// awake is when the peer was woken or last looked at; 0 while it is asleep.
	// Lanes: 0 to now. Machine: all else.
	awake atomic.Int64
	// unheard is when the first data was sent that no authenticated message has
	// followed since; 0 if there is none. Lanes set and clear it, the machine
	// clears it.
	unheard atomic.Int64
	// unanswered is when the first data was received after which we have not sent
	// anything authenticated; 0 if there is none. As unheard.
	unanswered atomic.Int64
	// traversal is when the last authenticated message passed either way, kept
	// only while persistent is not 0.
	traversal atomic.Int64
	// persistent is the persistent keepalive interval in seconds; 0 is off.
	// Written by the machine.
	persistent atomic.Uint32
	// another says that data was received while unanswered was set already: a
	// second keepalive follows the first. [K] timers.c: need_another_keepalive
	another atomic.Bool
}

// laneLag is how old the instant a lane reports may be when it reports it.
const laneLag = 10 * time.Millisecond

// lookAgain is how far the deadline of an awake peer lies ahead at most.
const lookAgain = wire.KeepaliveTimeout - laneLag

// DataSent notes that messages with data were sent. [K] timers.c:
// wg_timers_data_sent
//
// hot path
func (a *Activity) DataSent(now mono.Time) (wake bool) {
	a.sent(now)
	if a.unheard.Load() != 0 || !a.unheard.CompareAndSwap(0, int64(now)) {
		return false
	}
	return a.wake(now)
}

// DataReceived notes that messages with data were received and authenticated,
// whatever became of the packets in them. [K] timers.c: wg_timers_data_received
//
// hot path
func (a *Activity) DataReceived(now mono.Time) (wake bool) {
	a.received(now)
	if a.unanswered.Load() == 0 && a.unanswered.CompareAndSwap(0, int64(now)) {
		return a.wake(now)
	}
	if !a.another.Load() {
		a.another.Store(true)
	}
	return false
}

// KeepaliveReceived notes that only keepalives were received. It arms nothing,
// or two idle peers would answer each other for ever (T05, B56).
//
// hot path
func (a *Activity) KeepaliveReceived(now mono.Time) { a.received(now) }

// sent notes that anything authenticated was sent, handshake messages included.
func (a *Activity) sent(now mono.Time) {
	if a.unanswered.Load() != 0 {
		a.unanswered.Store(0)
	}
	a.traversed(now)
}

// received notes that anything authenticated was received.
func (a *Activity) received(now mono.Time) {
	if a.unheard.Load() != 0 {
		a.unheard.Store(0)
	}
	a.traversed(now)
}

// traversed puts off the persistent keepalive.
func (a *Activity) traversed(now mono.Time) {
	if a.persistent.Load() != 0 && a.traversal.Load() < int64(now) {
		a.traversal.Store(int64(now))
	}
}

// wake marks the peer awake and reports whether it was asleep.
func (a *Activity) wake(now mono.Time) bool {
	return a.awake.Load() == 0 && a.awake.CompareAndSwap(0, int64(now))
}

// owe arms the passive keepalive on behalf of the machine.
func (a *Activity) owe(now mono.Time) {
	a.unanswered.CompareAndSwap(0, int64(now))
	a.wake(now)
}

// lookAgainAt is when an awake peer must be looked at, zero for one asleep.
func (a *Activity) lookAgainAt() mono.Time {
	t := mono.Time(a.awake.Load())
	if t.IsZero() {
		return 0
	}
	return t.Add(lookAgain)
}

// settle puts an awake peer to sleep if nothing is armed, or looks again later.
func (a *Activity) settle(now mono.Time) {
	if !due(a.lookAgainAt(), now) {
		return
	}
	if a.armed() {
		a.awake.Store(int64(now))
		return
	}
	a.awake.Store(0)
	if a.armed() { // by a lane that saw the flag still set
		a.wake(now)
	}
}

func (a *Activity) armed() bool { return a.unheard.Load() != 0 || a.unanswered.Load() != 0 }

// reset forgets everything but the interval.
func (a *Activity) reset() {
	a.awake.Store(0)
	a.unheard.Store(0)
	a.unanswered.Store(0)
	a.traversal.Store(0)
	a.another.Store(false)
}
