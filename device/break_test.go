package device

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/internal/clock"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/packet"
	"github.com/warrenvpn/warren/tun/tuntest"
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

// faulty is a TUN whose queue and receivers fail as they are told.
type faulty struct {
	*tuntest.TUN
	reads  atomic.Int64
	closed atomic.Bool
	err    error
}

func (f *faulty) Close() error {
	f.closed.Store(true)
	return f.TUN.Close()
}

func (f *faulty) Queues() []packet.Queue { return []packet.Queue{f} }

func (f *faulty) Read([]packet.Super) (int, error) {
	f.reads.Add(1)
	if f.closed.Load() {
		return 0, os.ErrClosed
	}
	return 0, f.err
}

func (f *faulty) Write(packet.Offload, [][]byte) error { return f.err }

// faultyNet opens ports whose receivers fail until they are closed.
type faultyNet struct {
	sink
	reads  atomic.Int64
	closed atomic.Bool
}

func (f *faultyNet) Open(uint16, uint32) (packet.Port, error) { return f, nil }
func (f *faultyNet) Receivers() []packet.Receiver {
	return []packet.Receiver{faultyReceiver{f, false}, faultyReceiver{f, true}}
}
func (f *faultyNet) Close() error { f.closed.Store(true); return nil }

type faultyReceiver struct {
	*faultyNet
	handshake bool
}

func (f faultyReceiver) Handshake() bool { return f.handshake }
func (f faultyReceiver) Receive([]packet.Datagram) (int, error) {
	if f.closed.Load() {
		return 0, net.ErrClosed
	}
	f.reads.Add(1)
	return 0, syscall.EIO
}

// F11, F20, E15: an error that is passing by contract and never passes takes no
// processor, and does not keep the device from ending.
func TestLastingErrorsAreNoBusyLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tunEnd, _ := tuntest.New(tuntest.Config{Up: true})
		bad, badNet := &faulty{TUN: tunEnd, err: syscall.EIO}, new(faultyNet)
		d, err := New(Config{TUN: bad, Network: badNet})
		if err != nil {
			t.Fatal(err)
		}
		d.clock = clock.Portable()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		time.Sleep(10 * time.Second)
		if n := bad.reads.Load(); n < 100 || n > 2000 {
			t.Errorf("%d reads of the TUN in 10 s", n)
		}
		if n := badNet.reads.Load(); n < 100 || n > 4000 {
			t.Errorf("%d receives in 10 s", n)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// compat 4.5, B25, F21: a TUN that does not read any more ends the device, also
// when nobody says that the link is gone.
func TestEndOfReadingEndsTheDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tunEnd, _ := tuntest.New(tuntest.Config{Up: true})
		d, err := New(Config{TUN: &faulty{TUN: tunEnd, err: os.ErrClosed}, Network: udptest.New().Host()})
		if err != nil {
			t.Fatal(err)
		}
		d.clock = clock.Portable()
		if err := d.Run(t.Context()); !errors.Is(err, ErrInterfaceGone) {
			t.Errorf("Run = %v, want %v", err, ErrInterfaceGone)
		}
	})
}

// P14, K14: the answer to the first packet on a new session leaves with that
// session, also when a valid older one is still there: the peer may have lost it.
func TestAnswerToFirstPacketUsesTheNewSession(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		a.host.SetUp(false) // forgets the session that b keeps
		w.wait(6 * time.Second)
		a.host.SetUp(true)
		w.wait(0)
		p := b.peers[a.key.Public()]
		old := p.session.Load()
		// Stop b's control, so that only its lane can make the change in time.
		held, release := make(chan struct{}), make(chan struct{})
		a.send(ping(a.inner, b.inner, 84, 1))
		w.inspect(func(m udptest.Packet) {
			if m.Payload[0] == 2 { // the response is out: control is done with it
				w.watch = nil
				go b.call(func() { close(held); <-release })
			}
		})
		<-held
		if got := b.received(); len(got) != 1 {
			t.Fatalf("%d packets arrived, want one", len(got))
		}
		if now := p.session.Load(); now == old {
			t.Error("the old session is still sent with when the packet was delivered")
		}
		close(release)
		w.wait(0)
		b.reaches(a)
	})
}
