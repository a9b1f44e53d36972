package device

import (
	"encoding/binary"
	"net/netip"

	"github.com/warrenvpn/warren/internal/ippkt"
	"github.com/warrenvpn/warren/internal/wire"
)

const (
	// outerHops is the TTL or hop limit of messages, as in the kernel.
	outerHops = 64
	// nestingCost is what a message loses of it when it carries another message:
	// after 16 tunnels in each other there is no more.
	nestingCost = 4
)

// isOwnDatagram reports whether a UDP packet that came out of the TUN is one of
// our own messages to the peer it would be sent to: the route to the endpoint
// leads into the tunnel. An onion, where the endpoint lies behind another peer,
// is no such packet; nor is a message of another host that we route, which may
// have the same ports but not our indices.
func (d *Device) isOwnDatagram(h *ippkt.Header, pkt []byte, p *peer, endpoint netip.AddrPort, port uint16) bool {
	if h.Dst != endpoint.Addr() || h.Fragment || len(pkt) < h.Transport+ippkt.UDPSize {
		return false
	}
	u := pkt[h.Transport:]
	if binary.BigEndian.Uint16(u) != port || binary.BigEndian.Uint16(u[2:]) != endpoint.Port() {
		return false
	}
	msg := u[ippkt.UDPSize:]
	var ours *indexEntry
	switch t, _ := wire.Classify(msg); t {
	case wire.TypeTransport:
		s := p.session.Load()
		return s != nil && wire.Transport(msg).ReceiverIndex() == s.RemoteIndex
	case wire.TypeInitiation:
		ours = d.index.lookup(wire.Initiation(msg).SenderIndex())
	case wire.TypeResponse:
		ours = d.index.lookup(wire.Response(msg).SenderIndex())
	}
	return ours != nil && ours.peer == p
}

// nestedHops returns the hop limit of the message that is to carry a UDP packet:
// 0, the default, for ordinary traffic. A packet that may itself be a message,
// or a piece of one, hands down what is left of its own, so that a loop through
// several tunnels ends, which nothing else would notice: each pass makes the
// packet larger, and fragments make more of them. ok is false where none is left.
func nestedHops(h *ippkt.Header, pkt []byte) (hops uint8, ok bool) {
	if !h.Fragment && !h.More {
		p := pkt[min(h.Transport+ippkt.UDPSize, len(pkt)):]
		if len(p) < 4 || p[0] < 1 || p[0] > 4 || p[1]|p[2]|p[3] != 0 {
			return 0, true
		}
	}
	own := pkt[8]
	if h.Version == 6 {
		own = pkt[7]
	}
	left := min(int(own), outerHops+nestingCost) - nestingCost
	return uint8(max(left, 0)), left >= 1
}
