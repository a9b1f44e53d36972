// Package tuntest is a TUN in memory: for tests, for examples, and for programs
// that have packets to send through a tunnel but no system to take them from.
//
// New returns both ends. A TUN is what a device drives, in the sense of package
// device; a Host stands for the system behind the interface: it sends and
// receives IP packets and takes the link up and down. Between them are bounded
// channels and nothing else: no goroutine, no clock, so that a test in a
// synctest bubble behaves the same each time.
//
//	dev, host := tuntest.New(tuntest.Config{Name: "wg0", MTU: 1420, Up: true})
//	go device.Run(ctx) // with TUN: dev
//	err := host.Send(ping)
//	p, err := host.Receive()
package tuntest

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/warrenvpn/warren/internal/offload"
	"github.com/warrenvpn/warren/packet"
)

// headroom is what Read leaves in front of a packet.
const headroom = 16

// ErrFull is returned by Write when the host does not keep up, as a system has
// no memory left then. The packet is lost.
var ErrFull = errors.New("tuntest: the host's queue is full")

// Config describes a TUN in memory. The zero Config is a link that is down,
// called "tun0", with an MTU of 1420, one queue and no offload.
type Config struct {
	Name   string
	MTU    int
	Queues int
	Up     bool
	// TCP and UDP say which super-packets the host takes whole; the others reach
	// it in pieces.
	TCP, UDP bool
	// Depth is how many packets wait in each direction of each queue, 1024 if 0.
	Depth int
}

// Packet is one IP packet.
type Packet struct {
	Offload packet.Offload
	Data    []byte
}

// Segments returns the ordinary packets that p stands for, with complete
// checksums.
func (p Packet) Segments() ([][]byte, error) {
	if p.Offload == (packet.Offload{}) {
		return [][]byte{p.Data}, nil
	}
	var c offload.Cutter
	if err := c.Reset(p.Data, p.Offload, offload.Layout{}); err != nil {
		return nil, err
	}
	var list [][]byte
	for !c.Done() {
		b := make([]byte, 2*packet.MaxSuper)
		size, n, total := c.Next(b)
		if n == 0 {
			return nil, offload.ErrShortBuffer
		}
		for b = b[:total]; len(b) > 0; b = b[min(size, len(b)):] {
			list = append(list, b[:min(size, len(b)):min(size, len(b))])
		}
	}
	return list, nil
}

// TUN is the device's end.
type TUN struct {
	link   *link
	queues []*queue
	ports  []Queue
}

// Queue is one packet queue; see package device for its contract.
type Queue = packet.Queue

// Host is the system's end. Its methods are safe for concurrent use.
type Host struct {
	link   *link
	queues []*queue
	next   atomic.Uint32
}

// link is what both ends share.
type link struct {
	name     string
	tcp, udp atomic.Bool
	mtu      atomic.Int64
	dropped  atomic.Uint64
	events   chan packet.LinkEvent
	in       chan Packet   // to the host
	closed   chan struct{} // by the device, or by removal

	mu    sync.Mutex // guards what follows, and sends on events against closing it
	up    bool
	ended bool
}

// New returns the two ends of a link.
func New(c Config) (*TUN, *Host) {
	if c.Name == "" {
		c.Name = "tun0"
	}
	if c.MTU == 0 {
		c.MTU = 1420
	}
	if c.Depth == 0 {
		c.Depth = 1024
	}
	l := &link{
		name: c.Name, up: c.Up, events: make(chan packet.LinkEvent, 256),
		in: make(chan Packet, c.Depth), closed: make(chan struct{}),
	}
	l.mtu.Store(int64(c.MTU))
	l.tcp.Store(c.TCP)
	l.udp.Store(c.UDP)
	l.events <- packet.LinkEvent{Kind: state(c.Up)}
	t, h := &TUN{link: l}, &Host{link: l}
	for range max(c.Queues, 1) {
		q := &queue{link: l, out: make(chan Packet, c.Depth)}
		t.queues, t.ports, h.queues = append(t.queues, q), append(t.ports, q), append(h.queues, q)
	}
	return t, h
}

func state(up bool) packet.LinkEventKind {
	if up {
		return packet.LinkUp
	}
	return packet.LinkDown
}

// Name returns the name of the link.
func (t *TUN) Name() string { return t.link.name }

// MTU returns the present MTU.
func (t *TUN) MTU() int { return int(t.link.mtu.Load()) }

// Queues returns the packet queues.
func (t *TUN) Queues() []Queue { return t.ports }

// Joins returns which super-packets the host takes.
func (t *TUN) Joins() (tcp, udp bool, limit int) {
	return t.link.tcp.Load(), t.link.udp.Load(), packet.MaxSuper
}

// Events tells of what the host does to the link, its state first.
func (t *TUN) Events() <-chan packet.LinkEvent { return t.link.events }

// Close ends both ends.
func (t *TUN) Close() error {
	t.link.end()
	return nil
}

func (l *link) end(last ...packet.LinkEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	for _, ev := range last {
		l.post(ev)
	}
	close(l.closed)
	close(l.events)
}

