// Package udptest is a UDP network in memory, for tests and for programs that
// join several devices in one process.
//
// A Net has hosts with addresses; a Host is the Network of a device. Datagrams
// cross at once, through bounded queues that drop what does not fit, as sockets
// do; a Filter sees each of them, and may drop, change, repeat, delay or
// reorder. There are no goroutines and no clock inside, so everything works in
// a testing/synctest bubble, if the Net was made in it.
//
//	n := udptest.New()
//	alice := n.Host(netip.MustParseAddr("192.0.2.1"))
//	bob := n.Host(netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::2"))
//	a, err := device.New(device.Config{Network: alice, ...})
//
// It is not a simulation of networks: there are no routes, links, rates or
// NATs in it.
package udptest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"github.com/warrenvpn/warren/packet"
)

// queueLen is how many messages wait at a receiver before they are dropped.
const queueLen = 4096

// Packet is one datagram on its way.
type Packet struct {
	From, To netip.AddrPort
	TOS      byte
	HopLimit uint8  // 0: the default
	Payload  []byte // owned by whoever holds the Packet
}

// Filter decides what becomes of a datagram that was sent: it calls deliver for
// what is to arrive, as often as it wants and whenever it wants, also from
// another goroutine. It is called by several goroutines at once.
type Filter func(p Packet, deliver func(Packet))

// Net is a network. Its methods are safe for concurrent use.
type Net struct {
	mu      sync.RWMutex // guards what follows, and the addresses and ports of hosts
	hosts   map[netip.Addr]*Host
	filter  Filter
	dropped int
}

// New returns a network without hosts.
func New() *Net { return &Net{hosts: make(map[netip.Addr]*Host)} }

// SetFilter puts f in the way of every datagram sent from now on. Nil lets all
// pass.
func (n *Net) SetFilter(f Filter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.filter = f
}

// Dropped returns how many datagrams found no port, or its queue full.
func (n *Net) Dropped() int {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.dropped
}

// Host adds a host. The first address of a family is where it sends from unless
// it answers to another one.
func (n *Net) Host(addrs ...netip.Addr) *Host {
	h := &Host{net: n, ports: make(map[uint16]*port), epoch: 1, Coalesce: true, Steer: true}
	h.SetAddrs(addrs...)
	return h
}

// deliver puts p into the queue of the port it is for.
func (n *Net) deliver(p Packet) {
	n.mu.RLock()
	var to *port
	if h := n.hosts[p.To.Addr()]; h != nil {
		to = h.ports[p.To.Port()]
	}
	n.mu.RUnlock()
	if to != nil && to.enqueue(p) {
		return
	}
	n.mu.Lock()
	n.dropped++
	n.mu.Unlock()
}

// Host is one host: the Network of the devices on it.
type Host struct {
	// Coalesce hands messages of one size and sender over together, as a
	// socket with UDP_GRO does. Steer keeps handshake messages apart from
	// transport data. Both are on, and may be changed before Open.
	Coalesce, Steer bool

	net *Net

	// Guarded by net.mu.
	addrs []netip.Addr
	ports map[uint16]*port
	epoch uint32
	last  uint16 // random port given last
}

// SetAddrs gives the host other addresses, as when it roams. Its ports stay
// open; what they learnt as local address is forgotten.
func (h *Host) SetAddrs(addrs ...netip.Addr) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range h.addrs {
		delete(n.hosts, a)
	}
	h.addrs = slices.Clone(addrs)
	h.epoch++
	for _, a := range h.addrs {
		if n.hosts[a] != nil {
			panic(fmt.Sprintf("udptest: address %v belongs to two hosts", a))
		}
		n.hosts[a] = h
	}
}

// Open opens a port on all addresses of the host, present and future. Zero
// gives any free one. The mark is ignored.
func (h *Host) Open(number uint16, _ uint32) (packet.Port, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if number == 0 {
		number = h.free()
	}
	if number == 0 || h.ports[number] != nil {
		return nil, fmt.Errorf("open UDP port %d: %w", number, syscall.EADDRINUSE)
	}
	p := &port{host: h, number: number, closed: make(chan struct{})}
	p.data = &receiver{port: p, queue: make(chan Packet, queueLen)}
	if h.Steer {
		p.handshake = &receiver{port: p, queue: make(chan Packet, queueLen), handshake: true}
	}
	h.ports[number] = p
	return p, nil
}

// free returns a port number that is free, zero if there is none.
func (h *Host) free() uint16 {
	const first, count = 49152, 16384
	for range count {
		h.last = (h.last + 1) % count
		if h.ports[first+h.last] == nil {
			return first + h.last
		}
	}
	return 0
}

// sourceFor returns the address and epoch of the host for sending to e, or no
// address if it has none of that family.
func (h *Host) sourceFor(e *packet.Endpoint) netip.Addr {
	h.net.mu.RLock()
	defer h.net.mu.RUnlock()
	if e.Local.IsValid() && e.Epoch == h.epoch && slices.Contains(h.addrs, e.Local) {
		return e.Local
	}
	for _, a := range h.addrs {
		if a.Is4() == e.Remote.Addr().Is4() {
			return a
		}
	}
	return netip.Addr{}
}

