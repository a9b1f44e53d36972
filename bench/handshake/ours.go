package handshake

import (
	"crypto/rand"
	"errors"
	"net/netip"

	"github.com/warrenvpn/warren/internal/cookie"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/packet"
)

// ours is what a Device does with an initiation: the intake's part and then
// control's.
type ours struct {
	static  *noise.Static
	checker *cookie.Checker
	peers   map[key.Public]*tunnel.Peer
	indices indices
	from    packet.Endpoint
}

// indices is the table of session indices.
type indices map[uint32]*tunnel.Peer

func (t indices) Reserve(p *tunnel.Peer) uint32 {
	i := index(t)
	t[i] = p
	return i
}

func (t indices) Release(i uint32) { delete(t, i) }

func newOurs(private *key.Private, peers []key.Public) *ours {
	o := &ours{
		static:  noise.NewStatic(private),
		checker: cookie.NewChecker(private.Public(), rand.Reader),
		peers:   map[key.Public]*tunnel.Peer{},
		indices: indices{},
		from:    packet.Endpoint{Remote: netip.MustParseAddrPort("192.0.2.1:51820")},
	}
	env := &tunnel.Env{
		Static: o.static, Rand: rand.Reader, Indices: o.indices,
		Stamp: func() tai64n.Stamp { return tai64n.FromTime(1_700_000_000, 0) },
	}
	for _, public := range peers {
		p := tunnel.NewPeer(env, public, new(tunnel.Activity))
		p.HandleUp(now(), nil)
		o.peers[public] = p
	}
	return o
}

func (o *ours) respond(initiations, responses [][]byte) error {
	var fx []tunnel.Effect
	for i, m := range initiations {
		if !o.checker.CheckMAC1(m) {
			return errors.New("mac1 is wrong")
		}
		opened, err := noise.Open(o.static, wire.Initiation(m))
		if err != nil {
			return err
		}
		fx = o.peers[opened.Remote()].HandleInitiation(now(), &opened, o.from, fx[:0])
		answered := false
		for _, e := range fx {
			if e.Kind == tunnel.Transmit {
				copy(responses[i], e.Message)
				answered = true
			}
		}
		if !answered {
			return errors.New("no response")
		}
	}
	return nil
}
