//go:build linux && e2e

package netnstest

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newRoad is two hosts with devices and a router between them, for both
// families, where headers can be seen and changed.
//
//	ns1 wg1 :1 ── a1 10.1.0.1 ── r1 ┌─────┐ r2 ── a2 10.2.0.1 ── wg2 :2 ns2
//	              fd00:a::1         │ ns0 │       fd00:b::1
//	                                └─────┘
func newRoad(t *testing.T) *world {
	t.Helper()
	l := newLab(t)
	w := &world{
		lab: l, ns0: l.host("ns0"), ns1: l.host("ns1"), ns2: l.host("ns2"),
		id1: newIdentity(t), id2: newIdentity(t),
	}
	l.cable(w.ns1, "a1 10.1.0.1/24 fd00:a::1/64", w.ns0, "r1 10.1.0.254/24 fd00:a::fe/64")
	l.cable(w.ns2, "a2 10.2.0.1/24 fd00:b::1/64", w.ns0, "r2 10.2.0.254/24 fd00:b::fe/64")
	must(t, w.ns0.Forward())
	w.ns1.ip("route add default via 10.1.0.254", "-6 route add default via fd00:a::fe")
	w.ns2.ip("route add default via 10.2.0.254", "-6 route add default via fd00:b::fe")
	for _, a := range []string{"10.2.0.1", "fd00:b::1"} {
		w.ns1.reaches(a)
	}
	w.wg1, w.wg2 = w.ns1.device("wg1"), w.ns2.device("wg2")
	w.local()
	w.ns1.up("wg1", w.ns1, 1)
	w.ns2.up("wg2", w.ns2, 2)
	return w
}

// P29: the traffic class of what is sent is that of the kernel: handshakes bear
// AF41, keepalives and data no DSCP; ECN is that of RFC 6040 in both
// directions, for every mark inside and outside; the outer packets may be
// fragmented on their way.
func TestP29TrafficClasses(t *testing.T) {
	w := newRoad(t)
	for _, outer := range []struct{ name, endpoint string }{{"outer IPv4", "10.2.0.1:2"}, {"outer IPv6", "[fd00:b::1]:2"}} {
		for _, inner := range []struct{ name, address, options string }{
			{"inner IPv4", inner2, "ip"}, {"inner IPv6", inner26, "ip6"},
		} {
			t.Run(outer.name+", "+inner.name, func(t *testing.T) { w.trafficClasses(t, outer.endpoint, inner.address) })
		}
	}
}

func (w *world) trafficClasses(t *testing.T, endpoint, inside string) {
	w.remark(endpoint, 0) // what an earlier run left
	seen := w.ns0.capture("r1")
	// Down and up: there is a handshake to see.
	w.ns1.ip("link set wg1 down")
	waitFor(t, patience, "the sockets are closed", func() bool { return !w.ns1.bound(1) })
	w.ns1.up("wg1", w.ns1, 1)
	w.ns1.ip("addr replace " + inner16 + "/112 dev wg1 nodad")
	w.ns1.wg("set wg1 peer", w.id2.pub(), "endpoint", endpoint)
	time.Sleep(betweenInitiations)
	w.ns1.pings("-c", "1", inside)
	for _, m := range []struct {
		name string
		kind byte
		port uint16
		tos  byte
	}{{"initiation", 1, 2, 0x88}, {"response", 2, 1, 0x88}, {"data", 4, 2, 0}} {
		f := seen.next(isType(m.kind, m.port))
		if f.tos != m.tos {
			t.Errorf("%s has traffic class %#x, want %#x", m.name, f.tos, m.tos)
		}
		if f.df {
			t.Errorf("%s has DF set", m.name)
		}
		if f.hops != 64 && f.hops != 63 { // seen before or behind the router
			t.Errorf("%s has %d hops left, want 64 or one less", m.name, f.hops)
		}
	}

	heard := w.ns2.listenUDP(net.JoinHostPort(inside, "4000"))
	defer heard.Close()
	must(t, control(heard, func(fd int) error {
		if strings.Contains(inside, ":") {
			return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1)
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVTOS, 1)
	}))
	send := w.ns1.dialUDP(net.JoinHostPort(inside, "4000"))
	const dscp = 0xb8 // EF: it must stay inside, and unchanged
	for onPath := range byte(4) {
		for mark := range byte(4) {
			w.remark(endpoint, onPath)
			seen.drain()
			setClass(t, send, inside, dscp|mark)
			_, err := send.Write([]byte("marked"))
			must(t, err)
			f := seen.next(isType(4, 2))
			// RFC 6040, 4.1: a normal ingress copies, but CE becomes ECT(0) in
			// the kernel (INET_ECN_encapsulate).
			if want := [4]byte{0, 1, 2, 2}[mark]; f.tos != want {
				t.Errorf("inner %d: outer traffic class %#x, want %#x", mark, f.tos, want)
			}
			// RFC 6040, 4.2, figure 4. -1: dropped.
			want := [4][4]int{ // by inner, then outer
				{0, 0, 0, -1},
				{1, 1, 1, 3},
				{2, 1, 2, 3},
				{3, 3, 3, 3},
			}[mark][onPath]
			got := receiveClass(t, heard, want < 0)
			if want < 0 && got >= 0 {
				t.Errorf("inner %d, outer %d: it arrived with %#x, want it dropped", mark, onPath, got)
			}
			if want >= 0 && got != dscp|want {
				t.Errorf("inner %d, outer %d: it arrived with %#x, want %#x", mark, onPath, got, dscp|want)
			}
		}
	}
}