// port is a port of a host.
type port struct {
	host      *Host
	number    uint16
	data      *receiver
	handshake *receiver // nil: everything arrives at data
	closed    chan struct{}
	closeOnce sync.Once
}

func (p *port) Number() uint16 { return p.number }

func (p *port) Receivers() []packet.Receiver {
	if p.handshake == nil {
		return []packet.Receiver{p.data}
	}
	return []packet.Receiver{p.data, p.handshake}
}

func (p *port) SetMark(uint32) error { return p.check() }

func (p *port) check() error {
	select {
	case <-p.closed:
		return net.ErrClosed
	default:
		return nil
	}
}

func (p *port) Close() error {
	p.closeOnce.Do(func() {
		p.host.net.mu.Lock()
		delete(p.host.ports, p.number)
		p.host.net.mu.Unlock()
		close(p.closed)
	})
	return nil
}

// enqueue reports whether there was room.
func (p *port) enqueue(m Packet) bool {
	r := p.data
	if p.handshake != nil && !isData(m.Payload) {
		r = p.handshake
	}
	select {
	case r.queue <- m:
		return true
	default:
		return false
	}
}

// isData reports whether a message is steered as transport data.
func isData(b []byte) bool {
	return len(b) >= 32 && [4]byte(b[:4]) == [4]byte{4}
}

func (p *port) Send(runs []packet.Run) error {
	if err := p.check(); err != nil {
		return err
	}
	var errs []error
	for i := range runs {
		errs = append(errs, p.send(&runs[i]))
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *port) send(r *packet.Run) error {
	to := r.To
	to.Remote = netip.AddrPortFrom(to.Remote.Addr().Unmap(), to.Remote.Port())
	from := p.host.sourceFor(&to)
	if !from.IsValid() || !to.IsValid() {
		return fmt.Errorf("send to %v: %w", to.Remote, errUnreachable)
	}
	p.host.net.mu.RLock()
	filter := p.host.net.filter
	p.host.net.mu.RUnlock()
	for rest := r.Buf; len(rest) > 0; {
		n := len(rest)
		if r.Segment > 0 {
			n = min(n, r.Segment)
		}
		m := Packet{
			From: netip.AddrPortFrom(from, p.number), To: to.Remote,
			TOS: r.TOS, HopLimit: r.HopLimit, Payload: slices.Clone(rest[:n]),
		}
		if filter != nil {
			filter(m, p.host.net.deliver)
		} else {
			p.host.net.deliver(m)
		}
		rest = rest[n:]
	}
	return nil
}

var errUnreachable = errors.New("no address of this family")

// receiver is one queue of a port. pending belongs to the goroutine that calls
// Receive.
type receiver struct {
	port      *port
	handshake bool
	queue     chan Packet
	pending   *Packet // taken from the queue, and not fit for the last datagram
}

func (r *receiver) Handshake() bool { return r.handshake }

func (r *receiver) Receive(batch []packet.Datagram) (int, error) {
	if err := r.port.check(); err != nil || len(batch) == 0 {
		return 0, err
	}
	for {
		if r.pending == nil {
			select {
			case m := <-r.queue:
				r.pending = &m
			case <-r.port.closed:
				return 0, net.ErrClosed
			}
		}
		n := 0
		for n < len(batch) && r.pending != nil {
			if len(r.pending.Payload) > len(batch[n].Buf) {
				r.pending = r.next() // too long to be taken whole
				continue
			}
			r.fill(&batch[n])
			n++
		}
		if n > 0 {
			return n, nil
		}
	}
}

// fill moves what is pending into d, and all that follows and belongs to it.
func (r *receiver) fill(d *packet.Datagram) {
	first := r.pending
	r.port.host.net.mu.RLock()
	epoch := r.port.host.epoch
	r.port.host.net.mu.RUnlock()
	d.N = copy(d.Buf, first.Payload)
	d.Segment, d.TOS = d.N, first.TOS
	d.From = packet.Endpoint{Remote: first.From, Local: first.To.Addr(), Epoch: epoch}
	for last := d.N; ; {
		if r.pending = r.next(); r.pending == nil || !r.port.host.Coalesce {
			return
		}
		m := r.pending
		fits := m.From == first.From && m.To == first.To && m.TOS == first.TOS &&
			last == d.Segment && len(m.Payload) <= d.Segment && d.N+len(m.Payload) <= len(d.Buf)
		if !fits {
			return
		}
		last = len(m.Payload)
		d.N += copy(d.Buf[d.N:], m.Payload)
	}
}

// next takes a message that is there already.
func (r *receiver) next() *Packet {
	select {
	case m := <-r.queue:
		return &m
	default:
		return nil
	}
}
