package tunnel

import (
	"bytes"
	"io"

	"github.com/warrenvpn/warren/internal/cookie"
	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/packet"
)

// A peer has one handshake at a time, whoever began it: accepting an initiation
// discards our own, so that two which cross cannot both complete. The slot is
// p.pending; a handshake that we answer is over within HandleInitiation.

// request asks for a session on behalf of traffic, as opposed to a retry: it
// begins the count of attempts anew even if nothing may be sent now. [K] send.c
func (p *Peer) request(now mono.Time, fx []Effect) []Effect {
	p.attempts = 0
	if p.env.Static == nil {
		p.wanted = true
		return fx
	}
	p.wanted = false
	if !p.mayInitiate(now) {
		if p.retransmitAt.IsZero() && !p.current.usable(now) {
			p.retransmitAt = p.retryTime(p.sentAt)
		}
		return fx
	}
	return p.initiate(now, HandshakeStarted, fx)
}

// mayInitiate keeps handshake messages apart.
//
// [W] 6.1: not more than one initiation per peer every Rekey-Timeout; [K] send.c
// counts responses too.
func (p *Peer) mayInitiate(now mono.Time) bool {
	return p.sentAt.IsZero() || now.Sub(p.sentAt) >= wire.RekeyTimeout
}

// initiate sends an initiation with a fresh ephemeral key and a fresh index, which
// takes the place of the one before.
func (p *Peer) initiate(now mono.Time, e Event, fx []Effect) []Effect {
	if due(p.zeroAt, now) { // after a suspend: not with the new handshake, but before it
		fx = p.eraseOld(fx)
	}
	p.sentAt = now // also if it fails, so that a key of low order costs little
	p.retransmitAt = 0
	index := p.env.Indices.Reserve(p)
	msg := make([]byte, wire.InitiationSize)
	pending, ok := p.newInitiation(msg, index)
	if !ok {
		p.env.Indices.Release(index)
		return report(fx, HandshakeImpossible)
	}
	p.dropPending()
	p.pending = pending
	p.addMACs(now, msg)
	p.activity.sent(now)
	p.retransmitAt = p.retryTime(now)
	return append(fx, Effect{Kind: Report, Event: e}, Effect{Kind: Transmit, Message: msg})
}

func (p *Peer) newInitiation(msg []byte, index uint32) (*noise.Initiator, bool) {
	var ephemeral [key.Size]byte
	defer clear(ephemeral[:])
	if _, err := io.ReadFull(p.env.Rand, ephemeral[:]); err != nil {
		return nil, false
	}
	stamp := p.env.Stamp()
	if !stamp.After(p.stamped) {
		stamp = p.stamped.Next() // [W] 5.1: the peer accepts nothing else
	}
	i, err := noise.Initiate(msg, p.env.Static, p.remote, &ephemeral, index, stamp)
	if err != nil {
		return nil, false
	}
	p.stamped = stamp
	return &i, true
}

// dropPending discards our own handshake. Its response will come too late.
func (p *Peer) dropPending() {
	if p.pending == nil {
		return
	}
	p.env.Indices.Release(p.pending.Sender())
	p.pending.Clear()
	p.pending = nil
}

// HandleInitiation is called with an initiation that claims to be the peer's. If
// it is, and is new, the peer is where it came from, and the session of our
// response waits in next for its first use. [W] 5.4.2, 5.4.3
func (p *Peer) HandleInitiation(now mono.Time, o *noise.Opened, from packet.Endpoint, fx []Effect) []Effect {
	if !p.up || p.env.Static == nil {
		return fx
	}
	r, err := o.Accept(p.env.Static, p.remote)
	if err != nil {
		return report(fx, InitiationRefused)
	}
	defer r.Clear()
	if e, ok := p.judge(now, r.Stamp()); !ok {
		return report(fx, e)
	}
	p.latest, p.acceptedAt = r.Stamp(), now
	fx = append(fx, Effect{Kind: SetEndpoint, To: from})
	return p.respond(now, &r, fx)
}

