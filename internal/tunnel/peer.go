package tunnel

import (
	"encoding/binary"
	"io"

	"github.com/warrenvpn/warren/internal/cookie"
	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
)

// Env is what all peers of a device share. It belongs to the goroutine that owns
// the peers.
type Env struct {
	// Static is the local identity. Without one (nil) no handshake is begun or
	// answered; what is wanted meanwhile is remembered. [K] noise.c
	Static *noise.Static
	// Rand gives ephemeral keys and the seeds of jitter.
	Rand io.Reader
	// Stamp gives the label of the wall time for an initiation, or of the saved
	// floor if that is later. It need not increase: each peer makes its own labels
	// do so. (One Stamper for thousands of unreachable peers would run ahead of the
	// clock by minutes a second, and lock us out after a restart.)
	Stamp func() tai64n.Stamp
	// Indices gives and takes back session indices.
	Indices Indices
}

// Indices is the device's table of session indices. It is called from within
// inputs. A peer holds at most four indices: three sessions and a handshake.
type Indices interface {
	// Reserve returns a random index that is not in use and stands for a pending
	// handshake of p, until an Admit effect makes it a session's.
	Reserve(p *Peer) uint32
	// Release gives an index back. Within one input everything is reserved before
	// anything is released, so an index never changes hands there.
	Release(index uint32)
}

// Peer is the state of one peer. It is small until a handshake begins.
type Peer struct {
	env      *Env
	remote   *noise.Remote
	activity *Activity
	psk      *key.Preshared // nil: none

	cookies *cookie.Generator // nil until the first handshake message
	pending *noise.Initiator  // our initiation that waits for its response, or nil

	previous, current, next *Session // see keypairs.go

	stamped    tai64n.Stamp // timestamp of our last initiation; kept as long as the Peer
	latest     tai64n.Stamp // greatest timestamp accepted; kept as long as the Peer
	acceptedAt mono.Time    // when the last initiation was accepted

	sentAt       mono.Time // when we last sent a handshake message, or failed to make one
	retransmitAt mono.Time // when the next initiation of a series is due
	zeroAt       mono.Time // when all keys are to be erased

	seed     uint64 // of the jitter
	attempts int    // retries since the last request that was not a retry
	up       bool
	wanted   bool // a session was asked for while there was no private key
}

// NewPeer returns a peer that is down, see HandleUp. a is where the lanes will
// tell of its transport messages.
func NewPeer(env *Env, public key.Public, a *Activity) *Peer {
	var seed [8]byte
	_, _ = io.ReadFull(env.Rand, seed[:]) // without randomness there is no jitter
	return &Peer{
		env:      env,
		remote:   noise.NewRemote(public),
		activity: a,
		seed:     binary.LittleEndian.Uint64(seed[:]),
	}
}

// Public returns the peer's public key.
func (p *Peer) Public() key.Public { return p.remote.Public() }

// Sessions returns the three slots of keypairs.go; any may be nil. All of them
// are received with, current alone is sent with, if it is Sendable.
func (p *Peer) Sessions() (previous, current, next *Session) {
	return p.previous, p.current, p.next
}

// Attempts returns how many retries the present series of initiations has had.
func (p *Peer) Attempts() int { return p.attempts }

// Preshared returns the preshared key, or nil. It must not be changed.
func (p *Peer) Preshared() *key.Preshared { return p.psk }

// SetPreshared makes a copy of k the preshared key of all handshakes to come; nil
// or a zero key means none. Sessions that exist are not touched (P31).
func (p *Peer) SetPreshared(k *key.Preshared) { ReplacePreshared(&p.psk, k) }

// ReplacePreshared erases the key that at points to, if any, and puts a copy of k
// there: nothing for nil or a zero key.
func ReplacePreshared(at **key.Preshared, k *key.Preshared) {
	if *at != nil {
		(*at).Clear()
		*at = nil
	}
	if k != nil && !k.IsZero() {
		c := key.NewPreshared(*k.RevealBytes())
		*at = &c
	}
}

// PersistentKeepalive returns the interval in seconds, 0 for off.
func (p *Peer) PersistentKeepalive() uint16 { return uint16(p.activity.persistent.Load()) }

// SetPersistentKeepalive changes the interval; 0 is off. Turned on while the peer
// is up, the first keepalive goes out at once. [K] netlink.c
func (p *Peer) SetPersistentKeepalive(now mono.Time, seconds uint16, fx []Effect) []Effect {
	old := p.activity.persistent.Swap(uint32(seconds))
	if !p.up || old != 0 || seconds == 0 {
		return fx
	}
	return p.persistentKeepalive(now, fx)
}

