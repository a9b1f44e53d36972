package device

import "github.com/warrenvpn/warren/internal/tunnel"

// perTurn is how many peers control drives at most before it looks at whatever
// else waits. Each may cost a handshake, some 150 µs: a hundred thousand timers
// or peers with persistent keepalive that come due at once must not keep a
// handshake of somebody else, a change or a question waiting for all of them.
const perTurn = 16

// always is ready.
var always = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// encourage turns the persistent keepalive of p on, now or in one of the next
// turns: if p is up, that sends something.
func (d *Device) encourage(p *peer) { d.eager = append(d.eager, p) }

// eagerPeers is ready while keepalives are to be turned on.
func (d *Device) eagerPeers() <-chan struct{} {
	if len(d.eager) == 0 {
		return nil
	}
	return always
}

// beginKeepalives turns on the next few. The interval is that of now.
func (d *Device) beginKeepalives() {
	now := d.clock.Now()
	n := min(len(d.eager), perTurn)
	for _, p := range d.eager[:n] {
		if p.removed {
			continue
		}
		d.drive(p, func(m *tunnel.Peer, fx []tunnel.Effect) []tunnel.Effect {
			return m.SetPersistentKeepalive(now, p.keepalive, fx)
		})
	}
	if d.eager = d.eager[n:]; len(d.eager) == 0 {
		d.eager = nil
	}
}