// post sends an event, with l.mu held. A device that never looks at its events
// loses them.
func (l *link) post(ev packet.LinkEvent) {
	select {
	case l.events <- ev:
	default:
	}
}

// queue carries packets of one queue.
type queue struct {
	link *link
	out  chan Packet // from the host
}

// Read returns what the host sent.
func (q *queue) Read(batch []packet.Super) (int, error) {
	if len(batch) == 0 {
		return 0, nil
	}
	select {
	case <-q.link.closed: // also if there are packets
		return 0, os.ErrClosed
	default:
	}
	select {
	case p := <-q.out:
		if err := p.fill(&batch[0]); err != nil {
			return 0, err
		}
	case <-q.link.closed:
		return 0, os.ErrClosed
	}
	n := 1
	for n < len(batch) {
		select {
		case p := <-q.out:
			if err := p.fill(&batch[n]); err != nil {
				return n, nil
			}
			n++
		default:
			return n, nil
		}
	}
	return n, nil
}

func (p Packet) fill(s *packet.Super) error {
	if len(s.Buf) < headroom+len(p.Data) {
		return fmt.Errorf("tuntest: packet of %d bytes for a buffer of %d", len(p.Data), len(s.Buf))
	}
	s.Off, s.N, s.Offload = headroom, copy(s.Buf[headroom:], p.Data), p.Offload
	return nil
}

// Write gives the host a copy of a packet, or of its pieces.
func (q *queue) Write(o packet.Offload, parts [][]byte) error {
	p := Packet{Offload: o}
	for _, b := range parts {
		p.Data = append(p.Data, b...)
	}
	if q.takes(o) {
		return q.deliver(p)
	}
	list, err := p.Segments()
	if err != nil {
		return err
	}
	for _, b := range list {
		if err := q.deliver(Packet{Data: b}); err != nil {
			return err
		}
	}
	return nil
}

func (q *queue) takes(o packet.Offload) bool {
	switch o.Kind {
	case packet.TCP4, packet.TCP6:
		return q.link.tcp.Load()
	case packet.UDP:
		return q.link.udp.Load()
	}
	return !o.NeedsCsum || q.link.tcp.Load() || q.link.udp.Load()
}

func (q *queue) deliver(p Packet) error {
	select {
	case <-q.link.closed:
		return os.ErrClosed
	default:
	}
	select {
	case q.link.in <- p:
		return nil
	default:
		q.link.dropped.Add(1)
		return ErrFull
	}
}

// Send sends a copy of an IP packet into the tunnel. It blocks while the device
// does not keep up.
func (h *Host) Send(pkt []byte) error { return h.SendSuper(packet.Offload{}, pkt) }

// SendSuper sends a copy of a packet with an offload into the tunnel. Packets
// go to the queues in turn.
func (h *Host) SendSuper(o packet.Offload, pkt []byte) error {
	i := int(h.next.Add(1)-1) % len(h.queues)
	return h.SendTo(i, o, pkt)
}

// SendTo is SendSuper by way of the queue with the given number.
func (h *Host) SendTo(number int, o packet.Offload, pkt []byte) error {
	select {
	case <-h.link.closed:
		return os.ErrClosed
	default:
	}
	select {
	case h.queues[number].out <- Packet{Offload: o, Data: append([]byte(nil), pkt...)}:
		return nil
	case <-h.link.closed:
		return os.ErrClosed
	}
}

// Receive waits for a packet from the tunnel. What came before the link ended
// is still received.
func (h *Host) Receive() (Packet, error) {
	select {
	case p := <-h.link.in:
		return p, nil
	default:
	}
	select {
	case p := <-h.link.in:
		return p, nil
	case <-h.link.closed:
		return Packet{}, os.ErrClosed
	}
}

// Packets is where packets from the tunnel come out; Receive reads it. It is
// never closed: Done tells when nothing comes any more.
func (h *Host) Packets() <-chan Packet { return h.link.in }

// Done is closed once the link has ended.
func (h *Host) Done() <-chan struct{} { return h.link.closed }

// Dropped returns how many packets were lost because nobody received them.
func (h *Host) Dropped() uint64 { return h.link.dropped.Load() }

// SetUp takes the link up or down.
func (h *Host) SetUp(up bool) {
	h.link.mu.Lock()
	defer h.link.mu.Unlock()
	if h.link.up != up && !h.link.ended {
		h.link.up = up
		h.link.post(packet.LinkEvent{Kind: state(up)})
	}
}

// SetMTU changes the MTU.
func (h *Host) SetMTU(mtu int) {
	h.link.mu.Lock()
	defer h.link.mu.Unlock()
	if h.link.mtu.Swap(int64(mtu)) != int64(mtu) && !h.link.ended {
		h.link.post(packet.LinkEvent{Kind: packet.MTUChanged, MTU: mtu})
	}
}

// SetOffload changes which super-packets the host takes whole.
func (h *Host) SetOffload(tcp, udp bool) {
	h.link.tcp.Store(tcp)
	h.link.udp.Store(udp)
}

// Remove deletes the link, as somebody else may do at any time.
func (h *Host) Remove() { h.link.end(packet.LinkEvent{Kind: packet.LinkGone}) }
