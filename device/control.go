package device

import (
	"context"
	"time"

	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/packet"
)

// sweepEvery is how often keys that wait for a lane to let go are looked at.
const sweepEvery = 50 * time.Millisecond

// openedInitiation is an initiation after the anonymous first half: the intake
// knows who claims to call. Or, with opened nil, a response or cookie reply.
type openedInitiation struct {
	opened *noise.Opened
	by     *identity // the identity that opened it
	msg    handshakeMessage
}

// control is the loop that owns everything mutable.
func (d *Device) control(ctx context.Context) error {
	timer := d.clock.NewTimer()
	defer timer.Stop()
	d.startOutbound()
	d.startIntake()
	events := d.tun.Events()
	for {
		d.arm(timer)
		select {
		case f := <-d.calls:
			f()
		case in := <-d.opened:
			d.handshake(in)
		case <-d.signals.wake:
			d.signals.drain(perTurn, d.signalled)
		case <-timer.C():
			d.expire()
		case <-d.eagerPeers():
			d.beginKeepalives()
		case ev, ok := <-events:
			if !ok || ev.Kind == packet.LinkGone {
				d.shutdown()
				return ErrInterfaceGone
			}
			d.linkEvent(ev)
		case l := <-d.finished:
			d.laneEnded(l)
			if l.vital { // the TUN was closed under us, and may not say so
				d.shutdown()
				return ErrInterfaceGone
			}
		case <-ctx.Done():
			d.shutdown()
			return nil
		}
	}
}

// timerFace is what control needs of a clock.Timer.
type timerFace interface{ Reset(at mono.Time) }

func (d *Device) arm(t timerFace) {
	next := d.due.next()
	if d.crew.sweep() {
		next = mono.Earliest(next, d.clock.Now().Add(sweepEvery))
	}
	t.Reset(next)
}

// expire runs the machines whose deadline has passed, as many as one turn takes:
// the timer, armed for the next of them, brings control back.
func (d *Device) expire() {
	now := d.clock.Now()
	for range perTurn {
		p := d.due.due(now)
		if p == nil {
			return
		}
		d.drive(p, func(m *tunnel.Peer, fx []tunnel.Effect) []tunnel.Effect {
			return m.HandleTimeout(now, fx)
		})
		if p.deadline != 0 && p.deadline <= now {
			// The machine asks for a time that has come already: not in this
			// round, so that it cannot spin.
			d.due.set(p, now.Add(time.Millisecond))
		}
	}
}

// signalled handles what lanes reported of p.
func (d *Device) signalled(p *peer, bits uint32) {
	if p.removed {
		return
	}
	now := d.clock.Now()
	d.drive(p, func(m *tunnel.Peer, fx []tunnel.Effect) []tunnel.Effect {
		if bits&sawFirst != 0 {
			// The session itself knows; a lane could name one that was replaced
			// since, in the place of the one that another lane has just named.
			if _, _, next := m.Sessions(); next != nil && next.Confirmed() {
				fx = m.HandleConfirmed(now, next, fx)
			}
		}
		if bits&rekeyDue != 0 {
			fx = m.HandleRekeyDue(now, fx)
		}
		if bits&wantSession != 0 {
			fx = m.HandleWantSession(now, fx)
		}
		return fx
	})
}

// drive gives p's machine an input, performs what it asks for and moves its
// deadline. It is the only caller of the machine's inputs.
func (d *Device) drive(p *peer, input func(*tunnel.Peer, []tunnel.Effect) []tunnel.Effect) {
	d.acting = p
	m := d.machineOf(p)
	d.fx = input(m, d.fx[:0])
	d.perform(p, d.fx)
	clear(d.fx)
	d.due.set(p, m.Deadline())
	d.acting = nil
}

// machineOf returns the machine of p, made now if this is the first time that it
// has an input. One without persistent keepalive does nothing when it goes up,
// and one that has done nothing has nothing to do when it goes down, or for
// another identity: so none of these need one.
func (d *Device) machineOf(p *peer) *tunnel.Peer {
	if p.machine != nil {
		return p.machine
	}
	m := tunnel.NewPeer(&d.env, p.public, &p.activity)
	if p.psk != nil {
		m.SetPreshared(p.psk)
		tunnel.ReplacePreshared(&p.psk, nil)
	}
	if d.up {
		m.HandleUp(d.clock.Now(), nil)
	}
	p.machine = m
	return m
}

// linkEvent follows the interface (compat 4.5).
func (d *Device) linkEvent(ev packet.LinkEvent) {
	switch ev.Kind {
	case packet.LinkUp:
		d.linkUp = true
		if err := d.bringUp(); err != nil {
			d.log.Error("cannot bring the interface up", "error", err)
		}
		d.linkIsUp()
	case packet.LinkDown:
		d.linkUp = false
		d.linkIsDown()
		d.bringDown()
	case packet.MTUChanged:
		d.mtu.Store(int32(ev.MTU))
		d.log.Debug("mtu changed", "mtu", ev.MTU)
	}
}

// shutdown ends every lane and erases every key.
func (d *Device) shutdown() {
	close(d.done)
	d.bringDown()
	if err := d.tun.Close(); err != nil {
		d.log.Debug("close tun", "error", err)
	}
	for len(d.lanes) > 0 {
		select {
		case l := <-d.finished:
			d.laneEnded(l)
		case <-d.opened: // let the intake get on to its end
		}
	}
	d.setIdentity(nil)
	d.crew.sweep()
	for _, p := range d.order {
		if p != nil {
			p.clear()
		}
	}
	d.privateKey.Clear()
}
