//go:build linux && e2e

package netnstest

import (
	"strings"
	"testing"
	"time"
)

// home is the network of K17 to K23: the devices run where their links are, and
// ns0 is a router that translates addresses.
//
//	┌──────────────────┐   ┌──────────────────────────┐   ┌──────────────────┐
//	│ ns1              │   │ ns0       NAT            │   │ ns2              │
//	│  wg1             │   │                          │   │  wg2             │
//	│  vethc ──────────│───│ vethrc            vethrs │───│ veths            │
//	│  192.168.1.100   │   │ 192.168.1.1     10.0.0.1 │   │ 10.0.0.100       │
//	└──────────────────┘   └──────────────────────────┘   └──────────────────┘
func newHome(t *testing.T) *world {
	t.Helper()
	l := newLab(t)
	w := &world{
		lab: l, ns0: l.host("ns0"), ns1: l.host("ns1"), ns2: l.host("ns2"),
		id1: newIdentity(t), id2: newIdentity(t),
	}
	l.cable(w.ns1, "vethc 192.168.1.100/24", w.ns0, "vethrc 192.168.1.1/24")
	l.cable(w.ns0, "vethrs 10.0.0.1/24", w.ns2, "veths 10.0.0.100/24")
	w.ns1.ip("route add default via 192.168.1.1")
	must(t, w.ns0.Sysctl("net/ipv4/ip_forward", "1"))
	w.ns0.nft(`table ip nat {
		chain post {
			type nat hook postrouting priority 100
			ip saddr 192.168.1.0/24 ip daddr 10.0.0.0/24 snat to 10.0.0.1
		}
	}`)
	must(t, w.ns0.Sysctl("net/netfilter/nf_conntrack_udp_timeout", "2"))
	must(t, w.ns0.Sysctl("net/netfilter/nf_conntrack_udp_timeout_stream", "2"))
	w.wg1, w.wg2 = w.ns1.device("wg1"), w.ns2.device("wg2")
	w.local()
	w.ns1.up("wg1", w.ns1, 1)
	w.ns2.up("wg2", w.ns2, 2)
	return w
}

// local configures devices that run in ns1 and ns2.
func (w *world) local() {
	w.t.Helper()
	w.ns1.ip("addr add "+inner1+"/24 dev wg1", "addr add "+inner16+"/112 dev wg1 nodad")
	w.ns2.ip("addr add "+inner2+"/24 dev wg2", "addr add "+inner26+"/112 dev wg2 nodad")
	w.ns1.wg("set wg1 listen-port 1 private-key", w.ns1.privateKey(w.id1), "peer", w.id2.pub(), "allowed-ips", bothInner2)
	w.ns2.wg("set wg2 listen-port 2 private-key", w.ns2.privateKey(w.id2), "peer", w.id1.pub(), "allowed-ips", bothInner1)
}

// K17 to K19, in the network above.
func TestK17K18K19BehindNAT(t *testing.T) {
	w := newHome(t)
	w.ns1.wg("set wg1 peer", w.id2.pub(), "endpoint 10.0.0.100:2 persistent-keepalive 1")
	w.ns1.pings("-c", "1", inner2)
	w.ns2.pings("-c", "1", inner1)
	if got, want := w.ns2.endpoint("wg2", w.id1), "10.0.0.1:1"; got != want {
		t.Errorf("K17: wg2 sees its peer at %q, want the NAT at %s", got, want)
	}

	time.Sleep(3 * time.Second) // longer than the NAT remembers what is silent
	w.ns2.pings("-c", "1", inner1)
	w.ns1.wg("set wg1 peer", w.id2.pub(), "persistent-keepalive 0")

	w.ns1.pings("-I", "wg1", "-c", "1", inner2)
	w.ns1.nft(`table ip mangle {
		chain output {
			type route hook output priority mangle
			meta mark set 1
		}
	}`)
	w.ns1.pings("-c", "1", inner2)
	w.ns1.pings("-I", "wg1", "-c", "1", inner2)
}

