package device

import (
	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/packet"
)

// perform carries out the effects of p's machine, in order. Control only.
func (d *Device) perform(p *peer, fx []tunnel.Effect) {
	for i := range fx {
		e := &fx[i]
		switch e.Kind {
		case tunnel.Transmit:
			d.transmit(p, e.Message)
		case tunnel.SetEndpoint:
			p.roam(&e.To)
		case tunnel.Admit:
			d.index.admit(p, e.Session)
		case tunnel.Install:
			p.staged.Publish(e.Session, &p.session, func(pkts []tunnel.StagedPacket) {
				d.sendStaged(p, e.Session, pkts)
			})
		case tunnel.Uninstall:
			p.staged.Unpublish(&p.session)
		case tunnel.Retire:
			d.retire(p, e.Session)
		case tunnel.SendKeepalive:
			d.sendKeepalive(p, e.Session)
		case tunnel.DropStaged:
			d.own.add(DropStageFull, p.staged.Drop())
		case tunnel.ForgetSource:
			p.forgetSource()
		case tunnel.Report:
			d.report(p, e.Event)
		}
	}
}

// transmit sends a handshake message to the peer's present endpoint.
func (d *Device) transmit(p *peer, msg []byte) {
	port, ep := d.port.Load(), p.endpoint.Load()
	if port == nil || ep == nil {
		d.own.add(DropNoEndpoint, 1)
		return
	}
	run := packet.Run{Buf: msg, Segment: len(msg), To: *ep, TOS: wire.HandshakeTOS}
	if err := port.Send([]packet.Run{run}); err != nil {
		d.own.add(DropSend, 1)
		d.log.Debug("handshake message not sent", "peer", p.public, "endpoint", ep.Remote, "error", err)
		return // and not counted: [K] socket.c
	}
	p.tx.Add(uint64(len(msg)))
}

// sender is control's own way to send transport messages: staged packets and
// keepalives. Lanes have theirs. It is empty between effects.
type sender struct {
	buf  []byte
	runs []packet.Run
}

// maxStagedRun bounds the memory of one flush of staged packets.
const maxStagedRun = 128 << 10

// sendStaged seals and sends packets that waited for s. They have their padding
// already.
func (d *Device) sendStaged(p *peer, s *tunnel.Session, pkts []tunnel.StagedPacket) {
	now := d.clock.Now()
	w := &d.sender
	ep := p.endpoint.Load()
	if ep == nil {
		d.own.add(DropNoEndpoint, len(pkts))
		return
	}
	first, ok, due := s.Reserve(now, len(pkts))
	if !ok {
		d.own.add(DropStageFull, len(pkts))
		return
	}
	for i, pkt := range pkts {
		w.add(s, first+uint64(i), pkt.Packet, pkt.TOS, ep)
		if len(w.buf) > maxStagedRun {
			d.flushSender(p)
		}
	}
	d.flushSender(p)
	p.activity.DataSent(now)
	if due {
		d.signals.post(p, rekeyDue)
	}
}

// sendKeepalive sends an empty message, unless packets wait: those are about to
// be sent and serve the purpose ([W] 6.5). The machine has noted it already.
func (d *Device) sendKeepalive(p *peer, s *tunnel.Session) {
	if p.staged.Len() > 0 {
		return
	}
	ep := p.endpoint.Load()
	if ep == nil {
		d.own.add(DropNoEndpoint, 1)
		return
	}
	counter, ok, _ := s.Reserve(d.clock.Now(), 1)
	if !ok {
		return
	}
	d.sender.add(s, counter, nil, 0, ep)
	d.flushSender(p)
}

// add seals one padded packet behind what is there.
func (w *sender) add(s *tunnel.Session, counter uint64, padded []byte, tos byte, ep *packet.Endpoint) {
	start := len(w.buf)
	w.buf = append(w.buf, make([]byte, wire.TransportHeaderSize)...)
	w.buf = append(w.buf, padded...)
	w.buf = append(w.buf, make([]byte, wire.TagSize)...)
	s.Seal(w.buf[start:], counter)
	w.runs = append(w.runs, packet.Run{Buf: w.buf[start:], Segment: len(w.buf) - start, To: *ep, TOS: tos})
}

// flushSender sends what was added.
func (d *Device) flushSender(p *peer) {
	w := &d.sender
	if len(w.runs) == 0 {
		return
	}
	port := d.port.Load()
	if port == nil {
		d.own.add(DropSend, len(w.runs))
	} else if err := port.Send(w.runs); err != nil {
		d.own.add(DropSend, 1)
		d.log.Debug("message not sent", "peer", p.public, "error", err)
	} else {
		p.tx.Add(uint64(len(w.buf)))
	}
	w.buf, w.runs = w.buf[:0], w.runs[:0]
}

// report notes an event of p's machine.
func (d *Device) report(p *peer, ev tunnel.Event) {
	if ev == tunnel.HandshakeComplete {
		p.lastHandshake = d.clock.Wall().UnixNano()
	}
	d.log.Debug(ev.String(), "peer", p.public)
}
