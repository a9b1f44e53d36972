package device

import (
	"slices"

	"github.com/warrenvpn/warren/internal/cookie"
	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/ratelimit"
	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/packet"
)

const (
	// intakeQueue bounds waiting handshake messages, underLoadAt says from which
	// length on the device is under load, as in the kernel (compat 5.6).
	intakeQueue = wire.HandshakeQueue
	underLoadAt = wire.UnderLoadQueue
	// openedQueue bounds what waits for control: the intake waits then, its
	// queue fills, and the device is under load.
	openedQueue = 64
)

// handshakeMessage is a copy of a message of type 1 to 3 and its sender.
type handshakeMessage struct {
	from packet.Endpoint
	n    int
	data [wire.InitiationSize]byte
}

func (m *handshakeMessage) bytes() []byte { return m.data[:m.n] }

// enqueueHandshake copies msg for the intake, or drops it if that is busy.
func (d *Device) enqueueHandshake(l *lane, msg []byte, from *packet.Endpoint) {
	m := handshakeMessage{from: *from, n: len(msg)}
	copy(m.data[:], msg)
	select {
	case d.intake <- m:
	default:
		l.drops.add(DropHandshakeFull, 1)
	}
}

// intake checks handshake messages before control sees them: mac1, and under
// load mac2 and the rate of the source ([W] 5.3). It does the one
// Diffie-Hellman that tells who is calling.
//
// It takes as many messages as there are, up to what can be multiplied in one
// call: under a flood it is the Diffie-Hellman that it has no time for.
type intake struct {
	d       *Device
	l       *lane
	of      *identity // whose checker it is
	checker *cookie.Checker
	limiter *ratelimit.Limiter
	loaded  mono.Time // when the queue was last long
	reply   [wire.CookieReplySize]byte

	batch  []handshakeMessage // taken from the queue
	passed []openedInitiation // for control
}

func (d *Device) startIntake() {
	d.startLane(func(l *lane) {
		in := &intake{d: d, l: l, limiter: ratelimit.New(wire.RatePerSecond, wire.RateBurst, wire.RateEntries)}
		for {
			select {
			case m := <-d.intake:
				in.take(m)
				l.epoch.enter()
				in.checkBatch(d.clock.Now())
				l.epoch.leave()
			case <-d.done:
				return
			}
			for _, p := range in.passed {
				select {
				case d.opened <- p:
				case <-d.done:
					return
				}
			}
			clear(in.passed) // what was opened is control's
		}
	})
}

// take makes a batch of m and what else is there.
func (in *intake) take(m handshakeMessage) {
	in.batch = append(in.batch[:0], m)
	for len(in.batch) < noise.MaxTogether {
		select {
		case m := <-in.d.intake:
			in.batch = append(in.batch, m)
		default:
			return
		}
	}
}

// checkBatch decides which messages control gets to see.
func (in *intake) checkBatch(now mono.Time) {
	in.passed = in.passed[:0]
	id := in.d.identity.Load()
	if id == nil {
		// [K]: without a private key a device neither makes nor answers handshakes.
		in.l.drops.add(DropBadMAC1, len(in.batch))
		return
	}
	if id != in.of {
		in.of, in.checker = id, cookie.NewChecker(id.public, in.d.rand)
	}
	var initiations [noise.MaxTogether]wire.Initiation
	n := 0
	for i := range in.batch {
		m := &in.batch[i]
		if !in.check(now, m) {
			continue
		}
		if t, _ := wire.Classify(m.bytes()); t == wire.TypeInitiation {
			initiations[n] = m.bytes()
			n++
		}
		in.passed = append(in.passed, openedInitiation{msg: *m, by: id})
	}
	if n > 0 {
		in.open(id, initiations[:n])
	}
}

// check decides whether control gets to see m, as far as that is known without a
// Diffie-Hellman.
func (in *intake) check(now mono.Time, m *handshakeMessage) bool {
	msg := m.bytes()
	t, _ := wire.Classify(msg)
	if t == wire.TypeCookieReply {
		return in.isAwaited(wire.CookieReply(msg).ReceiverIndex())
	}
	if !in.checker.CheckMAC1(msg) {
		in.l.drops.add(DropBadMAC1, 1)
		return false
	}
	if in.underLoad(now) && !in.admit(now, m) {
		return false
	}
	return t == wire.TypeInitiation || in.isAwaited(wire.Response(msg).ReceiverIndex())
}

