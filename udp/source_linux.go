package udp

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/packet"
)

// sources decides whether a learnt source address may be used (sticky source,
// [K] socket.c): answers leave from the address that was contacted, also when
// it is not the one the kernel would choose, until that address is gone or the
// route from it to the peer goes out through another interface than it did.
//
// The epoch counts changes of links, addresses, routes and rules, as a netlink
// socket in the namespace of the port reports them. Within an epoch an answer
// stays true, so one look at a table of the last answers is all it costs. After
// a change the route is asked for again, once for each address in use, and a
// source whose route moved is not used any more (K24, K25, K28); a change that
// does not concern it leaves it alone (K26, K27).
//
// Without netlink (no permission, or a filter forbids it), or when the table is
// full, the epoch of the endpoint decides alone: a source learnt in the present
// epoch is used. A send that fails because of its source starts a new one.
type sources struct {
	epoch atomic.Uint32
	slots [sourceSlots]atomic.Pointer[sourceAnswer]

	routes *routes    // nil: no netlink
	asking sync.Mutex // guards the questions to routes
}

// sourceSlots bounds the table. It also bounds the questions per epoch.
const (
	sourceBits  = 10
	sourceSlots = 1 << sourceBits
)

// sourceAnswer is immutable.
type sourceAnswer struct {
	remote, local netip.Addr
	epoch         uint32 // in which it was found out
	via           int32  // the interface, when it was last usable; 0: never yet
	usable        bool
	fresh         bool // it was asked for a source learnt in that epoch
}

func (a *sourceAnswer) isAbout(e *packet.Endpoint) bool {
	return a.local == e.Local && a.remote == e.Remote.Addr()
}

// start begins to follow the routing of the host, if that can be done.
func (s *sources) start(p *port) {
	s.epoch.Store(1)
	r, err := openRoutes(p.sys, &p.mark)
	if err != nil {
		return
	}
	s.routes = r
	p.follower.Go(func() {
		r.follow(p, func() { s.advance(); p.plain.forget() })
	})
}

func (s *sources) close() {
	if s.routes != nil {
		s.routes.close()
	}
}

// advance begins a new epoch.
func (s *sources) advance() { s.epoch.Add(1) }

// usable reports whether e.Local, which is valid, is to be the source.
//
// hot path
func (s *sources) usable(e *packet.Endpoint) bool {
	epoch := s.epoch.Load()
	if s.routes == nil {
		return e.Epoch == epoch
	}
	slot := &s.slots[slotOf(e.Remote.Addr(), e.Local)]
	last := slot.Load()
	if last != nil && last.epoch == epoch {
		if !last.isAbout(e) {
			return e.Epoch == epoch // the slot is taken, and stays so: questions are bounded
		}
		if last.usable || last.fresh || e.Epoch != epoch {
			return last.usable
		}
	}
	return s.ask(slot, last, e, epoch)
}

// slotOf spreads pairs of addresses over the table. Whoever makes them collide
// gains nothing.
func slotOf(remote, local netip.Addr) uint64 {
	const odd, other = 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f
	r, l := remote.As16(), local.As16()
	h := binary.NativeEndian.Uint64(r[:8])*odd ^ binary.NativeEndian.Uint64(r[8:])
	h = (h^h>>29)*odd ^ binary.NativeEndian.Uint64(l[:8])*other ^ binary.NativeEndian.Uint64(l[8:])
	return (h * odd) >> (64 - sourceBits)
}

// ask asks the kernel, and puts the answer in the place of last.
func (s *sources) ask(slot *atomic.Pointer[sourceAnswer], last *sourceAnswer, e *packet.Endpoint, epoch uint32) bool {
	if !s.asking.TryLock() {
		return e.Epoch == epoch // somebody else is asking: do not wait for that
	}
	defer s.asking.Unlock()
	fresh := e.Epoch == epoch
	next := &sourceAnswer{remote: e.Remote.Addr(), local: e.Local, epoch: epoch, fresh: fresh}
	if last != nil && last.isAbout(e) {
		next.via = last.via
	}
	if via, ok := s.routes.via(next.remote, next.local); ok {
		// One that was never sent from is right if nothing has changed since it
		// was learnt; any is right on the interface that has the address.
		next.usable = via == next.via || next.via == 0 && fresh || s.routes.isOn(next.local, via)
		if next.usable {
			next.via = via
		}
	}
	slot.Store(next)
	return next.usable
}

// isSourceError reports whether a send that asks for a source may have failed
// because of that.
func isSourceError(errno unix.Errno) bool {
	switch errno {
	case unix.EINVAL, unix.EADDRNOTAVAIL, unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ENODEV:
		return true
	}
	return false
}
