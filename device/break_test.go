package device

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/clock"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
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
			p = b.peers.get(a.key.Public())
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
		p := b.peers.get(a.key.Public())
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

// alone runs a device without a bubble. It is down.
func alone(t *testing.T) (*Device, *tuntest.Host) {
	t.Helper()
	tunEnd, host := tuntest.New(tuntest.Config{})
	d, err := New(Config{TUN: tunEnd, Network: udptest.New().Host(netip.MustParseAddr("192.0.2.1"))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return d, host
}

// manyPeers adds n peers, each with an address of both families.
func manyPeers(n int, keepalive uint16) conf.Change {
	var c conf.Change
	for i := range n {
		a := netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)})
		c.Peers = append(c.Peers, conf.PeerChange{
			PublicKey: key.Public{byte(i), byte(i >> 8), byte(i >> 16), 1}, PersistentKeepalive: &keepalive,
			Endpoint: &conf.Endpoint{Host: a.String(), Port: "51820"},
			AllowedIPs: []conf.AllowedIP{
				{Prefix: netip.PrefixFrom(a, 32)},
				{Prefix: netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 14: byte(i >> 8), 15: byte(i)}), 128)},
			},
		})
	}
	return c
}

// S06: while very many peers begin, control looks at everything else after each
// perTurn of them.
func TestControlTakesTurns(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n = 20 * perTurn
		a := w.add(1)
		a.host.SetUp(false)
		synctest.Wait()
		a.must(manyPeers(n, 25))
		begun := func() (count int) {
			for _, p := range a.order {
				if p.deadline != 0 {
					count++
				}
			}
			return count
		}
		// All that wants a turn waits for control before it takes the first one,
		// so that no scheduler has a say: the chance that none of so many calls
		// gets one between 20 others is one in a million.
		release := make(chan struct{})
		go a.call(func() { <-release })
		synctest.Wait()
		a.host.SetUp(true)
		between := 0
		for range 8 * n / perTurn {
			go a.call(func() {
				if c := begun(); 0 < c && c < n {
					between++
				}
			})
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		if c := begun(); c != n {
			t.Errorf("%d of %d peers began", c, n)
		}
		if between == 0 {
			t.Errorf("control looked at no call while %d peers began", n)
		}
	})
}

// K31, Q11: what takes many routes away copies the table once, however few peers
// it names.
func TestRoutesAreTakenAwayTogether(t *testing.T) {
	d, _ := alone(t)
	for name, change := range map[string]func(k key.Public) conf.Change{
		"remove": func(k key.Public) conf.Change {
			return conf.Change{Peers: []conf.PeerChange{{PublicKey: k, Remove: true}}}
		},
		"replace peers": func(key.Public) conf.Change { return conf.Change{ReplacePeers: true} },
		"replace allowed": func(k key.Public) conf.Change {
			return conf.Change{Peers: []conf.PeerChange{{PublicKey: k, ReplaceAllowedIPs: true}}}
		},
	} {
		pc := conf.PeerChange{PublicKey: key.Public{31: 1}}
		for i := range 30_000 {
			a := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0})
			pc.AllowedIPs = append(pc.AllowedIPs, conf.AllowedIP{Prefix: netip.PrefixFrom(a, 24)})
		}
		if err := d.Apply(conf.Change{Peers: []conf.PeerChange{pc}}); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := d.Apply(change(pc.PublicKey)); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if n := after.Mallocs - before.Mallocs; n > 60_000 {
			t.Errorf("%s: %d allocations for 30 000 routes", name, n)
		}
		if n := d.routes.Load().Len(); n != 0 {
			t.Errorf("%s: %d routes left", name, n)
		}
	}
}

