//go:build linux && e2e

package udp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/packet"
)

// host is a network namespace.
type host struct {
	t  *testing.T
	fd int
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t}
	onThread(func() {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		h.fd, _ = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	})
	t.Cleanup(func() { _ = unix.Close(h.fd) })
	// Link-local addresses are there at once; neighbour discovery needs them.
	h.sysctl("net.ipv6.conf.default.accept_dad", "0")
	h.ip("link set lo up")
	return h
}

// onThread runs f on a thread that ends with it.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread is not used again
		f()
	}()
	<-done
}

// in runs f inside the namespace.
func (h *host) in(f func()) {
	onThread(func() {
		if err := unix.Setns(h.fd, unix.CLONE_NEWNET); err != nil {
			h.t.Error(err)
			return
		}
		f()
	})
}

// ip runs ip(8) inside the namespace, once per line.
func (h *host) ip(lines string) {
	h.t.Helper()
	for line := range strings.Lines(lines) {
		args := strings.Fields(line)
		if len(args) == 0 {
			continue
		}
		h.in(func() {
			if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
				h.t.Errorf("ip %s: %v: %s", line, err, out)
			}
		})
	}
	if h.t.Failed() {
		h.t.FailNow()
	}
}

func (h *host) sysctl(name, value string) {
	h.t.Helper()
	h.in(func() {
		if err := os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0o644); err != nil {
			h.t.Error(err)
		}
	})
}

// open opens a port inside the namespace.
func (h *host) open(n Network, sys *calls) *testPort {
	h.t.Helper()
	var tp *testPort
	h.in(func() { tp = openTest(h.t, n, sys) })
	if tp == nil {
		h.t.FailNow()
	}
	return tp
}

// twoLinks joins two hosts by two links. Host 1 has 10.0.L.1 and fd0L::1 on
// link L, host 2 has .2 and ::2; host 2 can also be reached at 10.9.0.2 and
// fd09::2, over link 1.
//
//	host 1 -- one: 10.0.1.0/24 fd01::/64 -- host 2 (lo: 10.9.0.2 fd09::2)
//	       -- two: 10.0.2.0/24 fd02::/64 --
func twoLinks(t *testing.T) (h1, h2 *host) {
	h1, h2 = newHost(t), newHost(t)
	for i, name := range []string{"one", "two"} {
		h1.ip(fmt.Sprintf("link add %s type veth peer name %s netns /proc/%d/fd/%d", name, name, os.Getpid(), h2.fd))
		for k, h := range []*host{h1, h2} {
			h.ip(fmt.Sprintf(`addr add 10.0.%d.%d/24 dev %s
				addr add fd0%d::%d/64 dev %s nodad
				link set %s up`, i+1, k+1, name, i+1, k+1, name, name))
		}
	}
	for _, h := range []*host{h1, h2} {
		for _, name := range []string{"all", "one", "two"} {
			h.sysctl("net.ipv4.conf."+name+".rp_filter", "0")
		}
	}
	h2.ip(`addr add 10.9.0.2/32 dev lo
		addr add fd09::2/128 dev lo nodad`)
	h1.ip(`route add 10.9.0.2/32 via 10.0.1.2 metric 100
		-6 route add fd09::2/128 via fd01::2 metric 100`)
	return h1, h2
}

// exchange sends a message and returns how it arrived.
func exchange(t *testing.T, from *testPort, to packet.Endpoint, at *testPort) packet.Endpoint {
	t.Helper()
	run := dataRun(to, 3, 500)
	if err := from.Send([]packet.Run{run}); err != nil {
		t.Fatal(err)
	}
	return at.expectRun(t, run)[0].from
}

// netlinkModes runs f with and without netlink on the host under test.
func netlinkModes(t *testing.T, f func(t *testing.T, sys *calls)) {
	t.Run("netlink", func(t *testing.T) { f(t, &kernel) })
	t.Run("no netlink", func(t *testing.T) {
		c := kernel
		c.openFlow = func() (int, error) { return -1, unix.EPERM }
		f(t, &c)
	})
}

// awaitEpoch waits until the port has noticed a change of routing.
func awaitEpoch(p *testPort, since uint32) {
	for p.sources.routes != nil && p.sources.epoch.Load() == since {
		runtime.Gosched()
	}
}

