package device

import (
	"errors"
	"net"
	"net/netip"
	"os"

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
// seal, send, all on one goroutine.
type outbound struct {
	d     *Device
	l     *lane
	queue packet.Queue
	batch []packet.Super
	cut   offload.Cutter
	arena []byte // sealed messages, end to end
	used  int
	runs  []packet.Run
	peers []*peer  // whose runs they are, by run
	last  struct { // the latest routing answer, valid within a batch
		dst  netip.Addr
		peer *peer
	}
	icmp icmpLimiter
}

func (d *Device) startOutbound() {
	for _, q := range d.tun.Queues() {
		d.startLane(func(l *lane) {
			o := &outbound{d: d, l: l, queue: q, arena: make([]byte, arenaSize)}
			o.batch = make([]packet.Super, tunBatch)
			for i := range o.batch {
				o.batch[i].Buf = make([]byte, headroom+packet.MaxSuper)
			}
			o.run()
		})
	}
}

// run reads until the TUN is closed.
func (o *outbound) run() {
	for {
		n, err := o.queue.Read(o.batch)
		if errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // passing, by the contract of packet.Queue
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
	o.last.peer, o.last.dst = nil, netip.Addr{}
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
		if h.Dst == ep.Remote.Addr() && isOwnDatagram(&h, s.Bytes(), ep.Remote.Port(), port.Number()) {
			o.l.drops.add(DropLoop, 1)
			continue
		}
		if err := o.cut.Reset(s.Bytes()[:h.Length], s.Offload, offload.Messages(mtu)); err != nil {
			o.l.drops.add(DropMalformed, 1)
			continue
		}
		o.send(now, port, p, ep, ippkt.EncapsulateTOS(h.TOS))
	}
	o.flush(port)
}

// isOwnDatagram reports whether a packet that came out of the TUN is one of our
// own messages to the peer it would be sent to: the route to the endpoint
// leads into the tunnel. An onion, where the endpoint lies behind another peer,
// is no such packet.
func isOwnDatagram(h *ippkt.Header, pkt []byte, to, from uint16) bool {
	if h.Protocol != ippkt.ProtoUDP || h.Fragment || len(pkt) < h.Transport+4 {
		return false
	}
	u := pkt[h.Transport:]
	return uint16(u[0])<<8|uint16(u[1]) == from && uint16(u[2])<<8|uint16(u[3]) == to
}

// send cuts the packet into messages behind what the arena holds and seals
// them, or stages them if there is no session.
//
// hot path
func (o *outbound) send(now mono.Time, port *openPort, p *peer, ep *packet.Endpoint, tos byte) {
	for !o.cut.Done() {
		size, n, total := o.cut.Next(o.arena[o.used:])
		msgs := o.arena[o.used : o.used+total]
		session := p.session.Load()
		var first uint64
		var ok, due bool
		if session != nil {
			first, ok, due = session.Reserve(now, n)
		}
		if ok {
			o.sealRun(p, session, first, msgs, size, *ep, tos)
		} else {
			o.stage(now, p, ep, msgs, size, tos)
		}
		if due {
			o.d.signals.post(p, rekeyDue)
		}
		if o.used >= flushAt {
			o.flush(port)
		}
		if ok && p.activity.DataSent(now) {
			o.d.signals.post(p, activityWake)
		}
	}
}

// sealRun seals messages that lie at the end of the arena and adds them to the
// runs, to the last of them where size and destination allow.
//
// hot path
func (o *outbound) sealRun(p *peer, session *tunnel.Session, first uint64, msgs []byte, size int, ep packet.Endpoint, tos byte) {
	for off := 0; off < len(msgs); off += size {
		session.Seal(msgs[off:min(off+size, len(msgs))], first)
		first++
	}
	start := o.used
	o.used += len(msgs)
	if k := len(o.runs) - 1; k >= 0 && o.peers[k] == p {
		if r := &o.runs[k]; len(r.Buf)%r.Segment == 0 && r.TOS == tos && r.To == ep &&
			(size == r.Segment || size < r.Segment && size == len(msgs)) {
			r.Buf = o.arena[start-len(r.Buf) : o.used]
			return
		}
	}
	o.runs = append(o.runs, packet.Run{Buf: o.arena[start:o.used], Segment: size, To: ep, TOS: tos})
	o.peers = append(o.peers, p)
}

// stage keeps packets of a peer without a session, laid out as messages but not
// sealed. If a session appears meanwhile the rest is sealed with it.
func (o *outbound) stage(now mono.Time, p *peer, ep *packet.Endpoint, msgs []byte, size int, tos byte) {
	for off := 0; off < len(msgs); off += size {
		m := msgs[off:min(off+size, len(msgs))]
		staged, dropped := p.staged.Push(m[wire.TransportHeaderSize:len(m)-wire.TagSize], tos, &p.session)
		o.l.drops.add(DropStageFull, dropped)
		if !staged {
			o.sealLate(now, p, ep, msgs[off:], size, tos)
			return
		}
	}
	o.d.signals.post(p, wantSession)
}

// sealLate seals messages with a session that was published after the lane had
// looked for one. It was published because nothing was staged any more.
func (o *outbound) sealLate(now mono.Time, p *peer, ep *packet.Endpoint, msgs []byte, size int, tos byte) {
	session, n := p.session.Load(), (len(msgs)+size-1)/size
	if session == nil {
		o.l.drops.add(DropStageFull, n)
		return
	}
	first, ok, _ := session.Reserve(now, n)
	if !ok {
		o.l.drops.add(DropStageFull, n)
		return
	}
	copy(o.arena[o.used:], msgs)
	o.sealRun(p, session, first, o.arena[o.used:o.used+len(msgs)], size, *ep, tos)
	if p.activity.DataSent(now) {
		o.d.signals.post(p, activityWake)
	}
}

// flush sends the runs and counts their bytes.
//
// hot path
func (o *outbound) flush(port *openPort) {
	if len(o.runs) == 0 {
		return
	}
	if err := port.Send(o.runs); err != nil {
		o.l.drops.add(DropSend, 1)
	}
	for i := range o.runs {
		o.peers[i].tx.Add(uint64(len(o.runs[i].Buf)))
		o.peers[i] = nil
	}
	o.runs, o.peers, o.used = o.runs[:0], o.peers[:0], 0
}
