package device

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/warrenvpn/warren/internal/aead"
	"github.com/warrenvpn/warren/internal/ippkt"
	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/offload"
	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/packet"
)

const (
	// tunBatch is how many packets are taken from the TUN at most before what
	// was sealed is sent.
	tunBatch = 64
	// flushAt sends once this many bytes are sealed: about one full segmented
	// send, so that the messages are still in the cache.
	flushAt = 60 << 10
	// arenaSize has room for one message of any size behind flushAt.
	arenaSize = flushAt + packet.MaxSuper + 64
	// headroom is kept free in front of a packet read from a TUN.
	headroom = 64
)

// outbound carries packets of one TUN queue to the peers: read, route, cut,
// seal, send. Messages are sealed when the session changes or they are about to
// be sent: many at a time are cheaper. All of it but sending may have a goroutine
// to itself, see conveyor.
type outbound struct {
	d     *Device
	l     *lane
	queue packet.Queue
	batch []packet.Super
	cut   offload.Cutter
	*shipment
	send *conveyor[*shipment]
	due  aead.Run        // messages in it that are not sealed yet
	by   *tunnel.Session // with which they are to be
	last struct {        // the latest routing answer, valid within a batch
		dst  netip.Addr
		peer *peer
	}
	icmp icmpLimiter
}

// shipment is what is sent together.
type shipment struct {
	arena []byte // messages, end to end
	used  int
	runs  []packet.Run
	peers []*peer // whose runs they are, by run
	port  *openPort
}

func newShipment() *shipment { return &shipment{arena: make([]byte, arenaSize)} }

func (d *Device) newOutbound(l *lane, q packet.Queue) *outbound {
	o := &outbound{d: d, l: l, queue: q}
	o.send, o.shipment = newConveyor(d.pipelined, newShipment, o.ship)
	return o
}

func (d *Device) startOutbound() {
	for _, q := range d.tun.Queues() {
		l := d.startLane(func(l *lane) {
			o := d.newOutbound(l, q)
			defer o.send.close()
			o.batch = make([]packet.Super, tunBatch)
			for i := range o.batch {
				o.batch[i].Buf = make([]byte, headroom+packet.MaxSuper)
			}
			o.run()
		})
		l.vital = true
	}
}

// run reads until the TUN is closed.
func (o *outbound) run() {
	var failed setbacks
	for {
		n, err := o.queue.Read(o.batch)
		if errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			failed.endure()
			continue
		}
		failed = 0
		if o.d.port.Load() == nil {
			o.d.awaitUp() // outside of the batch: keys are erased meanwhile
		}
		o.l.epoch.enter()
		o.handle(o.batch[:n])
		o.l.epoch.leave()
	}
}

// handle sends one batch.
//
// hot path
func (o *outbound) handle(batch []packet.Super) {
	port := o.d.port.Load()
	if port == nil {
		o.l.drops.add(DropSend, len(batch))
		return
	}
	now := o.d.clock.Now()
	mtu := int(o.d.mtu.Load())
	routes := o.d.routes.Load()
	for i := range batch {
		s := &batch[i]
		h, ok := ippkt.Parse(s.Bytes())
		if !ok {
			o.l.drops.add(DropMalformed, 1)
			continue
		}
		if h.Dst != o.last.dst {
			o.last.dst = h.Dst
			o.last.peer, _ = routes.Lookup(h.Dst)
		}
		p := o.last.peer
		if p == nil {
			o.l.drops.add(DropNoPeer, 1)
			o.unreachable(now, s.Bytes())
			continue
		}
		ep := p.endpoint.Load()
		if ep == nil {
			o.l.drops.add(DropNoEndpoint, 1)
			o.unreachable(now, s.Bytes())
			continue
		}
		var hops uint8
		if h.Protocol == ippkt.ProtoUDP {
			if hops, ok = nestedHops(&h, s.Bytes()); !ok || o.d.isOwnDatagram(&h, s.Bytes(), p, ep.Remote, port.Number()) {
				o.l.drops.add(DropLoop, 1)
				continue
			}
		}
		if err := o.cut.Reset(s.Bytes()[:h.Length], s.Offload, offload.Messages(mtu)); err != nil {
			o.l.drops.add(DropMalformed, 1)
			continue
		}
		o.message(now, port, p, packet.Run{To: *ep, TOS: ippkt.EncapsulateTOS(h.TOS), HopLimit: hops})
	}
	o.last.peer, o.last.dst = nil, netip.Addr{} // a removed peer is not kept alive
	o.flush(port)
}