// compat 4.5: what a lane stages when the interface has gone down already is not
// sent when it comes up again, however late.
func TestNothingStaysStagedWhileDown(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.host.SetUp(false)
		synctest.Wait()
		a.call(func() { // a lane that is in the middle of a batch
			p := a.peers.get(b.key.Public())
			p.staged.Push(ping(a.inner, b.inner, 84, 1), 0, &p.session)
			a.signals.post(p, wantSession)
		})
		w.wait(time.Hour)
		a.host.SetUp(true)
		synctest.Wait()
		a.send(ping(a.inner, b.inner, 84, 2))
		if got := b.received(); len(got) != 1 || seqOf(got[0]) != 2 {
			t.Errorf("received %x, want the packet sent after the interface came up, alone", got)
		}
	})
}

// compat 4.5: an interface whose port was taken when it went up says so to who
// sets a port, and is up as soon as that is free.
func TestPortThatWasTaken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.host.SetUp(false)
		synctest.Wait()
		other, err := w.at(a.outer).Open(51820, 0)
		if err != nil {
			t.Fatal(err)
		}
		a.host.SetUp(true)
		synctest.Wait()
		a.silent(b)
		if err := a.Apply(conf.Change{ListenPort: ptr(uint16(51820))}); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("Apply = %v, want %v", err, syscall.EADDRINUSE)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		a.must(conf.Change{ListenPort: ptr(uint16(51820))})
		a.reaches(b)
		b.reaches(a)
	})
}

// [K] socket.c: what the socket refused is not counted as sent.
func TestRefusedIsNotSent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		sent := a.peer(b).TxBytes
		w.at(a.outer).SetAddrs() // no address, no route
		a.silent(b)
		a.send(ping(a.inner, b.inner, 84, 1))
		w.wait(5 * time.Minute)
		if got := a.peer(b).TxBytes; got != sent {
			t.Errorf("%d bytes sent without an address, want %d", got, sent)
		}
		if a.Drops()["send_failed"] == 0 {
			t.Error("nothing was counted as refused")
		}
	})
}

// P22, B85, P21: every MTU that somebody may set while packets cross; packets of
// one byte and of 65 535.
func TestAnyMTUWhileRunning(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		for _, mtu := range []int{0, 1, 15, 16, 67, 68, 576, 1279, 1280, 1420, 9000, 65535} {
			a.host.SetMTU(mtu)
			synctest.Wait()
			for _, size := range []int{28, 29, 44, 68, 84, 1280, 1419, 1420, 1421, 9001, 60000, 65400} {
				want := ping(a.inner, b.inner, size, uint16(size))
				a.send(want)
				if got := b.received(); len(got) != 1 || !slices.Equal(got[0], want) {
					t.Fatalf("mtu %d: %d packets of %d bytes arrived, want one unchanged", mtu, len(got), size)
				}
			}
			a.send([]byte{0x45})
			a.send(ping(a.inner, b.inner, 65535, 1))
			b.received()
			super := superTCP(3)
			pkt := super.Bytes()
			copy(pkt[12:], a.inner.AsSlice())
			copy(pkt[16:], b.inner.AsSlice())
			if err := a.host.SendSuper(super.Offload, pkt); err != nil {
				t.Fatal(err)
			}
			if got := b.received(); len(got) != 3 {
				t.Fatalf("mtu %d: %d segments arrived, want 3", mtu, len(got))
			}
			b.reaches(a)
			w.wait(11 * time.Second) // the keepalive that answers
		}
		if a.Drops()["malformed"] == 0 {
			t.Error("a packet of one byte was not counted")
		}
	})
}

