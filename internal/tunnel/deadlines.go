package tunnel

import (
	"time"

	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/wire"
)

// The kernel's five timers ([K] timers.c) are five instants here:
//
//	retransmit_handshake   p.retransmitAt
//	zero_key_material      p.zeroAt
//	new_handshake          silentAt: first unheard data + NewHandshakeTime + jitter
//	send_keepalive         keepaliveAt: first unanswered data + KeepaliveTimeout
//	persistent_keepalive   persistentAt: last traversal + interval
//
// The last three follow from what lanes wrote to Activity.

// crossedWait is how much longer than usual the smaller public key waits with its
// retry after two initiations have crossed: longer than a way there and back.
const crossedWait = time.Second

// Deadline returns when HandleTimeout is due, or zero if nothing is pending. It
// may be earlier than anything there is to do, but never later.
func (p *Peer) Deadline() mono.Time {
	if !p.up {
		return 0
	}
	d := mono.Earliest(p.retransmitAt, p.zeroAt)
	d = mono.Earliest(d, p.activity.lookAgainAt())
	d = mono.Earliest(d, p.silentAt())
	d = mono.Earliest(d, p.keepaliveAt())
	return mono.Earliest(d, p.persistentAt())
}

// HandleTimeout does what has become due.
func (p *Peer) HandleTimeout(now mono.Time, fx []Effect) []Effect {
	if !p.up {
		return fx
	}
	if due(p.zeroAt, now) {
		fx = p.eraseOld(fx)
	}
	if due(p.retransmitAt, now) {
		fx = p.retransmit(now, fx)
	}
	if due(p.silentAt(), now) {
		fx = p.peerSilent(now, fx)
	}
	if due(p.keepaliveAt(), now) {
		fx = p.passiveKeepalive(now, fx)
	}
	if due(p.persistentAt(), now) {
		fx = p.persistentKeepalive(now, fx)
	}
	p.activity.settle(now)
	return fx
}

// eraseOld erases every key. [W] 6.3
func (p *Peer) eraseOld(fx []Effect) []Effect {
	p.zeroAt = 0
	return report(p.eraseAll(fx), KeysErased)
}

func due(at, now mono.Time) bool { return !at.IsZero() && at <= now }

// retransmit sends the next initiation of a series, or ends it.
//
// [W] 6.4: retried every Rekey-Timeout with a new ephemeral key, given up after
// Rekey-Attempt-Time. [K] timers.c: wg_expired_retransmit_handshake
func (p *Peer) retransmit(now mono.Time, fx []Effect) []Effect {
	p.retransmitAt = 0
	if p.attempts > wire.MaxTimerHandshakes {
		p.activity.unanswered.Store(0)
		if p.zeroAt.IsZero() {
			p.zeroAt = now.Add(wire.ZeroKeysTime)
		}
		return append(fx, Effect{Kind: DropStaged}, Effect{Kind: Report, Event: HandshakeGaveUp})
	}
	if !p.mayInitiate(now) {
		p.retransmitAt = p.retryTime(p.sentAt)
		return fx
	}
	p.attempts++
	return p.initiate(now, HandshakeRetried, append(fx, Effect{Kind: ForgetSource}))
}

// retryTime is when an initiation that was sent at t is sent again.
func (p *Peer) retryTime(t mono.Time) mono.Time {
	return t.Add(wire.RekeyTimeout + p.jitter(t))
}

// silentAt is when the peer counts as dead for not having answered our data.
// [W] 6.4
func (p *Peer) silentAt() mono.Time {
	t := mono.Time(p.activity.unheard.Load())
	if t.IsZero() {
		return 0
	}
	return t.Add(wire.NewHandshakeTime + p.jitter(t))
}

func (p *Peer) peerSilent(now mono.Time, fx []Effect) []Effect {
	p.activity.unheard.Store(0)
	fx = append(fx, Effect{Kind: ForgetSource}, Effect{Kind: Report, Event: PeerSilent})
	return p.request(now, fx)
}

// keepaliveAt is when data we received must have been answered. [W] 6.5
func (p *Peer) keepaliveAt() mono.Time {
	t := mono.Time(p.activity.unanswered.Load())
	if t.IsZero() {
		return 0
	}
	return t.Add(wire.KeepaliveTimeout)
}

// passiveKeepalive answers data with nothing. If more data came meanwhile a second
// keepalive follows, in case the first is lost. [K] timers.c
func (p *Peer) passiveKeepalive(now mono.Time, fx []Effect) []Effect {
	p.activity.unanswered.Store(0)
	again := p.activity.another.Swap(false) && p.current.usable(now)
	fx = p.keepalive(now, fx)
	if again {
		p.activity.owe(now)
	}
	return fx
}

// persistentAt is when the persistent keepalive is due. Without a private key none
// is: the want is remembered.
func (p *Peer) persistentAt() mono.Time {
	t := mono.Time(p.activity.traversal.Load())
	interval := p.activity.persistent.Load()
	if t.IsZero() || interval == 0 || p.env.Static == nil {
		return 0
	}
	return t.Add(time.Duration(interval) * time.Second)
}

// persistentKeepalive is due again after the interval, whatever comes of this one.
func (p *Peer) persistentKeepalive(now mono.Time, fx []Effect) []Effect {
	p.activity.traversal.Store(int64(now))
	return p.keepalive(now, fx)
}

// keepalive sends an empty message, or begins the handshake it takes to send one.
func (p *Peer) keepalive(now mono.Time, fx []Effect) []Effect {
	if !p.current.usable(now) {
		return p.request(now, fx)
	}
	p.activity.sent(now)
	fx = append(fx, Effect{Kind: SendKeepalive, Session: p.current})
	if p.current.rekeyDue(now) {
		fx = p.request(now, fx)
	}
	return fx
}

// jitter is a time below wire.RekeyTimeoutJitterMax that depends on the peer's
// seed and on t alone: Deadline and HandleTimeout find the same one without
// anybody keeping it. The mixing is that of SplitMix64.
func (p *Peer) jitter(t mono.Time) time.Duration {
	z := p.seed + uint64(t)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return time.Duration(z%uint64(wire.RekeyTimeoutJitterMax/time.Millisecond)) * time.Millisecond
}