func TestSourceAddressGoes(t *testing.T) { // K24, K25
	netlinkModes(t, func(t *testing.T, sys *calls) {
		h1, h2 := twoLinks(t)
		a, b := h1.open(Network{}, sys), h2.open(Network{}, &kernel)
		for _, c := range []struct{ mine, next, theirs, change string }{
			{"10.0.1.1", "10.0.1.11", "10.0.1.2", "addr del 10.0.1.1/24 dev one\naddr add 10.0.1.11/24 dev one"},
			{"fd01::1", "fd01::11", "fd01::2", "addr del fd01::1/64 dev one\naddr add fd01::11/64 dev one nodad"},
		} {
			peer := exchange(t, b, a.at(netip.MustParseAddr(c.mine)), a)
			if peer.Local != netip.MustParseAddr(c.mine) {
				t.Fatalf("learnt %v, want %v", peer.Local, c.mine)
			}
			exchange(t, a, peer, b)
			h1.ip(c.change)
			// The first run already, whether netlink was faster or not.
			if got := exchange(t, a, peer, b).Remote.Addr(); got != netip.MustParseAddr(c.next) {
				t.Errorf("after %s went, packets come from %v, want %v", c.mine, got, c.next)
			}
			if a.plain.has(peer.Remote, 500) {
				t.Error("the missing source was taken for a failure of segmentation")
			}
		}
	})
}

func TestAnswersFromEachContactedAddress(t *testing.T) { // K26, K27
	netlinkModes(t, func(t *testing.T, sys *calls) {
		h1, h2 := twoLinks(t)
		// A pair with both ends here stands for a dummy interface.
		h1.ip(`addr add 10.0.1.21/24 dev one
			addr add fd01::21/64 dev one nodad
			link add dummy type veth peer name dummy-end
			addr add 10.50.0.1/24 dev dummy
			addr add fd50::1/64 dev dummy nodad
			link set dummy up
			link set dummy-end up`)
		h2.ip(`route add 10.50.0.0/24 via 10.0.1.1
			-6 route add fd50::/64 via fd01::1`)
		a, b := h1.open(Network{}, sys), h2.open(Network{}, &kernel)
		for _, contacted := range []string{
			"10.0.1.1", "10.0.1.21", "10.50.0.1", "10.0.2.1",
			"fd01::1", "fd01::21", "fd50::1", "fd02::1", "10.0.1.1",
		} {
			mine := netip.MustParseAddr(contacted)
			peer := exchange(t, b, a.at(mine), a)
			if got := exchange(t, a, peer, b).Remote.Addr(); got != mine {
				t.Errorf("contacted %v, answered from %v", mine, got)
			}
		}
		// What happens elsewhere does not matter.
		if a.sources.routes == nil {
			return
		}
		peers := map[string]packet.Endpoint{}
		for _, contacted := range []string{"10.0.1.21", "fd01::21", "10.50.0.1", "fd50::1"} {
			peers[contacted] = exchange(t, b, a.at(netip.MustParseAddr(contacted)), a)
			exchange(t, a, peers[contacted], b)
		}
		epoch := a.sources.epoch.Load()
		h1.ip(`link add other type veth peer name other-end
			link set other up
			addr add 10.60.0.1/24 dev other
			route add 10.70.0.0/24 via 10.60.0.2`)
		awaitEpoch(a, epoch)
		for contacted, peer := range peers {
			if got := exchange(t, a, peer, b).Remote.Addr().String(); got != contacted {
				t.Errorf("after a change elsewhere: contacted %v, answered from %v", contacted, got)
			}
		}
	})
}

func TestBetterRouteAppears(t *testing.T) { // K28
	h1, h2 := twoLinks(t)
	a, b := h1.open(Network{}, &kernel), h2.open(Network{}, &kernel)
	for _, c := range []struct{ theirs, first, second, better, family string }{
		{"10.9.0.2", "10.0.1.1", "10.0.2.1", "route add 10.9.0.2/32 via 10.0.2.2 metric 50", "-4"},
		{"fd09::2", "fd01::1", "fd02::1", "route add fd09::2/128 via fd02::2 metric 50", "-6"},
	} {
		first, second := netip.MustParseAddr(c.first), netip.MustParseAddr(c.second)
		from := func(to packet.Endpoint) netip.Addr { return exchange(t, a, to, b).Remote.Addr() }
		// The peer calls from the address that the routes concern.
		call := packet.Endpoint{Remote: a.at(first).Remote, Local: netip.MustParseAddr(c.theirs), Epoch: b.sources.epoch.Load()}
		peer := exchange(t, b, call, a)
		if peer.Remote.Addr() != call.Local || peer.Local != first {
			t.Fatalf("peer is %+v", peer)
		}
		if got := from(peer); got != first {
			t.Errorf("before: from %v, want %v", got, first)
		}
		epoch := a.sources.epoch.Load()
		h1.ip(c.family + " " + c.better)
		awaitEpoch(a, epoch)
		if got := from(peer); got != second {
			t.Errorf("after a better route appeared: from %v, want %v", got, second)
		}
		// Packets that were on their way to the old address change nothing.
		late := exchange(t, b, call, a)
		if late.Local != first {
			t.Fatalf("late packet arrived at %v", late.Local)
		}
		if got := from(late); got != second {
			t.Errorf("after a late packet: from %v, want %v", got, second)
		}
		// The route goes again, and the contacted address is right again.
		epoch = a.sources.epoch.Load()
		h1.ip(c.family + " " + strings.Replace(c.better, "add", "del", 1))
		awaitEpoch(a, epoch)
		if got := from(late); got != first {
			t.Errorf("after the route went: from %v, want %v", got, first)
		}
	}
}

