//go:build linux && e2e

package netnstest

import (
	"testing"
	"time"
)

// newStreet is two hosts on one cable, without addresses yet.
//
//	ns1: wg1 :1, veth1 ─────────── veth2, wg2 :2 :ns2
func newStreet(t *testing.T) *world {
	t.Helper()
	l := newLab(t)
	w := &world{lab: l, ns1: l.host("ns1"), ns2: l.host("ns2"), id1: newIdentity(t), id2: newIdentity(t)}
	l.cable(w.ns1, "veth1", w.ns2, "veth2")
	w.wg1, w.wg2 = w.ns1.device("wg1"), w.ns2.device("wg2")
	w.local()
	w.ns1.up("wg1", w.ns1, 1)
	w.ns2.up("wg2", w.ns2, 2)
	return w
}

// K24 and K25: the source address in use goes away, another one is there. The
// next ping works; F08 for the address.
//
//	ns1 veth1 10.0.0.1, then 10.0.0.10 ─── veth2 10.0.0.2 ns2
func TestK24K25SourceAddressGoesAway(t *testing.T) {
	for _, c := range []struct{ id, old, new, remote, newAt, remoteAt string }{
		{"K24 IPv4", "10.0.0.1/24", "10.0.0.10/24", "10.0.0.2/24", "10.0.0.10:1", "10.0.0.2:2"},
		{"K25 IPv6", "fd00:aa::1/96", "fd00:aa::10/96", "fd00:aa::2/96", "[fd00:aa::10]:1", "[fd00:aa::2]:2"},
	} {
		t.Run(c.id, func(t *testing.T) {
			w := newStreet(t)
			nodad := ""
			if c.id == "K25 IPv6" {
				nodad = " nodad"
			}
			w.ns1.ip("addr add " + c.old + " dev veth1" + nodad)
			w.ns2.ip("addr add " + c.remote + " dev veth2" + nodad)
			w.ns2.reaches(c.old)
			w.ns1.wg("set wg1 peer", w.id2.pub(), "endpoint", c.remoteAt)
			w.ns1.pings("-c", "1", inner2)
			w.ns2.pings("-c", "1", inner1)
			w.ns1.ip("addr del "+c.old+" dev veth1", "addr add "+c.new+" dev veth1"+nodad)
			w.ns2.reaches(c.new)
			w.ns1.pings("-c", "1", inner2)
			if got := w.ns2.endpoint("wg2", w.id1); got != c.newAt {
				t.Errorf("wg2 sees its peer at %q, want %s", got, c.newAt)
			}
			w.ns2.pings("-c", "1", inner1)
		})
	}
}

// K26 and K27: whoever is contacted at one of several addresses answers from
// it, also when it is on an interface that the answer does not leave through.
//
//	ns1 veth1 10.0.0.1, 10.0.0.2, fd00:aa::1, fd00:aa::2 ─── veth2 10.0.0.3, fd00:aa::3 ns2
//	    spare1 10.50.0.1, fd00:50::1
func TestK26K27ReplyFromTheContactedAddress(t *testing.T) {
	w := newStreet(t)
	w.ns1.ip("addr add 10.0.0.1/24 dev veth1", "addr add 10.0.0.2/24 dev veth1",
		"addr add fd00:aa::1/96 dev veth1 nodad", "addr add fd00:aa::2/96 dev veth1 nodad")
	w.ns2.ip("addr add 10.0.0.3/24 dev veth2", "addr add fd00:aa::3/96 dev veth2 nodad")
	// There is no dummy interface on every machine: an unplugged cable serves.
	w.ns1.ip("link add spare1 type veth peer name spare2", "link set spare1 up", "link set spare2 up",
		"addr add 10.50.0.1/24 dev spare1", "addr add fd00:50::1/96 dev spare1 nodad")
	w.ns2.ip("route add 10.50.0.0/24 dev veth2", "-6 route add fd00:50::/96 via fd00:aa::1")
	for _, a := range []string{"fd00:aa::1", "fd00:aa::2", "fd00:50::1"} {
		w.ns2.reaches(a)
	}
	for _, c := range []struct{ id, endpoint string }{
		{"K26", "10.0.0.1:1"}, {"K26", "[fd00:aa::1]:1"}, {"K26", "10.0.0.2:1"}, {"K26", "[fd00:aa::2]:1"},
		{"K27", "10.50.0.1:1"}, {"K27", "[fd00:50::1]:1"},
	} {
		w.ns2.wg("set wg2 peer", w.id1.pub(), "endpoint", c.endpoint)
		if out, err := w.ns2.ping("-c", "1", inner1); err != nil {
			t.Fatalf("%s: contacting %s: %v\n%s", c.id, c.endpoint, err, out)
		}
		if got := w.ns2.endpoint("wg2", w.id1); got != c.endpoint {
			t.Errorf("%s: the answer came from %q, want %s", c.id, got, c.endpoint)
		}
	}
}