// K20 and K21: a peer whose endpoint lies inside the tunnel to another one, and
// then inside its own.
//
//	ns1 wg1 ══( to wg2 )══ wg2 ns2
//	     192.168.242.1 ──( through it, to 192.168.241.2:5 )── on2 192.168.242.2 ns2
func TestK20K21Onion(t *testing.T) {
	w := newHome(t)
	w.ns1.wg("set wg1 peer", w.id2.pub(), "endpoint 10.0.0.100:2")
	id3 := newIdentity(t)
	w.ns1.wg("set wg1 peer", id3.pub(), "allowed-ips 192.168.242.2/32 endpoint 192.168.241.2:5")
	w.ns1.ip("addr add 192.168.242.1/24 dev wg1")
	onion := w.ns2.device("on2")
	w.ns2.ip("addr add 192.168.242.2/24 dev on2")
	w.ns2.wg("set on2 listen-port 5 private-key", w.ns2.privateKey(id3), "peer", w.id1.pub(), "allowed-ips 192.168.242.1/32")
	w.ns2.up("on2", w.ns2, 5)
	w.ns1.pings("-c", "1", "192.168.242.2")
	w.ns1.flood(20, "192.168.242.2")

	w.ns2.ip("link del on2")
	onion.waitEnded(patience)
	w.ns1.wg("set wg1 peer", id3.pub(), "endpoint 192.168.242.2:5")
	_, before := w.ns1.transfer("wg1", id3)
	w.ns1.pingFails("-c", "1", "192.168.242.2")
	w.stormIsOver(w.wg1)
	if _, after := w.ns1.transfer("wg1", id3); after-before >= 70_000 {
		t.Errorf("K21: one ping became %d bytes", after-before)
	}
	w.ns1.wg("set wg1 peer", id3.pub(), "remove")
	w.ns1.pings("-c", "1", inner2)
}

// K22: everything goes into the tunnel but what the tunnel itself sends, by a
// mark and two rules, as wg-quick does it; there is an IPv6 default route.
func TestK22PolicyRouting(t *testing.T) {
	w := newHome(t)
	w.ns1.wg("set wg1 peer", w.id2.pub(), "endpoint 10.0.0.100:2")
	w.ns1.ip("-6 addr add fc00::9/96 dev vethc nodad", "-6 route add default via fc00::1")
	w.ns2.ip("-4 addr add 192.168.99.7/32 dev wg2", "-6 addr add abab::1111/128 dev wg2 nodad")
	w.ns1.wg("set wg1 fwmark 51820 peer", w.id2.pub(), "allowed-ips 192.168.99.7,abab::1111")
	for _, family := range []string{"-6", "-4"} {
		w.ns1.ip(family+" route add default dev wg1 table 51820",
			family+" rule add not fwmark 51820 table 51820",
			family+" rule add table main suppress_prefixlength 0")
	}
	must(t, w.ns1.Sysctl("net/ipv4/conf/vethc/rp_filter", "0"))
	w.ns1.flood(100, "192.168.99.7")
	w.ns1.flood(100, "abab::1111")
}

// K23: a host whose packets ns2 translates into the tunnel is told that there
// is no peer any more.
//
//	ns0 10.0.0.1 ── 10.0.0.100 ns2: SNAT to 192.168.241.2 ── wg2: no peer
//
// The kernel's error comes from 10.0.0.100. A daemon writes its error into the
// TUN, where a packet with an address of ns2 as its source would be dropped as
// martian; so the source is the original destination, 192.168.241.1.
func TestK23UnreachableThroughNAT(t *testing.T) {
	w := newHome(t)
	w.ns1.wg("set wg1 peer", w.id2.pub(), "endpoint 10.0.0.100:2")
	w.ns1.pings("-c", "1", inner2)
	w.ns2.nft(`table ip nat {
		chain post {
			type nat hook postrouting priority 100
			ip saddr 10.0.0.0/24 ip daddr 192.168.241.0/24 snat to 192.168.241.2
		}
	}`)
	must(t, w.ns2.Sysctl("net/ipv4/ip_forward", "1"))
	w.ns0.ip("-4 route add 192.168.241.1 via 10.0.0.100")
	w.ns0.pings("-c", "1", inner1)
	w.ns2.wg("set wg2 peer", w.id1.pub(), "remove")
	out, err := w.ns0.ping("-c", "1", inner1)
	if err == nil || !strings.Contains(out, "From "+inner1+" icmp_seq=1 Destination Host Unreachable") {
		t.Errorf("ping said %q, error %v, want an unreachable host by %s", out, err, inner1)
	}
}
