package device

import (
	"net"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/packet"
	"github.com/warrenvpn/warren/udp/udptest"
)

// The kernel takes no packet before the interface is up with its sockets; here
// a lane may have the first ones before control has heard of it. They wait.
func TestPacketsBeforeWordThatTheLinkIsUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.host.SetUp(false)
		synctest.Wait()
		held, release := make(chan struct{}), make(chan struct{})
		go a.call(func() { close(held); <-release })
		<-held
		a.host.SetUp(true)
		var sent [][]byte
		for i := range 3 {
			sent = append(sent, ping(a.inner, b.inner, 84, uint16(i)))
			a.send(sent[i])
			synctest.Wait() // the lane has it, or waits with the one before
		}
		close(release)
		if got := b.received(); !slices.EqualFunc(got, sent, slices.Equal) {
			t.Errorf("received %x, want %x", got, sent)
		}
		if n := a.Drops()["send_failed"]; n != 0 {
			t.Errorf("send_failed = %d, want 0", n)
		}
	})
}

// What comes out of an interface that stays down is dropped soon, and does not
// keep the device from ending.
func TestPacketsOfALinkThatStaysDown(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.host.SetUp(false)
		synctest.Wait()
		a.send(ping(a.inner, b.inner, 84, 1))
		w.wait(upWait)
		if n := a.Drops()["send_failed"]; n != 1 {
			t.Errorf("send_failed = %d after %v, want 1", n, upWait)
		}
		a.host.SetUp(true)
		synctest.Wait()
		a.reaches(b)
		a.host.SetUp(false)
		synctest.Wait()
		a.send(ping(a.inner, b.inner, 84, 2))
		synctest.Wait()
		a.expect = ErrInterfaceGone
		a.host.Remove()
		synctest.Wait()
		if n := len(a.lanes); n != 0 { // control has ended, or waits for these
			t.Errorf("%d lanes are left when nothing moves any more", n)
		}
	})
}

// behind is a receiver of handshake messages that gets one datagram.
type behind struct {
	g    packet.Datagram
	done bool
}

func (*behind) Handshake() bool { return true }

func (r *behind) Receive(batch []packet.Datagram) (int, error) {
	if r.done {
		return 0, net.ErrClosed
	}
	r.done = true
	g := &batch[0]
	g.N, g.Segment, g.TOS, g.From = copy(g.Buf, r.g.Buf), r.g.Segment, r.g.TOS, r.g.From
	return 1, nil
}

// A system coalesces a message with a smaller one that follows it, and steers
// both by the first: data behind an initiation is no less data.
func TestDataBehindAHandshakeMessage(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		var sent udptest.Packet
		w.net.SetFilter(func(p udptest.Packet, _ func(udptest.Packet)) { sent = p })
		pkt := ping(a.inner, b.inner, 84, 9)
		a.send(pkt)
		synctest.Wait()
		r := &behind{g: packet.Datagram{
			Buf:     append(make([]byte, wire.InitiationSize), sent.Payload...),
			Segment: wire.InitiationSize, From: packet.Endpoint{Remote: sent.From},
		}}
		r.g.Buf[0] = byte(wire.TypeInitiation)
		b.call(func() { b.startReceiver(r) })
		if got := b.received(); len(got) != 1 || !slices.Equal(got[0], pkt) {
			t.Errorf("received %x, want %x", got, pkt)
		}
		if n := b.Drops()["unknown_type"]; n != 0 {
			t.Errorf("unknown_type = %d, want 0", n)
		}
	})
}
