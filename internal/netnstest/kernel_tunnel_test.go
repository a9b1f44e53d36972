//go:build linux && e2e

package netnstest

import (
	"fmt"
	"testing"
)

// K1, in the world of world_test.go:
//
//	ns2 wg2 ──:2──( ns0 127.0.0.1 )──:1── wg1 ns1
//
// The counters are those of `wg show transfer`: the link statistics of a TUN
// are plaintext sizes, seen from the other side.
func TestK01WarmUpCounters(t *testing.T) {
	w := newWorld(t)
	w.connect("127.0.0.1")
	w.ns2.flood(10, inner1)

	// The initiator sends 148 bytes of initiation and ten messages of 128, and
	// perhaps a keepalive of 32; it gets 92 bytes of response and the answers.
	rx, tx := w.ns0.transfer("wg2", w.id1)
	if rx != 1372 || tx != 1428 && tx != 1460 {
		t.Errorf("wg2 received %d and sent %d bytes, want 1372, and 1428 or 1460", rx, tx)
	}
	rx1, tx1 := w.ns0.transfer("wg1", w.id2)
	if rx1 != tx || tx1 != rx {
		t.Errorf("wg1 received %d and sent %d bytes, want %d and %d: the mirror image", rx1, tx1, tx, rx)
	}
	if w.ns0.handshake("wg1", w.id2) == 0 || w.ns0.handshake("wg2", w.id1) == 0 {
		t.Error("the time of the latest handshake is zero")
	}
}

// K2 to K8: everything that programs do with a network, at both ends of the
// range of MTUs and over both families.
//
//	ns1 wg1 ══ over 127.0.0.1 or ::1 of ns0 ══ wg2 ns2
func TestK02ToK08EverythingThroughTheTunnel(t *testing.T) {
	w := newWorld(t)
	const jumbo = 34816 - 1500 + 1420
	for _, outer := range []struct{ id, address string }{{"K6 and K7 over IPv4", "127.0.0.1"}, {"K8 over IPv6", "[::1]"}} {
		for _, mtu := range []int{1420, jumbo} {
			t.Run(fmt.Sprintf("%s, MTU %d", outer.id, mtu), func(t *testing.T) {
				w.connect(outer.address)
				w.setMTU(mtu)
				exercise(t, w.ns1, w.ns2)
				if mtu == jumbo {
					w.ns1.pings("-c", "1", "-s", "33000", "-M", "do", inner2)
				}
			})
		}
	}
}

// K9: padding never makes a packet larger than the MTU. The kernel's suite has
// an MTU on a route; a TUN is not told about those, so here it is the MTU of
// the interface that changes, and is followed while the device runs.
//
//	ns1 wg1 ──( ns0: drops packets of exactly 1360 bytes )── wg2 ns2
func TestK09PaddingStaysBelowTheMTU(t *testing.T) {
	w := newWorld(t)
	w.connect("127.0.0.1")
	w.ns0.nft(`table ip exact {
		counter dropped { }
		chain input {
			type filter hook input priority 0
			ip length 1360 counter name dropped drop
		}
	}`)
	w.ns2.pings("-c", "1", inner1)
	dropped := func() int { n, _ := w.ns0.counter("ip", "exact", "dropped"); return n }

	// 1269 of payload and 28 of headers are 1297 bytes, padded to 1312 if it
	// were not for the MTU, and 60 go around it.
	w.setMTU(1300)
	w.ns2.pingFails("-c", "1", "-s", "1269", inner1)
	if dropped() == 0 {
		t.Error("no packet of 1360 bytes was seen: the padding does not reach up to an MTU of 1300")
	}
	w.setMTU(1299)
	before := dropped()
	w.ns2.pings("-c", "1", "-s", "1269", inner1)
	if n := dropped() - before; n != 0 {
		t.Errorf("%d packets of 1360 bytes at an MTU of 1299, want none", n)
	}
}
