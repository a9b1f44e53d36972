package device

import (
	"sync/atomic"

	"github.com/warrenvpn/warren/internal/allowedips"
	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/packet"
)

// peer is one peer as the engine sees it. The first group is shared with the
// lanes, each field in its own way; the second belongs to control alone. There
// may be a million of them, most of them idle: what only those that are not need
// is behind a pointer.
type peer struct {
	session  atomic.Pointer[tunnel.Session]  // sending session: control writes, lanes read
	endpoint atomic.Pointer[packet.Endpoint] // immutable value: control and lanes write, last writer wins
	activity tunnel.Activity                 // lanes write once per run, the machine reads
	staged   tunnel.Staged                   // lanes push, control drains
	rx, tx   atomic.Uint64                   // UDP payload bytes
	pending  atomic.Uint32                   // signal bits for control

	keepalive     uint16
	removed       bool
	public        key.Public     // immutable
	machine       *tunnel.Peer   // nil: it would be as it was made, and up if the device is; see Device.machineOf
	psk           *key.Preshared // until there is a machine, which keeps it then; nil: none
	nextSignal    *peer          // link of the signals list
	deadline      mono.Time
	lastHandshake int64           // wall time in nanoseconds since 1970, 0: never
	allowed       allowedips.List // in order of insertion; entries the routes give to another peer are stale
	stale         int32           // at least this many entries of allowed are stale
	place         int32           // in the deadlines heap
	order         int32           // place in Device.order
}

// preshared returns the preshared key, or nil. It must not be changed.
func (p *peer) preshared() *key.Preshared {
	if p.machine != nil {
		return p.machine.Preshared()
	}
	return p.psk
}

// setPreshared makes a copy of k the preshared key; a zero key means none.
func (p *peer) setPreshared(k *key.Preshared) {
	if p.machine != nil {
		p.machine.SetPreshared(k)
		return
	}
	tunnel.ReplacePreshared(&p.psk, k)
}

// clear erases what secrets p holds besides its sessions.
func (p *peer) clear() {
	p.setPreshared(nil)
	if p.machine != nil {
		p.machine.Clear()
	}
}

// roam makes to the endpoint of the peer, if it differs.
//
// hot path
func (p *peer) roam(to *packet.Endpoint) {
	if have := p.endpoint.Load(); have != nil && *have == *to {
		return
	}
	e := *to
	p.endpoint.Store(&e)
}

// forgetSource clears the learnt local address (sticky source).
func (p *peer) forgetSource() {
	for {
		have := p.endpoint.Load()
		if have == nil || !have.Local.IsValid() {
			return
		}
		e := have.WithoutSource()
		if p.endpoint.CompareAndSwap(have, &e) {
			return
		}
	}
}
