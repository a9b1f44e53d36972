package udptest_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/device"
	"github.com/warrenvpn/warren/packet"
	"github.com/warrenvpn/warren/udp/udptest"
)

var _ device.Network = (*udptest.Host)(nil)

var (
	alice  = netip.MustParseAddr("192.0.2.1")
	alice6 = netip.MustParseAddr("2001:db8::1")
	bob    = netip.MustParseAddr("192.0.2.2")
	bobToo = netip.MustParseAddr("198.51.100.2")
)

func open(t *testing.T, h *udptest.Host, number uint16) packet.Port {
	t.Helper()
	p, err := h.Open(number, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func batchOf(n int) []packet.Datagram {
	b := make([]packet.Datagram, n)
	for i := range b {
		b[i].Buf = make([]byte, packet.MaxSuper)
	}
	return b
}

func data(n, size int) []byte {
	b := make([]byte, size)
	b[0], b[4], b[5] = 4, byte(n), byte(n>>8)
	return b
}

func to(a netip.Addr, port uint16) packet.Endpoint {
	return packet.Endpoint{Remote: netip.AddrPortFrom(a, port)}
}

func TestRunsArriveTogether(t *testing.T) {
	n := udptest.New()
	a, b := open(t, n.Host(alice), 0), open(t, n.Host(bob), 7)
	run := packet.Run{Buf: append(append(data(1, 100), data(2, 100)...), data(3, 40)...), Segment: 100, To: to(bob, 7), TOS: 3}
	handshake := packet.Run{Buf: make([]byte, 148), Segment: 148, To: to(bob, 7)}
	if err := a.Send([]packet.Run{handshake, run, run}); err != nil {
		t.Fatal(err)
	}
	batch := batchOf(4)
	got, err := b.Receivers()[0].Receive(batch)
	if got != 2 || err != nil {
		t.Fatalf("%d datagrams, %v; want 2", got, err)
	}
	for _, d := range batch[:2] {
		want := packet.Endpoint{Remote: netip.AddrPortFrom(alice, a.Number()), Local: bob, Epoch: d.From.Epoch}
		if string(d.Buf[:d.N]) != string(run.Buf) || d.Segment != 100 || d.TOS != 3 || d.From != want {
			t.Errorf("got %d bytes of %d, class %d, from %+v", d.N, d.Segment, d.TOS, d.From)
		}
	}
	if got, _ := b.Receivers()[1].Receive(batch); got != 1 || batch[0].N != 148 {
		t.Errorf("handshake receiver got %d, first of %d bytes", got, batch[0].N)
	}
}

func TestAnswersFromTheContactedAddress(t *testing.T) {
	n := udptest.New()
	host := n.Host(bob, bobToo)
	host.Steer = false
	aliceHost := n.Host(alice, alice6)
	aliceHost.Steer = false
	a, b := open(t, aliceHost, 1), open(t, host, 2)
	batch := batchOf(1)
	for _, contacted := range []netip.Addr{bobToo, bob} {
		_ = a.Send([]packet.Run{{Buf: data(0, 40), To: to(contacted, 2)}})
		_, _ = b.Receivers()[0].Receive(batch)
		_ = b.Send([]packet.Run{{Buf: data(0, 40), To: batch[0].From}})
		_, _ = a.Receivers()[0].Receive(batch)
		if from := batch[0].From.Remote.Addr(); from != contacted {
			t.Errorf("answer from %v, want %v", from, contacted)
		}
	}
	host.SetAddrs(bobToo) // bob is gone
	_ = b.Send([]packet.Run{{Buf: data(0, 40), To: packet.Endpoint{Remote: netip.AddrPortFrom(alice, 1), Local: bob, Epoch: 2}}})
	_, _ = a.Receivers()[0].Receive(batch)
	if from := batch[0].From.Remote.Addr(); from != bobToo {
		t.Errorf("after the address went: answer from %v, want %v", from, bobToo)
	}
	if err := b.Send([]packet.Run{{Buf: data(0, 40), To: to(alice6, 1)}}); err == nil {
		t.Error("a host without IPv6 sent over it")
	}
}

func TestFilterDropsRepeatsAndDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := udptest.New()
		hostB := n.Host(bob)
		hostB.Coalesce = false
		a, b := open(t, n.Host(alice), 1), open(t, hostB, 2)
		i := 0
		n.SetFilter(func(p udptest.Packet, deliver func(udptest.Packet)) {
			switch i++; i {
			case 1: // lost
			case 2:
				deliver(p)
				deliver(p)
			case 3:
				time.AfterFunc(time.Second, func() { deliver(p) })
			default:
				deliver(p)
			}
		})
		for k := range 4 {
			_ = a.Send([]packet.Run{{Buf: data(k, 40), To: to(bob, 2)}})
		}
		var got []byte
		batch := batchOf(1)
		start := time.Now()
		for range 4 {
			if _, err := b.Receivers()[0].Receive(batch); err != nil {
				t.Fatal(err)
			}
			got = append(got, batch[0].Buf[4])
		}
		if string(got) != "\x01\x01\x03\x02" || time.Since(start) != time.Second {
			t.Errorf("arrived %v after %v, want [1 1 3 2] after 1s", got, time.Since(start))
		}
		_ = a.Close()
		_ = b.Close()
	})
}

func TestCloseAndTakenPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := udptest.New()
		h := n.Host(bob)
		b := open(t, h, 2)
		if _, err := h.Open(2, 0); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("second port 2: %v, want EADDRINUSE", err)
		}
		ended := make(chan error)
		for _, r := range b.Receivers() {
			go func() {
				_, err := r.Receive(batchOf(1))
				ended <- err
			}()
		}
		synctest.Wait()
		_ = b.Close()
		for range b.Receivers() {
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Errorf("Receive: %v, want net.ErrClosed", err)
			}
		}
		if err := b.Send(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Send: %v, want net.ErrClosed", err)
		}
		a := open(t, n.Host(alice), 1)
		_ = a.Send([]packet.Run{{Buf: data(0, 40), To: to(bob, 2)}})
		if n.Dropped() != 1 {
			t.Errorf("%d dropped, want the one to a closed port", n.Dropped())
		}
		open(t, h, 2) // free again
	})
}

func Example() {
	network := udptest.New()
	a, _ := network.Host(netip.MustParseAddr("192.0.2.1")).Open(51820, 0)
	b, _ := network.Host(netip.MustParseAddr("192.0.2.2")).Open(51820, 0)
	_ = a.Send([]packet.Run{{Buf: []byte("hello"), To: packet.Endpoint{Remote: netip.MustParseAddrPort("192.0.2.2:51820")}}})
	batch := []packet.Datagram{{Buf: make([]byte, 1500)}}
	_, _ = b.Receivers()[1].Receive(batch)
	fmt.Printf("%s from %v\n", batch[0].Buf[:batch[0].N], batch[0].From.Remote)
	// Output: hello from 192.0.2.1:51820
}