// remark makes the router set the ECN field of messages to wg2.
func (w *world) remark(endpoint string, ecn byte) {
	w.t.Helper()
	field := "ip ecn"
	if strings.HasPrefix(endpoint, "[") {
		field = "ip6 ecn"
	}
	w.ns0.nft(fmt.Sprintf(`table inet marks
		delete table inet marks
		table inet marks {
			chain forward {
				type filter hook forward priority 0
				udp dport 2 %s set %d
			}
		}`, field, ecn))
}

func control(c *net.UDPConn, f func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := raw.Control(func(fd uintptr) { result = f(int(fd)) }); err != nil {
		return err
	}
	return result
}

func setClass(t *testing.T, c *net.UDPConn, address string, class byte) {
	t.Helper()
	must(t, control(c, func(fd int) error {
		if strings.Contains(address, ":") {
			return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(class))
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, int(class))
	}))
}

// receiveClass returns the traffic class of the next datagram, -1 if none comes.
func receiveClass(t *testing.T, c *net.UDPConn, dropped bool) int {
	t.Helper()
	wait := patience
	if dropped {
		wait = 50 * time.Millisecond
	}
	must(t, c.SetReadDeadline(time.Now().Add(wait)))
	data, oob := make([]byte, 100), make([]byte, 100)
	_, n, _, _, err := c.ReadMsgUDP(data, oob)
	if err != nil {
		return -1
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	must(t, err)
	for _, m := range messages {
		if m.Header.Type == unix.IP_TOS && m.Header.Level == unix.IPPROTO_IP ||
			m.Header.Type == unix.IPV6_TCLASS && m.Header.Level == unix.IPPROTO_IPV6 {
			return int(m.Data[0])
		}
	}
	t.Fatal("no traffic class came with a datagram")
	return -1
}

// compat 5.9: who sends to an address that no peer has, or whose peer has no
// endpoint, hears at once that the host is unreachable.
//
//	ns0: wg0 10.1.0.1, fd00:1::1; one peer without an endpoint
func TestUnreachableIsSaid(t *testing.T) {
	h, _ := newSingle(t)
	h.wg("set wg0 listen-port 7 private-key", h.privateKey(newIdentity(t)),
		"peer", newIdentity(t).pub(), "allowed-ips 10.1.0.2/32,fd00:1::2/128")
	h.ip("addr add 10.1.0.1/24 dev wg0", "addr add fd00:1::1/64 dev wg0 nodad")
	h.up("wg0", h, 7)
	for _, c := range []struct{ name, address string }{
		{"IPv4, no endpoint", "10.1.0.2"}, {"IPv6, no endpoint", "fd00:1::2"},
		{"IPv4, no peer", "10.1.0.3"}, {"IPv6, no peer", "fd00:1::3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := h.dialUDP(net.JoinHostPort(c.address, "9"))
			must(t, control(s, func(fd int) error { // errors that may pass are for those who ask
				if strings.Contains(c.address, ":") {
					return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
				}
				return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
			}))
			_, err := s.Write([]byte("hello"))
			must(t, err)
			must(t, s.SetReadDeadline(time.Now().Add(patience)))
			begin := time.Now()
			if _, err := s.Read(make([]byte, 10)); !errors.Is(err, syscall.EHOSTUNREACH) {
				t.Errorf("reading after a send says %v, want %v", err, syscall.EHOSTUNREACH)
			}
			t.Logf("after %v", time.Since(begin))
			out, err := h.ping("-c", "1", c.address)
			if err == nil || !strings.Contains(out, "Destination Host Unreachable") &&
				!strings.Contains(out, "Destination unreachable: Address unreachable") {
				t.Errorf("ping said %q", out)
			}
		})
	}
}