// A source that was learnt, but not sent from before the routes changed: it is
// not trusted until the peer is heard there again.
func TestUnusedSourceAndAChange(t *testing.T) { // K27
	h1, h2 := twoLinks(t)
	h1.ip(`link add dummy type veth peer name dummy-end
		addr add 10.50.0.1/24 dev dummy
		link set dummy up
		link set dummy-end up`)
	h2.ip("route add 10.50.0.0/24 via 10.0.1.1")
	a, b := h1.open(Network{}, &kernel), h2.open(Network{}, &kernel)
	mine := netip.MustParseAddr("10.50.0.1")
	peer := exchange(t, b, a.at(mine), a)
	epoch := a.sources.epoch.Load()
	h1.ip("route add 10.70.0.0/24 via 10.0.2.2")
	awaitEpoch(a, epoch)
	if got := exchange(t, a, peer, b).Remote.Addr(); got == mine {
		t.Errorf("from %v, which nobody knows to be right still", got)
	}
	for range 3 {
		peer = exchange(t, b, a.at(mine), a)
		if got := exchange(t, a, peer, b).Remote.Addr(); got != mine {
			t.Errorf("contacted %v again, answered from %v", mine, got)
		}
	}
}

func TestAddressMovesToAnotherInterface(t *testing.T) {
	h1, h2 := twoLinks(t)
	a, b := h1.open(Network{}, &kernel), h2.open(Network{}, &kernel)
	h1.ip("addr add 10.0.1.21/24 dev one")
	mine := netip.MustParseAddr("10.0.1.21")
	peer := exchange(t, b, a.at(mine), a)
	exchange(t, a, peer, b)
	epoch := a.sources.epoch.Load()
	h1.ip(`link add bridge type bridge
		link set bridge up
		addr flush dev one
		link set one master bridge
		addr add 10.0.1.1/24 dev bridge
		addr add 10.0.1.21/24 dev bridge`)
	awaitEpoch(a, epoch)
	// Once the follower has settled, the source is the contacted one again.
	for exchange(t, a, peer, b).Remote.Addr() != mine {
	}
}

func TestLinkGoesAway(t *testing.T) { // F08
	h1, h2 := twoLinks(t)
	h1.ip("route add 10.9.0.2/32 via 10.0.2.2 metric 200")
	a, b := h1.open(Network{}, &kernel), h2.open(Network{}, &kernel)
	call := packet.Endpoint{Remote: a.at(netip.MustParseAddr("10.0.1.1")).Remote, Local: netip.MustParseAddr("10.9.0.2"), Epoch: 1}
	peer := exchange(t, b, call, a)
	exchange(t, a, peer, b)
	epoch := a.sources.epoch.Load()
	h1.ip("link set one down")
	awaitEpoch(a, epoch)
	if got := exchange(t, a, peer, b).Remote.Addr().String(); got != "10.0.2.1" {
		t.Errorf("after its link went down: from %v, want 10.0.2.1", got)
	}
}

func TestSmallRouteMTU(t *testing.T) { // F15, B15, B16, E11
	h1, h2 := twoLinks(t)
	h1.ip(`route add 10.9.0.2/32 via 10.0.1.2 mtu 1280 metric 10
		-6 route add fd09::2/128 via fd01::2 mtu 1280 metric 10
		link set one mtu 1400`)
	h2.ip("link set one mtu 1400")
	for name, n := range map[string]Network{"default": {}, "no segment": {NoSegment: true}} {
		a, b := h1.open(n, &kernel), h2.open(Network{}, &kernel)
		for _, theirs := range []string{"10.9.0.2", "fd09::2"} {
			to := b.at(netip.MustParseAddr(theirs))
			for round := range 20 {
				run := dataRun(to, 40, 1452)
				if err := a.Send([]packet.Run{run}); err != nil {
					t.Fatalf("%s: round %d: %v", name, round, err)
				}
				b.expectRun(t, run) // in fragments, all of them
			}
			small := dataRun(to, 40, 1000)
			if err := a.Send([]packet.Run{small}); err != nil {
				t.Fatal(err)
			}
			b.expectRun(t, small)
		}
	}
	// On request nothing is fragmented, and what does not fit is an error.
	a, b := h1.open(Network{KeepDF: true}, &kernel), h2.open(Network{}, &kernel)
	for _, theirs := range []string{"10.9.0.2", "fd09::2"} {
		to := b.at(netip.MustParseAddr(theirs))
		if err := a.Send([]packet.Run{dataRun(to, 5, 1452)}); !errors.Is(err, unix.EMSGSIZE) {
			t.Errorf("with DF: error %v, want EMSGSIZE", err)
		}
		small := dataRun(to, 40, 1100)
		if err := a.Send([]packet.Run{small}); err != nil {
			t.Fatal(err)
		}
		b.expectRun(t, small)
	}
}

