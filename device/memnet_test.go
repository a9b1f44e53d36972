package device

import (
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/warrenvpn/warren/packet"
)

// memNet is an Internet in memory: datagrams go through channels, so it works
// in a synctest bubble.
type memNet struct {
	mu      sync.Mutex
	ports   map[netip.AddrPort]*memPort
	inspect func(from, to netip.AddrPort, b []byte)
	drop    func(from, to netip.AddrPort, b []byte) bool
}

// memHost is one host on it: a Network.
type memHost struct {
	net  *memNet
	addr netip.Addr
}

type memPort struct {
	net    *memNet
	self   netip.AddrPort
	data   *memSocket
	shakes *memSocket
}

type memSocket struct {
	ch        chan packet.Datagram
	closed    chan struct{}
	handshake bool
}

func newMemNet() *memNet { return &memNet{ports: make(map[netip.AddrPort]*memPort)} }

func (n *memNet) host(a netip.Addr) *memHost { return &memHost{n, a} }

// Inspect calls f for every datagram.
func (n *memNet) Inspect(f func(from, to netip.AddrPort, b []byte)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.inspect = f
}

// Drop loses every datagram for which f is true.
func (n *memNet) Drop(f func(from, to netip.AddrPort, b []byte) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drop = f
}

func (h *memHost) Open(number uint16, _ uint32) (packet.Port, error) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	for free := uint16(30000); number == 0; free++ {
		if n.ports[netip.AddrPortFrom(h.addr, free)] == nil {
			number = free
		}
	}
	self := netip.AddrPortFrom(h.addr, number)
	if n.ports[self] != nil {
		return nil, syscall.EADDRINUSE
	}
	closed := make(chan struct{})
	p := &memPort{
		net: n, self: self,
		data:   &memSocket{ch: make(chan packet.Datagram, 4096), closed: closed},
		shakes: &memSocket{ch: make(chan packet.Datagram, 4096), closed: closed, handshake: true},
	}
	n.ports[self] = p
	return p, nil
}

func (p *memPort) Number() uint16 { return p.self.Port() }

func (p *memPort) Receivers() []packet.Receiver { return []packet.Receiver{p.data, p.shakes} }

func (p *memPort) SetMark(uint32) error { return nil }

func (p *memPort) Close() error {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	delete(p.net.ports, p.self)
	close(p.data.closed)
	return nil
}

// Send delivers a run whole, as GRO would.
func (p *memPort) Send(runs []packet.Run) error {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	for _, r := range runs {
		if f := p.net.inspect; f != nil {
			f(p.self, r.To.Remote, r.Buf)
		}
		if f := p.net.drop; f != nil && f(p.self, r.To.Remote, r.Buf) {
			continue
		}
		p.net.deliver(p.self, r)
	}
	return nil
}

func (n *memNet) deliver(from netip.AddrPort, r packet.Run) {
	to := n.ports[r.To.Remote]
	if to == nil {
		return
	}
	s := to.data
	if r.Buf[0] != 4 {
		s = to.shakes
	}
	g := packet.Datagram{
		Buf: append([]byte(nil), r.Buf...), N: len(r.Buf), Segment: r.Segment, TOS: r.TOS,
		From: packet.Endpoint{Remote: from, Local: r.To.Remote.Addr()},
	}
	select {
	case s.ch <- g:
	default:
	}
}

// inject delivers b as if it came from the given address.
func (n *memNet) inject(from, to netip.AddrPort, b []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deliver(from, packet.Run{Buf: b, Segment: len(b), To: packet.Endpoint{Remote: to}})
}

func (s *memSocket) Handshake() bool { return s.handshake }

func (s *memSocket) Receive(batch []packet.Datagram) (int, error) {
	select {
	case g := <-s.ch:
		b := &batch[0]
		b.N, b.Segment, b.From, b.TOS = copy(b.Buf, g.Buf), g.Segment, g.From, g.TOS
		return 1, nil
	case <-s.closed:
		return 0, net.ErrClosed
	}
}
