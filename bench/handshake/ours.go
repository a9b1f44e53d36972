package handshake

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"

	"github.com/warrenvpn/warren/internal/cookie"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/packet"
)

// ours is what a Device does with initiations that wait: the intake's part, which
// takes some of them together, and then control's.
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
	for len(initiations) > 0 {
		n := min(len(initiations), noise.MaxTogether)
		var batch [noise.MaxTogether]wire.Initiation
		for i, m := range initiations[:n] {
			if !o.checker.CheckMAC1(m) {
				return errors.New("mac1 is wrong")
			}
			batch[i] = m
		}
		opened, errs := noise.OpenTogether(o.static, batch[:n]...)
		for i := range n {
			if errs[i] != nil {
				return errs[i]
			}
			fx = o.peers[opened[i].Remote()].HandleInitiation(now(), opened[i], o.from, fx[:0])
			sent := slices.IndexFunc(fx, func(e tunnel.Effect) bool { return e.Kind == tunnel.Transmit })
			if sent < 0 {
				return errors.New("no response")
			}
			copy(responses[i], fx[sent].Message)
		}
		initiations, responses = initiations[n:], responses[n:]
	}
	return nil
}
