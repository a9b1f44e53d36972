package device

import (
	"errors"
	"net"

	"github.com/warrenvpn/warren/internal/aead"
	"github.com/warrenvpn/warren/internal/ippkt"
	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/offload"
	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/packet"
)

// udpBatch is how many datagrams, coalesced or not, are taken from a socket
// before what was opened goes to the TUN.
const udpBatch = 16

// inbound carries messages of one socket to the TUN: receive, look up, open,
// admit, join, write. All of it but writing may have a goroutine to itself, see
// conveyor.
type inbound struct {
	d     *Device
	l     *lane
	r     packet.Receiver
	queue packet.Queue
	*delivery
	put   *conveyor[*delivery]
	joins func() (tcp, udp bool, limit int)
	run   openRun
}

// delivery is what was received together, and the packets from it to be written.
type delivery struct {
	batch  []packet.Datagram
	joiner *offload.Joiner
}

func newDelivery() *delivery {
	return &delivery{batch: newDatagrams(udpBatch), joiner: offload.NewJoiner()}
}

func (d *Device) newInbound(l *lane, r packet.Receiver, q packet.Queue, pipelined bool) *inbound {
	in := &inbound{d: d, l: l, r: r, queue: q}
	in.put, in.delivery = newConveyor(pipelined, newDelivery, in.write)
	in.joins = func() (bool, bool, int) { return false, false, 0 }
	if j, ok := d.tun.(Joiner); ok {
		in.joins = j.Joins
	}
	return in
}

// openRun is a run of messages of one session from one sender, opened and
// waiting for the replay window.
type openRun struct {
	aead.Run // without the headers
	entry    *indexEntry
	from     *packet.Endpoint
	tos      byte
}

// fullRun is how many messages are opened together at least, if there are so
// many: enough to fill the widest vector unit, and still in the nearest cache.
const fullRun = 32

func (d *Device) startReceiver(r packet.Receiver) {
	queues := d.tun.Queues()
	q := queues[len(d.lanes)%len(queues)]
	d.startLane(func(l *lane) {
		// Data is rare where handshake messages are steered, but it comes: the
		// system coalesces a message with a smaller one that follows it.
		in := d.newInbound(l, r, q, d.pipelined && !r.Handshake())
		defer in.put.close()
		in.loop()
	})
}

func newDatagrams(n int) []packet.Datagram {
	b := make([]packet.Datagram, n)
	for i := range b {
		b[i].Buf = make([]byte, packet.MaxSuper)
	}
	return b
}

// loop receives until the socket is closed.
func (in *inbound) loop() {
	var failed setbacks
	for {
		n, err := in.r.Receive(in.batch)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			failed.endure()
			continue
		}
		failed = 0
		in.l.epoch.enter()
		in.handle(in.batch[:n])
		in.l.epoch.leave()
	}
}

// handle opens one batch and writes what it brought.
//
// hot path
func (in *inbound) handle(batch []packet.Datagram) {
	now := in.d.clock.Now()
	in.joiner.Allow(in.joins())
	for i := range batch {
		g := &batch[i]
		size := g.Segment
		if size <= 0 {
			size = g.N
		}
		for off := 0; off < g.N; off += size {
			in.message(now, g, g.Buf[off:min(off+size, g.N)])
		}
		if len(in.run.Messages) >= fullRun {
			in.admit(now)
		}
	}
	in.admit(now)
	if in.joiner.Len() > 0 {
		in.delivery = in.put.pass(in.delivery)
	}
}