// S02, S09, B01, B02, B39: devices come and go while their link goes up and down
// and clients ask and change; every call returns.
func TestDevicesComeAndGo(t *testing.T) {
	rounds := 100
	host := udptest.New().Host(netip.MustParseAddr("192.0.2.1"))
	k := key.NewPrivate([32]byte{8: 1})
	for i := range rounds {
		tunEnd, link := tuntest.New(tuntest.Config{Up: i%2 == 0})
		d, err := New(Config{TUN: tunEnd, Network: host})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if i%7 == 0 {
			cancel() // before it begins
		}
		var all sync.WaitGroup
		var ended error
		all.Go(func() { ended = d.Run(ctx) })
		c := manyPeers(5, uint16(i%2))
		c.PrivateKey = &k
		for n := range 4 {
			all.Go(func() {
				for range 20 {
					if err := d.Apply(c); err != nil && !errors.Is(err, ErrClosed) {
						t.Errorf("apply: %v", err)
					}
					d.Status()
					d.Drops()
					_ = d.Apply(conf.Change{ListenPort: ptr(uint16(1000 + n)), FwMark: ptr(uint32(n)), ReplacePeers: n == 3})
				}
			})
		}
		all.Go(func() {
			for n := range 20 {
				link.SetUp(n%2 == 0)
				link.SetMTU(n)
				_ = link.Send(ping(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("100.0.0.1"), 84, 0))
			}
			if i%3 == 0 {
				link.Remove()
			} else {
				cancel()
			}
		})
		all.Wait()
		cancel()
		if ended != nil && !errors.Is(ended, ErrInterfaceGone) {
			t.Fatal(ended)
		}
	}
}

// P15, B31: one initiation a thousand times from 64 goroutines, on two sockets:
// one session, one response.
func TestInitiationIsAcceptedOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		b.must(conf.Change{ListenPort: ptr(uint16(51821))}) // not reached yet
		join(a, b)
		var initiation []byte
		responses := 0
		w.inspect(func(p udptest.Packet) {
			switch p.Payload[0] {
			case 1:
				initiation = slices.Clone(p.Payload)
			case 2:
				responses++
			}
		})
		a.send(ping(a.inner, b.inner, 84, 0))
		synctest.Wait()
		for range 3 {
			var all sync.WaitGroup
			for i := range 64 {
				all.Go(func() {
					from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 9)
					for range 6 { // fewer at once than ask for cookies
						w.inject(from, netip.AddrPortFrom(b.outer, 51821), initiation)
					}
				})
			}
			all.Wait()
			synctest.Wait()
		}
		if responses != 1 {
			t.Errorf("%d responses, want 1", responses)
		}
		used := 0
		b.call(func() { used = b.index.used })
		if used != 1 {
			t.Errorf("%d indices in use, want that of one session", used)
		}
	})
}

// E5, compat 4.5: control and lanes under changes of port: what is on its way is lost at
// most, nothing waits, nothing is sent with a closed port for good.
func TestPortChangesUnderTraffic(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		var all sync.WaitGroup
		all.Go(func() {
			for i := range 200 {
				a.must(conf.Change{ListenPort: ptr(uint16(20000 + i)), FwMark: ptr(uint32(i))})
			}
		})
		all.Go(func() {
			for i := range 200 {
				a.send(ping(a.inner, b.inner, 84, uint16(i)))
				b.send(ping(b.inner, a.inner, 84, uint16(i)))
			}
		})
		all.Wait()
		a.received()
		b.received()
		a.reaches(b) // and b hears where a is now
		b.reaches(a)
		if got := a.Status(); got.ListenPort != 20199 || got.FwMark != 199 {
			t.Errorf("port %d, mark %d", got.ListenPort, got.FwMark)
		}
	})
}

// S05, B37: changes of routes and peers leave nothing behind.
func TestChangesLeaveNothingBehind(t *testing.T) {
	d, host := alone(t)
	host.SetUp(true)
	k := key.NewPrivate([32]byte{8: 1})
	if err := d.Apply(conf.Change{PrivateKey: &k}); err != nil {
		t.Fatal(err)
	}
	some := manyPeers(50, 0)
	round := func(n int) uint64 {
		for i := range n {
			pc := some.Peers[i%50]
			pc.AllowedIPs = append(slices.Clone(pc.AllowedIPs), conf.AllowedIP{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{9, byte(i >> 16), byte(i >> 8), byte(i)}), 32)})
			pc.ReplaceAllowedIPs = i%3 == 0
			pc.Remove = i%5 == 0
			if err := d.Apply(conf.Change{Peers: []conf.PeerChange{pc}}); err != nil {
				t.Fatal(err)
			}
			if i%100 == 0 {
				_ = host.Send(ping(netip.MustParseAddr("10.0.0.1"), netip.AddrFrom4([4]byte{100, 0, 0, byte(i)}), 84, 0))
			}
		}
		if err := d.Apply(conf.Change{ReplacePeers: true}); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := round(2000)
	if after := round(20_000); after > before+20_000 {
		t.Errorf("the heap grew by %d bytes in 20 000 changes", after-before)
	}
	d.call(func() {
		if d.peers.len() != 0 || d.index.used != 0 || d.routes.Load().Len() != 0 || len(d.due.heap) != 0 {
			t.Errorf("left: %d peers, %d indices, %d routes, %d deadlines", d.peers.len(), d.index.used, d.routes.Load().Len(), len(d.due.heap))
		}
	})
}

