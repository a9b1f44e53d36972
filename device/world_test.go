package device

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/clock"
	"github.com/warrenvpn/warren/internal/ippkt"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/tun/tuntest"
	"github.com/warrenvpn/warren/udp/udptest"
)

// world is a set of devices on one network in memory, inside a synctest bubble:
// time stands still while anybody works.
type world struct {
	t         *testing.T
	net       *udptest.Net
	hosts     map[netip.Addr]*udptest.Host
	pipelined bool // the plan of the lanes

	mu      sync.Mutex
	watch   func(p udptest.Packet)
	deliver func(p udptest.Packet)
}

// inspect calls f, one call at a time, for every datagram; nil ends that.
func (w *world) inspect(f func(p udptest.Packet)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watch = f
}

// filter lets every datagram pass, seen.
func (w *world) filter(p udptest.Packet, deliver func(udptest.Packet)) {
	w.mu.Lock()
	w.deliver = deliver
	if w.watch != nil {
		w.watch(p)
	}
	w.mu.Unlock()
	deliver(p)
}

// inject delivers a datagram that nobody sent. Some other must have been sent
// before.
func (w *world) inject(from, to netip.AddrPort, b []byte) {
	w.mu.Lock()
	deliver := w.deliver
	w.mu.Unlock()
	deliver(udptest.Packet{From: from, To: to, Payload: slices.Clone(b)})
}

// hold delays every datagram by d.
func (w *world) hold(d time.Duration) {
	w.net.SetFilter(func(p udptest.Packet, deliver func(udptest.Packet)) {
		time.AfterFunc(d, func() { deliver(p) })
	})
}

// at returns the host with an outer address.
func (w *world) at(outer netip.Addr) *udptest.Host {
	if w.hosts[outer] == nil {
		w.hosts[outer] = w.net.Host(outer)
	}
	return w.hosts[outer]
}

// node is one device and the host behind its interface.
type node struct {
	*Device
	w      *world
	host   *tuntest.Host
	key    key.Private
	inner  netip.Addr
	outer  netip.Addr
	expect error // of Run
}

// inWorld runs f in a bubble and ends every device afterwards: once with each
// plan of the lanes.
func inWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	for plan, pipelined := range map[string]bool{"inline": false, "pipelined": true} {
		t.Run(plan, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{t: t, net: udptest.New(), hosts: make(map[netip.Addr]*udptest.Host), pipelined: pipelined}
				w.net.SetFilter(w.filter)
				f(t, w)
			})
		})
	}
}

// add starts device number i: inner address 10.0.0.i and fd00::i, outer 192.0.2.i.
func (w *world) add(i int) *node {
	w.t.Helper()
	return w.addAt(i, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 51820)
}

// addAt is add with an outer address and port of choice.
func (w *world) addAt(i int, outer netip.Addr, port uint16) *node {
	w.t.Helper()
	tunEnd, host := tuntest.New(tuntest.Config{Name: fmt.Sprintf("wg%d", i), Up: true, TCP: true, UDP: true})
	n := &node{
		w: w, host: host, key: key.NewPrivate([32]byte{8: byte(i)}),
		inner: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), outer: outer,
	}
	d, err := New(Config{
		TUN: tunEnd, Network: w.at(n.outer), Rand: seeded(byte(i)), Log: slog.New(slog.DiscardHandler), Pipelined: w.pipelined,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	d.clock = clock.Portable()
	n.Device = d
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, n.expect) {
			w.t.Errorf("Run = %v, want %v", err, n.expect)
		}
	})
	n.must(conf.Change{PrivateKey: &n.key, ListenPort: &port})
	return n
}

func ptr[T any](v T) *T { return &v }

// must applies c.
func (n *node) must(c conf.Change) {
	n.w.t.Helper()
	if err := n.Apply(c); err != nil {
		n.w.t.Fatalf("apply: %v", err)
	}
}