// judge says whether an authentic initiation is to be answered.
//
// [W] 5.1: "the responder keeps track of the greatest timestamp received per
// client and discards packets containing timestamps less than or equal to it"
func (p *Peer) judge(now mono.Time, stamp tai64n.Stamp) (Event, bool) {
	if !stamp.After(p.latest) {
		return InitiationReplayed, false
	}
	if !p.acceptedAt.IsZero() && now.Sub(p.acceptedAt) < wire.InitiationInterval {
		return InitiationTooSoon, false
	}
	return 0, true
}

func (p *Peer) respond(now mono.Time, r *noise.Responder, fx []Effect) []Effect {
	p.sentAt = now
	index := p.env.Indices.Reserve(p)
	msg := make([]byte, wire.ResponseSize)
	s, ok := p.newResponse(now, msg, r, index)
	if !ok {
		p.env.Indices.Release(index)
		return report(fx, InitiationRefused)
	}
	p.yield(now)
	p.dropPending()
	if p.next != nil {
		fx = report(fx, HandshakeUnconfirmed)
	}
	fx = p.installResponded(s, fx)
	p.addMACs(now, msg)
	p.activity.received(now)
	p.activity.sent(now)
	p.zeroAt = now.Add(wire.ZeroKeysTime)
	return append(fx, Effect{Kind: Transmit, Message: msg})
}

func (p *Peer) newResponse(now mono.Time, msg []byte, r *noise.Responder, index uint32) (*Session, bool) {
	var ephemeral [key.Size]byte
	defer clear(ephemeral[:])
	if _, err := io.ReadFull(p.env.Rand, ephemeral[:]); err != nil {
		return nil, false
	}
	remoteIndex := r.Receiver()
	keys, err := r.Respond(msg, &ephemeral, index, p.psk)
	if err != nil {
		return nil, false
	}
	return NewSession(index, remoteIndex, false, &keys, now), true
}

// yield puts our next initiation off, a retry or one that traffic asks for, when
// the peer's crossed ours and its public key is the greater one: both handshakes
// are lost then, and the next ones must not cross again, however slow the path is
// and however much both sides have to send (T08).
func (p *Peer) yield(now mono.Time) {
	own, theirs := p.env.Static.Public(), p.remote.Public()
	if p.pending == nil || p.retransmitAt.IsZero() || bytes.Compare(own[:], theirs[:]) > 0 {
		return
	}
	p.sentAt = now.Add(crossedWait)
	p.retransmitAt = max(p.retransmitAt, p.retryTime(now).Add(crossedWait))
}

// HandleResponse is called with a response to one of our initiations. A response
// makes a session once: the handshake it answers is gone before the session
// exists, so a duplicate finds nothing (B24, P16). [W] 5.4.3
func (p *Peer) HandleResponse(now mono.Time, m wire.Response, from packet.Endpoint, fx []Effect) []Effect {
	if !p.up || p.pending == nil || m.ReceiverIndex() != p.pending.Sender() {
		return report(fx, ResponseUnexpected)
	}
	keys, err := p.pending.Consume(m, p.env.Static, p.psk)
	if err != nil {
		return report(fx, ResponseRefused)
	}
	index := p.pending.Sender()
	p.pending.Clear()
	p.pending = nil

	s := NewSession(index, m.SenderIndex(), true, &keys, now)
	p.activity.received(now)
	p.activity.sent(now)
	p.zeroAt = now.Add(wire.ZeroKeysTime)
	fx = append(fx, Effect{Kind: SetEndpoint, To: from})
	fx = p.installInitiated(s, fx)
	// [W] 6.5, 5.4.3: the responder may send only after it heard from us, so the
	// new session is used at once, for a keepalive if for nothing better.
	fx = append(fx, Effect{Kind: SendKeepalive, Session: s}, Effect{Kind: Install, Session: s})
	return p.complete(fx)
}

// addMACs fills in mac1 and, if there is a cookie, mac2. [W] 5.4.4
func (p *Peer) addMACs(now mono.Time, msg []byte) {
	if p.cookies == nil {
		p.cookies = cookie.NewGenerator(p.remote.Public())
	}
	p.cookies.AddMACs(now, msg)
}