// message looks one message up and adds it to the present run.
//
// hot path
func (in *inbound) message(now mono.Time, g *packet.Datagram, msg []byte) {
	t, ok := wire.Classify(msg)
	if !ok {
		in.l.drops.add(DropUnknownType, 1)
		return
	}
	if t != wire.TypeTransport {
		in.d.enqueueHandshake(in.l, msg, &g.From)
		return
	}
	m := wire.Transport(msg)
	index := m.ReceiverIndex()
	r := &in.run
	if r.entry == nil || r.entry.index != index || r.tos != g.TOS || *r.from != g.From {
		in.admit(now)
		e := in.d.index.lookup(index)
		if e == nil || e.session == nil {
			in.l.drops.add(DropUnknownIndex, 1)
			return
		}
		if !e.session.Receivable(now) {
			in.l.drops.add(DropExpired, 1)
			return
		}
		r.entry, r.from, r.tos = e, &g.From, g.TOS
	}
	r.Add(msg[wire.TransportHeaderSize:], m.Counter())
}

// admit ends the present run: open, replay window, endpoint, promotion,
// activity, and only then the inner packets, so that a packet refused for its
// inner source still moves the endpoint (joint 5).
//
// hot path
func (in *inbound) admit(now mono.Time) {
	r := &in.run
	if r.entry == nil {
		return
	}
	e := r.entry
	r.entry = nil
	defer r.Reset()
	e.session.OpenRun(&r.Run)
	authentic := 0
	for _, ok := range r.OK {
		if ok {
			authentic++
		}
	}
	in.l.drops.add(DropBadTag, len(r.OK)-authentic)
	if authentic == 0 {
		return
	}
	e.session.Admit(r.Counters, r.OK)
	fresh, data := 0, false
	for i, ok := range r.OK {
		if ok {
			fresh++
			data = data || len(r.Messages[i]) > wire.TagSize
		}
	}
	in.l.drops.add(DropReplayed, authentic-fresh)
	if fresh == 0 {
		return
	}
	p := e.peer
	p.roam(r.from)
	in.signal(now, p, e.session, data)
	var rx uint64
	for i, m := range r.Messages {
		if !r.OK[i] {
			continue
		}
		plain := m[:len(m)-wire.TagSize]
		if len(plain) == 0 || in.deliver(p, plain, r.tos) {
			rx += uint64(len(plain) + wire.TransportHeaderSize + wire.TagSize)
		}
	}
	p.rx.Add(rx)
}

// signal tells control what an authenticated run means for the session.
//
// hot path
func (in *inbound) signal(now mono.Time, p *peer, s *tunnel.Session, data bool) {
	var bits uint32
	if s.FirstReceipt() {
		p.staged.Confirm(s, &p.session)
		bits |= sawFirst
	}
	// Asked of the session that is sent with, whichever this came with.
	if current := p.session.Load(); current != nil && current.RekeyDueOnReceive(now) {
		bits |= rekeyDue
	}
	if !data {
		p.activity.KeepaliveReceived(now)
	} else if p.activity.DataReceived(now) {
		bits |= activityWake
	}
	if bits != 0 {
		in.d.signals.post(p, bits)
	}
}

// deliver checks one inner packet and gives it to the joiner. It reports
// whether the packet was accepted.
//
// hot path
func (in *inbound) deliver(p *peer, plain []byte, tos byte) bool {
	h, ok := ippkt.Parse(plain)
	if !ok {
		in.l.drops.add(DropBadInner, 1)
		return false
	}
	if owner, ok := in.d.routes.Load().Lookup(h.Src); !ok || owner != p {
		in.l.drops.add(DropNotAllowed, 1)
		return false
	}
	pkt := plain[:h.Length]
	if !ippkt.Decapsulate(pkt, &h, tos) {
		in.l.drops.add(DropCongestion, 1)
		return false
	}
	if !in.joiner.Add(pkt) { // full: written at once, since the batch is still in use
		in.put.workNow(in.delivery)
		in.joiner.Add(pkt)
	}
	return true
}

// write writes what the joiner holds to the TUN.
//
// hot path
func (in *inbound) write(y *delivery) {
	_ = y.joiner.Flush(in.writeOne) // which counts its errors
}

// hot path
func (in *inbound) writeOne(o packet.Offload, parts [][]byte) error {
	err := in.queue.Write(o, parts)
	if err != nil {
		in.l.drops.add(DropTUN, 1)
	}
	return err
}