// peerChange is how n sees o.
func (n *node) peerChange(o *node) conf.PeerChange {
	return conf.PeerChange{
		PublicKey: o.key.Public(),
		Endpoint:  &conf.Endpoint{Host: o.outer.String(), Port: "51820"},
		AllowedIPs: []conf.AllowedIP{
			{Prefix: netip.PrefixFrom(o.inner, 32)}, {Prefix: netip.PrefixFrom(v6(o.inner), 128)},
		},
	}
}

// join makes a and b peers of each other.
func join(a, b *node) {
	a.w.t.Helper()
	a.must(conf.Change{Peers: []conf.PeerChange{a.peerChange(b)}})
	b.must(conf.Change{Peers: []conf.PeerChange{b.peerChange(a)}})
}

func v6(a netip.Addr) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfd, 15: a.As4()[3]})
}

// ping makes a packet of n bytes (IP header included) from one address to another.
func ping(from, to netip.Addr, n int, seq uint16) []byte {
	b := make([]byte, n)
	if from.Is6() {
		b[0] = 0x60
		binary.BigEndian.PutUint16(b[4:], uint16(n-40))
		b[6], b[7] = ippkt.ProtoUDP, 64
		copy(b[8:], from.AsSlice())
		copy(b[24:], to.AsSlice())
		binary.BigEndian.PutUint16(b[40:], seq)
		binary.BigEndian.PutUint16(b[44:], uint16(n-40))
		return b
	}
	b[0], b[8], b[9] = 0x45, 64, ippkt.ProtoUDP
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	copy(b[12:], from.AsSlice())
	copy(b[16:], to.AsSlice())
	binary.BigEndian.PutUint16(b[10:], ippkt.Checksum(b[:20]))
	binary.BigEndian.PutUint16(b[20:], seq)
	binary.BigEndian.PutUint16(b[24:], uint16(n-20))
	return b
}

// seqOf returns the number that ping put in.
func seqOf(pkt []byte) uint16 {
	if pkt[0]>>4 == 6 {
		return binary.BigEndian.Uint16(pkt[40:])
	}
	return binary.BigEndian.Uint16(pkt[20:])
}

// send gives pkt to the interface of n.
func (n *node) send(pkt []byte) {
	n.w.t.Helper()
	if err := n.host.Send(pkt); err != nil {
		n.w.t.Fatal(err)
	}
}

// received waits until nothing moves and returns the packets that came out of
// the interface of n.
func (n *node) received() [][]byte {
	n.w.t.Helper()
	synctest.Wait()
	var got [][]byte
	for {
		select {
		case p := <-n.host.Packets():
			segments, err := p.Segments()
			if err != nil {
				n.w.t.Fatal(err)
			}
			got = append(got, segments...)
		default:
			return got
		}
	}
}

// reaches checks that a packet from n comes out of o, once and unchanged.
func (n *node) reaches(o *node) {
	n.w.t.Helper()
	pkt := ping(n.inner, o.inner, 84, 7)
	n.send(pkt)
	if got := o.received(); len(got) != 1 || !slices.Equal(got[0], pkt) {
		n.w.t.Fatalf("from %v to %v: received %x, want one packet %x", n.inner, o.inner, got, pkt)
	}
}

// silent checks that a packet from n does not come out of o.
func (n *node) silent(o *node) {
	n.w.t.Helper()
	n.send(ping(n.inner, o.inner, 84, 7))
	if got := o.received(); len(got) != 0 {
		n.w.t.Fatalf("from %v to %v: received %x, want nothing", n.inner, o.inner, got)
	}
}

// peer returns what n knows of o.
func (n *node) peer(o *node) conf.Peer {
	n.w.t.Helper()
	for _, p := range n.Status().Peers {
		if p.PublicKey == o.key.Public() {
			return p
		}
	}
	n.w.t.Fatalf("%v has no peer %v", n.inner, o.inner)
	return conf.Peer{}
}

// wait lets d of the bubble's time pass.
func (w *world) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