func TestOuterHeader(t *testing.T) { // E11, 5.9: DF clear, TTL 64
	h1, h2 := twoLinks(t)
	h1.sysctl("net.ipv4.ip_default_ttl", "99")
	var tap int
	h2.in(func() {
		var err error
		if tap, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_IP))); err != nil {
			t.Error(err)
		}
	})
	defer unix.Close(tap)
	a, b := h1.open(Network{}, &kernel), h2.open(Network{}, &kernel)
	exchange(t, a, b.at(netip.MustParseAddr("10.0.1.2")), b)
	buf := make([]byte, 65536)
	for {
		n, _, err := unix.Recvfrom(tap, buf, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n < 28 || buf[9] != unix.IPPROTO_UDP || binary.BigEndian.Uint16(buf[22:]) != b.number {
			continue
		}
		if ttl, df := buf[8], buf[6]&0x40 != 0; ttl != 64 || df {
			t.Errorf("TTL %d, DF %v; want 64, clear", ttl, df)
		}
		return
	}
}

func htons(v uint16) uint16 { return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v)) }

func TestLinkLocalPeersKeepTheirZone(t *testing.T) { // 5.10
	h1, h2 := twoLinks(t)
	h1.ip("addr add fe80::1/64 dev one nodad\naddr add fe80::1/64 dev two nodad")
	h2.ip("addr add fe80::2/64 dev one nodad\naddr add fe80::2/64 dev two nodad")
	a, b := h1.open(Network{}, &kernel), h2.open(Network{}, &kernel)
	for _, zone := range []string{"one", "two", "one"} {
		for range 2 {
			seen := exchange(t, b, a.at(netip.MustParseAddr("fe80::1%"+zone)), a)
			if seen.Remote.Addr() != netip.MustParseAddr("fe80::2%"+zone) {
				t.Errorf("peer is %v, want fe80::2%%%s", seen.Remote, zone)
			}
			back := exchange(t, a, seen, b)
			if back.Remote.Addr() != netip.MustParseAddr("fe80::1%"+zone) {
				t.Errorf("answer from %v, want fe80::1%%%s", back.Remote, zone)
			}
		}
	}
}

func TestHostWithIPv6SwitchedOff(t *testing.T) { // F10
	h := newHost(t)
	h.sysctl("net.ipv6.conf.all.disable_ipv6", "1")
	a, b := h.open(Network{}, &kernel), h.open(Network{}, &kernel)
	exchange(t, a, b.at(home4), b)
}

func TestMarkIsOnEverySocket(t *testing.T) {
	h1, h2 := twoLinks(t)
	a, b := h1.open(Network{}, &kernel), h2.open(Network{}, &kernel)
	to := b.at(netip.MustParseAddr("10.0.1.2"))
	exchange(t, a, to, b)
	h1.ip("rule add fwmark 0x77 unreachable\n-6 rule add fwmark 0x77 unreachable")
	if err := a.SetMark(0x77); err != nil {
		t.Fatal(err)
	}
	if err := a.Send([]packet.Run{dataRun(to, 2, 100)}); err == nil {
		t.Error("the mark has no effect")
	}
	for _, f := range a.families {
		for _, fd := range f.sockets() {
			if mark, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK); err != nil || mark != 0x77 {
				t.Errorf("mark of a socket = %#x, %v; want 0x77", mark, err)
			}
		}
	}
	if err := a.SetMark(0); err != nil {
		t.Fatal(err)
	}
	exchange(t, a, to, b)
	// And from the start.
	h1.in(func() {
		p, err := (&Network{}).open(&kernel, 0, 0x77)
		if err != nil {
			t.Error(err)
			return
		}
		defer p.Close()
		if err := p.Send([]packet.Run{dataRun(to, 2, 100)}); err == nil {
			t.Error("the mark given to Open has no effect")
		}
	})
}