// open reads who sent the initiations among what has passed, and takes those out
// of which that cannot be read.
func (in *intake) open(id *identity, initiations []wire.Initiation) {
	opened, _ := noise.OpenTogether(id.static, initiations...)
	i, kept := 0, in.passed[:0]
	for _, p := range in.passed {
		if t, _ := wire.Classify(p.msg.bytes()); t == wire.TypeInitiation {
			p.opened = opened[i]
			if i++; p.opened == nil {
				in.l.drops.add(DropBadHandshake, 1)
				continue
			}
		}
		kept = append(kept, p)
	}
	in.passed = kept
}

// isAwaited reports whether an answer to index can concern anybody: control is
// not to be bothered with a flood of guesses (A05).
func (in *intake) isAwaited(index uint32) bool {
	if in.d.index.lookup(index) == nil {
		in.l.drops.add(DropBadHandshake, 1)
		return false
	}
	return true
}

// underLoad follows the queue's length with a second of memory ([K] receive.c).
func (in *intake) underLoad(now mono.Time) bool {
	if len(in.d.intake) >= underLoadAt {
		in.loaded = now
		return true
	}
	if in.loaded.IsZero() {
		return false
	}
	if now.Sub(in.loaded) < wire.UnderLoadTime {
		return true
	}
	in.limiter.Collect(now) // after a flood its memory goes back
	if in.limiter.Len() == 0 {
		in.loaded = 0
	}
	return false
}

// admit requires proof of address from the sender, then limits its rate.
func (in *intake) admit(now mono.Time, m *handshakeMessage) bool {
	msg := m.bytes()
	if !in.checker.CheckMAC2(now, msg, m.from.Remote) {
		in.l.drops.add(DropCookieSent, 1)
		if in.checker.Reply(now, in.reply[:], msg, m.from.Remote) == nil {
			if port := in.d.port.Load(); port != nil {
				// A lost reply is asked for again by the sender's next message.
				_ = port.Send([]packet.Run{{Buf: in.reply[:], Segment: len(in.reply), To: m.from}})
			}
		}
		return false
	}
	if !in.limiter.Allow(now, m.from.Remote.Addr()) {
		in.l.drops.add(DropRateLimited, 1)
		return false
	}
	return true
}

// handshake gives an accepted message to the machine it concerns. Control only.
func (d *Device) handshake(in openedInitiation) {
	if in.by != d.identity.Load() || !d.up {
		return
	}
	now, msg := d.clock.Now(), in.msg.bytes()
	var p *peer
	var input func(*tunnel.Peer, []tunnel.Effect) []tunnel.Effect
	if in.opened != nil {
		p = d.peers.get(in.opened.Remote())
		input = func(m *tunnel.Peer, fx []tunnel.Effect) []tunnel.Effect {
			return m.HandleInitiation(now, in.opened, in.msg.from, fx)
		}
	} else if t, _ := wire.Classify(msg); t == wire.TypeResponse {
		p = d.indexOwner(wire.Response(msg).ReceiverIndex())
		input = func(m *tunnel.Peer, fx []tunnel.Effect) []tunnel.Effect {
			return m.HandleResponse(now, wire.Response(msg), in.msg.from, fx)
		}
	} else {
		p = d.indexOwner(wire.CookieReply(msg).ReceiverIndex())
		input = func(m *tunnel.Peer, fx []tunnel.Effect) []tunnel.Effect {
			return m.HandleCookieReply(now, wire.CookieReply(msg), fx)
		}
	}
	if p == nil {
		d.own.add(DropBadHandshake, 1)
		return
	}
	d.drive(p, func(m *tunnel.Peer, fx []tunnel.Effect) []tunnel.Effect {
		fx = input(m, fx)
		if slices.ContainsFunc(fx, func(e tunnel.Effect) bool { return e.Kind == tunnel.SetEndpoint }) {
			p.rx.Add(uint64(len(msg))) // it was accepted
		}
		return fx
	})
}

// indexOwner returns the peer whose handshake or session has the index.
func (d *Device) indexOwner(index uint32) *peer {
	if e := d.index.lookup(index); e != nil {
		return e.peer
	}
	return nil
}
