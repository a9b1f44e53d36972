package device

import (
	"testing"
	"testing/synctest"

	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/udp/udptest"
)

// Joint 3: that a session was confirmed is not lost when a slow lane still
// reports the one before it.
func TestConfirmationIsNotOvertaken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		w.net.SetFilter(func(p udptest.Packet, deliver func(udptest.Packet)) {
			if p.Payload[0] != 4 { // what would confirm the session
				deliver(p)
			}
		})
		join(a, b)
		a.send(ping(a.inner, b.inner, 84, 0))
		synctest.Wait()
		lane := &inbound{d: b.Device, l: &lane{epoch: new(epoch)}}
		replaced := tunnel.NewSession(1, 2, false, &noise.Keys{}, b.clock.Now())
		var p *peer
		var next *tunnel.Session
		b.call(func() { // control is busy while two lanes report
			p = b.peers[a.key.Public()]
			_, _, next = p.machine.Sessions()
			lane.signal(b.clock.Now(), p, next, false)
			lane.signal(b.clock.Now(), p, replaced, false)
		})
		synctest.Wait()
		if next == nil || p.session.Load() != next {
			t.Errorf("session in use = %p, want the confirmed one %p", p.session.Load(), next)
		}
	})
}