// HandleUp is called when the interface goes up, and for a peer that is added
// while it is. A peer with persistent keepalive sends one at once. The caller
// follows with HandleWantSession if packets are staged. Called again it only
// begins the handshake that was wanted and could not be had. [K] device.c
func (p *Peer) HandleUp(now mono.Time, fx []Effect) []Effect {
	if !p.up {
		p.up = true
		p.activity.reset()
		if p.PersistentKeepalive() != 0 {
			return p.persistentKeepalive(now, fx)
		}
	}
	return p.beginWanted(now, fx)
}

// HandleDown is called when the interface goes down and before a peer is removed:
// keys, handshake and deadlines are gone, and the next handshake may begin at
// once. The configuration and the greatest timestamp stay. [K] device.c: wg_stop
func (p *Peer) HandleDown(_ mono.Time, fx []Effect) []Effect {
	p.up, p.wanted = false, false
	p.sentAt, p.retransmitAt, p.zeroAt, p.attempts = 0, 0, 0, 0
	fx = p.eraseAll(fx)
	p.remote.Clear()
	if p.cookies != nil {
		p.cookies.Clear()
		p.cookies = nil
	}
	return append(fx, Effect{Kind: DropStaged})
}

// Clear erases what secrets a peer holds besides its sessions. The peer is down
// and must not be used again.
func (p *Peer) Clear() {
	p.SetPreshared(nil)
	p.remote.Clear()
}

// HandleStaticChanged is called after Env.Static was changed, to nil included.
// Nothing is sent any more with sessions of the old identity; what the peer still
// sends with them is received. The next packet begins a handshake at once; of
// itself the peer sends something only if it waited for a private key, for the
// other side may not have been told of the new identity yet, and would cost us
// RekeyTimeout. [K] noise.c: wg_noise_expire_current_peer_keypairs (P32)
func (p *Peer) HandleStaticChanged(now mono.Time, fx []Effect) []Effect {
	p.remote.Clear()
	p.dropPending()
	p.sentAt = 0
	if p.current != nil {
		p.current.dead.Store(true)
		fx = append(fx, Effect{Kind: Uninstall})
	}
	if p.next != nil {
		p.next.dead.Store(true)
	}
	if p.env.Static == nil {
		p.wanted = p.wanted || p.up && (!p.retransmitAt.IsZero() || p.PersistentKeepalive() != 0)
		p.retransmitAt = 0
		return fx
	}
	return p.beginWanted(now, fx)
}

// beginWanted begins what could not be begun for want of a private key.
func (p *Peer) beginWanted(now mono.Time, fx []Effect) []Effect {
	switch {
	case !p.up || !p.wanted || p.env.Static == nil:
		return fx
	case p.PersistentKeepalive() != 0:
		return p.persistentKeepalive(now, fx)
	default:
		return p.request(now, fx)
	}
}

// HandleWantSession is called when packets were staged. If there is a session by
// now, they are on their way already.
func (p *Peer) HandleWantSession(now mono.Time, fx []Effect) []Effect {
	if !p.up || p.current.usable(now) {
		return fx
	}
	return p.request(now, fx)
}

// HandleRekeyDue is called when Session.Reserve or RekeyDueOnReceive said so.
// [W] 6.2
func (p *Peer) HandleRekeyDue(now mono.Time, fx []Effect) []Effect {
	if !p.up || p.current == nil || p.current.usable(now) && !p.current.rekeyDue(now) {
		return fx // the session was replaced since
	}
	return p.request(now, fx)
}

// HandleConfirmed is called when s.FirstReceipt returned true: the initiator holds
// the keys of s too. If s is the next session, it becomes the current one, and
// what is staged is sent with it. [W] 6.3 (P14)
func (p *Peer) HandleConfirmed(_ mono.Time, s *Session, fx []Effect) []Effect {
	if !p.up || s == nil || s != p.next {
		return fx
	}
	fx = p.promote(fx)
	if !s.Sendable() {
		return fx // its keys belong to an identity we gave up
	}
	fx = append(fx, Effect{Kind: Install, Session: s})
	return p.complete(fx)
}

// HandleCookieReply is called with a cookie reply to one of our handshake
// messages. It changes nothing but the mac2 of the next one: not the endpoint, no
// deadline. [W] 5.4.7 (P13, P27)
func (p *Peer) HandleCookieReply(now mono.Time, m wire.CookieReply, fx []Effect) []Effect {
	if !p.up || p.cookies == nil || !p.cookies.Consume(now, m) {
		return report(fx, CookieRefused)
	}
	return report(fx, CookieAccepted)
}

// complete notes that both sides hold the keys of the session that was installed.
func (p *Peer) complete(fx []Effect) []Effect {
	p.retransmitAt, p.attempts, p.wanted = 0, 0, false
	return report(fx, HandshakeComplete)
}

func report(fx []Effect, e Event) []Effect {
	return append(fx, Effect{Kind: Report, Event: e})
}