// message cuts the packet into messages behind what the arena holds, to be
// sealed and sent, or stages them if there is no session.
//
// hot path
func (o *outbound) message(now mono.Time, port *openPort, p *peer, how packet.Run) {
	for !o.cut.Done() {
		size, n, total := o.cut.Next(o.arena[o.used:])
		how.Buf, how.Segment = o.arena[o.used:o.used+total], size
		session := p.session.Load()
		var first uint64
		var ok, due bool
		if session != nil {
			first, ok, due = session.Reserve(now, n)
		}
		if ok {
			o.add(p, session, first, how)
		} else {
			o.stage(now, p, how)
		}
		if due {
			o.d.signals.post(p, rekeyDue)
		}
		// Before it is sent: the answer may be there before flush returns.
		if ok && p.activity.DataSent(now) {
			o.d.signals.post(p, activityWake)
		}
		if o.used >= flushAt {
			o.flush(port)
		}
	}
}

// add gives the messages of r, which lie at the end of the arena, their headers
// and adds them to the runs: to the last of them where size and destination
// allow.
//
// hot path
func (o *outbound) add(p *peer, session *tunnel.Session, first uint64, r packet.Run) {
	size, total := r.Segment, len(r.Buf)
	if o.by != session {
		o.seal()
		o.by = session
	}
	session.Frame(&o.due, r.Buf, size, first)
	start := o.used
	o.used += total
	if k := len(o.runs) - 1; k >= 0 && o.peers[k] == p {
		if last := &o.runs[k]; len(last.Buf)%last.Segment == 0 && (size == last.Segment || size < last.Segment && size == total) &&
			last.TOS == r.TOS && last.HopLimit == r.HopLimit && last.To == r.To {
			last.Buf = o.arena[start-len(last.Buf) : o.used]
			return
		}
	}
	o.runs = append(o.runs, r)
	o.peers = append(o.peers, p)
}

// seal seals what is due.
//
// hot path
func (o *outbound) seal() {
	if o.by != nil {
		o.by.SealRun(&o.due)
		o.due.Reset()
		o.by = nil
	}
}

// stage keeps packets of a peer without a session, laid out as messages but not
// sealed. If a session appears meanwhile the rest is sealed with it.
func (o *outbound) stage(now mono.Time, p *peer, r packet.Run) {
	size, total := r.Segment, len(r.Buf)
	for off := 0; off < total; off += size {
		m := r.Buf[off:min(off+size, total)]
		staged, dropped := p.staged.Push(m[wire.TransportHeaderSize:len(m)-wire.TagSize], r.TOS, &p.session)
		o.l.drops.add(DropStageFull, dropped)
		if !staged {
			r.Buf = r.Buf[off:]
			o.sealLate(now, p, r)
			return
		}
	}
	o.d.signals.post(p, wantSession)
}

// sealLate seals messages with a session that was published after the lane had
// looked for one. It was published because nothing was staged any more.
func (o *outbound) sealLate(now mono.Time, p *peer, r packet.Run) {
	session, n := p.session.Load(), (len(r.Buf)+r.Segment-1)/r.Segment
	if session == nil {
		o.l.drops.add(DropStageFull, n)
		return
	}
	first, ok, _ := session.Reserve(now, n)
	if !ok {
		o.l.drops.add(DropStageFull, n)
		return
	}
	r.Buf = o.arena[o.used : o.used+copy(o.arena[o.used:], r.Buf)]
	o.add(p, session, first, r)
	if p.activity.DataSent(now) {
		o.d.signals.post(p, activityWake)
	}
}

// flush seals what is not sealed yet and has the runs sent.
//
// hot path
func (o *outbound) flush(port *openPort) {
	if len(o.runs) == 0 {
		return
	}
	o.seal()
	o.port = port
	o.shipment = o.send.pass(o.shipment)
}

// ship sends the runs of s, counts their bytes and empties it.
//
// hot path
func (o *outbound) ship(s *shipment) {
	err := s.port.Send(s.runs)
	if err != nil {
		o.l.drops.add(DropSend, 1)
	}
	// What was refused is not counted ([K] socket.c), but it is known which that
	// is only when all was for one peer.
	refused := err != nil && !slices.ContainsFunc(s.peers, func(p *peer) bool { return p != s.peers[0] })
	for i := range s.runs {
		if !refused {
			s.peers[i].tx.Add(uint64(len(s.runs[i].Buf)))
		}
		s.peers[i] = nil
	}
	s.runs, s.peers, s.used, s.port = s.runs[:0], s.peers[:0], 0, nil
}
