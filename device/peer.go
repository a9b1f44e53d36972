package device

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/packet"
)

// peer is one peer as the engine sees it. The first group is shared with the
// lanes, each field in its own way; the second belongs to control alone.
type peer struct {
	session  atomic.Pointer[tunnel.Session]  // sending session: control writes, lanes read
	endpoint atomic.Pointer[packet.Endpoint] // immutable value: control and lanes write, last writer wins
	activity tunnel.Activity                 // lanes write once per run, the machine reads
	staged   tunnel.Staged                   // lanes push, control drains
	rx, tx   atomic.Uint64                   // UDP payload bytes
	pending  atomic.Uint32                   // signal bits for control

	public  key.Public // immutable
	machine *tunnel.Peer

	nextSignal    *peer // link of the signals list
	deadline      mono.Time
	place         int // in the deadlines heap
	lastHandshake time.Time
	keepalive     uint16
	allowed       []netip.Prefix // in order of insertion; entries the routes give to another peer are stale
	stale         int            // at least this many entries of allowed are stale
	order         int            // place in Device.order
	removed       bool
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