// K28: a better route over another interface appears during a session: what is
// sent from then on has the address of that one. A daemon hears of it from
// netlink, and of several changes in 10 ms at once, hence the second ping.
//
//	ns1 veth1 10.0.0.1, fd00:a::1 ─── veth2
//	                                       lo 10.9.0.1, fd00:9::1 ns2
//	    veth3 10.0.1.1, fd00:b::1 ─── veth4
func TestK28BetterRouteAppears(t *testing.T) {
	for _, c := range []struct{ family, target, endpoint, first, second string }{
		{"-4", "10.9.0.1", "10.9.0.1:2", "10.0.0.1", "10.0.1.1"},
		{"-6", "fd00:9::1", "[fd00:9::1]:2", "fd00:a::1", "fd00:b::1"},
	} {
		t.Run("IPv"+c.family[1:], func(t *testing.T) {
			w := newStreet(t)
			w.cable(w.ns1, "veth3", w.ns2, "veth4")
			w.ns1.ip("addr add 10.0.0.1/24 dev veth1", "addr add 10.0.1.1/24 dev veth3",
				"addr add fd00:a::1/96 dev veth1 nodad", "addr add fd00:b::1/96 dev veth3 nodad")
			w.ns2.ip("addr add 10.0.0.2/24 dev veth2", "addr add 10.0.1.2/24 dev veth4",
				"addr add fd00:a::2/96 dev veth2 nodad", "addr add fd00:b::2/96 dev veth4 nodad",
				"addr add 10.9.0.1/32 dev lo", "addr add fd00:9::1/128 dev lo nodad")
			for _, f := range []string{"all", "veth1", "veth3"} {
				must(t, w.ns1.Sysctl("net/ipv4/conf/"+f+"/rp_filter", "0"))
			}
			for _, f := range []string{"all", "veth2", "veth4"} {
				must(t, w.ns2.Sysctl("net/ipv4/conf/"+f+"/rp_filter", "0"))
			}
			w.ns2.reaches("fd00:a::1")
			w.ns2.reaches("fd00:b::1")
			via := func(a string) string { return a[:len(a)-1] + "2" }
			w.ns1.ip(c.family + " route add " + c.target + " via " + via(c.first) + " dev veth1 metric 20 src " + c.first)
			w.ns1.wg("set wg1 peer", w.id2.pub(), "endpoint", c.endpoint)
			w.ns1.pings("-c", "1", inner2)
			if got, want := w.ns2.endpoint("wg2", w.id1), at(c.first, "1"); got != want {
				t.Fatalf("wg2 sees its peer at %q, want %s", got, want)
			}
			w.ns1.ip(c.family + " route add " + c.target + " via " + via(c.second) + " dev veth3 metric 10 src " + c.second)
			w.ns1.pings("-c", "1", inner2)
			time.Sleep(20 * time.Millisecond)
			w.ns1.pings("-c", "1", inner2)
			if got, want := w.ns2.endpoint("wg2", w.id1), at(c.second, "1"); got != want {
				t.Errorf("with the better route wg2 sees its peer at %q, want %s", got, want)
			}
			w.ns1.ip(c.family + " route del " + c.target + " metric 10")
			w.ns1.pings("-c", "1", inner2)
			time.Sleep(20 * time.Millisecond)
			w.ns1.pings("-c", "1", inner2)
			if got, want := w.ns2.endpoint("wg2", w.id1), at(c.first, "1"); got != want {
				t.Errorf("without it wg2 sees its peer at %q, want %s", got, want)
			}
		})
	}
}

// at joins an address and a port as wg shows them.
func at(address, port string) string {
	for _, c := range address {
		if c == ':' {
			return "[" + address + "]:" + port
		}
	}
	return address + ":" + port
}

// F08: a link goes away under the tunnel and comes back; as soon as the hosts
// reach each other, so does the tunnel, without a restart. The kernel itself may
// take up to a second to notice the carrier.
//
//	ns1 veth1 10.0.0.1 ─── veth2 10.0.0.2 ns2
func TestF08CableIsUnpluggedAndPluggedIn(t *testing.T) {
	w := newStreet(t)
	w.ns1.ip("addr add 10.0.0.1/24 dev veth1")
	w.ns2.ip("addr add 10.0.0.2/24 dev veth2")
	w.ns1.wg("set wg1 peer", w.id2.pub(), "endpoint 10.0.0.2:2")
	for _, h := range []*host{w.ns1, w.ns2} {
		link := map[*host]string{w.ns1: "veth1", w.ns2: "veth2"}[h]
		w.ns1.pings("-c", "1", inner2)
		h.ip("link set " + link + " down")
		w.ns1.pingFails("-c", "1", inner2)
		h.ip("link set " + link + " up")
		w.ns1.reaches("10.0.0.2")
		w.ns1.pings("-c", "1", inner2)
		w.ns2.pings("-c", "1", inner1)
	}
	// And the only route: removed, then back.
	w.ns1.ip("route del 10.0.0.0/24 dev veth1")
	w.ns1.pingFails("-c", "1", inner2)
	w.ns1.ip("route add 10.0.0.0/24 dev veth1")
	w.ns1.pings("-c", "1", inner2)
}