// Joint 1, S03, B04, B10, P32: sessions are erased in every way while lanes seal
// and open with them. The race detector sees a key that is used too late; a
// receiver would see a message sealed with nothing.
func TestSessionsEndUnderTraffic(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		var all sync.WaitGroup
		stop := make(chan struct{})
		flood := func(from, to *node) {
			for i := uint16(0); ; i++ {
				select {
				case <-stop:
					return
				default:
					from.send(ping(from.inner, to.inner, 1300, i))
				}
			}
		}
		drain := func(n *node) {
			for {
				select {
				case <-stop:
					return
				case <-n.host.Packets():
				}
			}
		}
		for _, f := range []func(){func() { flood(a, b) }, func() { flood(b, a) }, func() { drain(a) }, func() { drain(b) }} {
			all.Go(f)
		}
		keys := []key.Private{a.key, key.NewPrivate([32]byte{8: 77})}
		for i := range 200 {
			switch i % 4 {
			case 0:
				a.must(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.key.Public(), Remove: true}}})
				a.must(conf.Change{Peers: []conf.PeerChange{a.peerChange(b)}})
			case 1:
				a.host.SetUp(false)
				a.Status()
				a.host.SetUp(true)
			case 2:
				a.must(conf.Change{PrivateKey: &keys[1]})
				a.must(conf.Change{PrivateKey: &keys[0]})
			case 3:
				b.must(conf.Change{ReplacePeers: true, Peers: []conf.PeerChange{b.peerChange(a)}})
			}
			for range 20 { // so that a handshake may come between
				a.Status()
				b.Status()
			}
		}
		close(stop)
		all.Wait()
		a.received()
		b.received()
		if n := a.Drops()["bad_tag"] + b.Drops()["bad_tag"]; n != 0 {
			t.Errorf("%d messages were sealed with keys of no session", n)
		}
		w.wait(10 * time.Second)
		a.received()
		b.received()
		a.reaches(b)
		b.reaches(a)
	})
}

// B36, B37, S03: a peer that was removed is garbage at once, also when packets
// crossed and waited a moment before.
func TestRemovedPeersAreFreed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		lost := manyPeers(20, 1)
		a.must(lost)
		var freed atomic.Int32
		a.call(func() {
			for _, p := range a.order {
				runtime.AddCleanup(p, func(int) { freed.Add(1) }, 0)
			}
		})
		a.reaches(b)
		b.reaches(a)
		for i := range 20 {
			a.send(ping(a.inner, netip.AddrFrom4([4]byte{100, 0, 0, byte(i)}), 84, 0)) // staged
		}
		a.send(ping(a.inner, b.inner, 84, 0))
		w.wait(10 * time.Second)
		b.received()
		a.must(conf.Change{ReplacePeers: true})
		for range 100 {
			w.wait(time.Second)
			runtime.GC()
			if freed.Load() == 21 {
				return
			}
		}
		t.Errorf("%d of 21 peers were freed", freed.Load())
	})
}

// P33, B03: the own key as a peer, in every order, under traffic.
func TestOwnKeyBecomesPeer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		k := key.NewPrivate([32]byte{8: 77})
		self := conf.PeerChange{PublicKey: k.Public(), AllowedIPs: []conf.AllowedIP{{Prefix: netip.MustParsePrefix("10.9.0.0/16")}}}
		for i := range 1000 {
			a.send(ping(a.inner, b.inner, 84, 0))
			a.must(conf.Change{Peers: []conf.PeerChange{self}})
			if i%2 == 0 {
				a.must(conf.Change{PrivateKey: &k, Peers: []conf.PeerChange{self}})
			} else {
				a.must(conf.Change{PrivateKey: &k})
			}
			if n := len(a.Status().Peers); n != 1 {
				t.Fatalf("%d peers, want one", n)
			}
			if _, found := a.routes.Load().Lookup(netip.MustParseAddr("10.9.0.1")); found {
				t.Fatal("a route to ourselves is left")
			}
			a.must(conf.Change{PrivateKey: &a.key})
		}
		w.wait(10 * time.Second)
		b.received()
		a.reaches(b)
	})
}

// keeper is a port that keeps copies of what is sent.
type keeper struct {
	sink
	runs []packet.Run
}

func (k *keeper) Send(runs []packet.Run) error {
	for _, r := range runs {
		r.Buf = slices.Clone(r.Buf)
		k.runs = append(k.runs, r)
	}
	return nil
}

// P26, B11, B38: in batches that mix 128 peers each packet leaves with the
// session and to the endpoint of its peer, and what comes back, from a new
// address each, is credited to the peer whose session it is.
func TestMixedBatchesAreAttributed(t *testing.T) {
	const n, seed = 128, 26
	o, in, _ := lanes(t)
	d, port := o.d, new(keeper)
	d.port.Store(&openPort{port})
	if err := d.apply(ptr(manyPeers(n, 0))); err != nil {
		t.Fatal(err)
	}
	peers := d.order[1:]
	for _, p := range peers {
		index := d.index.reserve(p)
		s := tunnel.NewSession(index, index, true, &noise.Keys{}, d.clock.Now())
		d.index.admit(p, s)
		p.session.Store(s)
	}
	r := rand.New(rand.NewPCG(seed, seed))
	back := newDatagrams(1)
	counts := make([]uint64, n)
	total := 0
	for range 300 {
		var batch []packet.Super
		for range 1 + r.IntN(tunBatch) {
			who := byte(r.IntN(n))
			pkt := ping(netip.AddrFrom4([4]byte{100, 0, 0, who}), netip.AddrFrom4([4]byte{100, 0, 0, who}), 28+r.IntN(3)*100, 0)
			batch = append(batch, packet.Super{Buf: pkt, N: len(pkt)})
		}
		o.handle(batch)
		for _, run := range port.runs {
			g := &back[0]
			g.N, g.Segment = copy(g.Buf, run.Buf), run.Segment
			who := run.To.Remote.Addr().As4()[3]
			g.From.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, who}), uint16(1+r.IntN(60000)))
			for off := 0; off < g.N; off += g.Segment {
				if e := d.index.lookup(wire.Transport(g.Buf[off:]).ReceiverIndex()); e == nil || e.peer != peers[who] {
					t.Fatalf("seed %d: a message to peer %d has the index of another", seed, who)
				}
				total++
			}
			in.handle(back)
			counts[who] += uint64(g.N)
			if p := peers[who]; *p.endpoint.Load() != g.From || p.rx.Load() != counts[who] {
				t.Fatalf("seed %d: peer %d at %v with %d received, want %v with %d",
					seed, who, p.endpoint.Load(), p.rx.Load(), g.From, counts[who])
			}
		}
		port.runs = nil
		for i, p := range peers { // back to the address that tells who it is
			if sent := p.tx.Load(); sent != counts[i] {
				t.Fatalf("seed %d: peer %d: %d bytes sent, want %d", seed, i, sent, counts[i])
			}
			p.endpoint.Store(&packet.Endpoint{Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{100, 0, 0, byte(i)}), 51820)})
		}
	}
	for reason := range in.l.drops.n {
		if n := in.l.drops.n[reason].Load() + o.l.drops.n[reason].Load(); n != 0 {
			t.Errorf("%d of %d packets dropped: %v", n, total, Drop(reason))
		}
	}
}
