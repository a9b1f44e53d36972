//go:build linux && e2e

package netnstest

import (
	"testing"
	"time"
)

// nest puts a tunnel into the tunnel of w: the daemons of the inner one run in
// ns1 and ns2, so that their UDP goes through the outer one.
//
//	ns1                              ns0                              ns2
//	in1 192.168.241.1 ─:5─┐                            ┌─:5─ in2 192.168.241.2
//	        wg1 fd00::5:1 ─────:1─( 127.0.0.1 )─:2───── wg2 fd00::5:2
func (w *world) nest() (in1, in2 *daemon, id3, id4 identity) {
	w.t.Helper()
	w.connect("127.0.0.1")
	w.ns1.ip("addr flush dev wg1", "addr add fd00::5:1/112 dev wg1 nodad")
	w.ns2.ip("addr flush dev wg2", "addr add fd00::5:2/112 dev wg2 nodad")
	w.ns0.wg("set wg1 peer", w.id2.pub(), "allowed-ips fd00::5:2/128")
	w.ns0.wg("set wg2 peer", w.id1.pub(), "allowed-ips fd00::5:1/128")
	id3, id4 = newIdentity(w.t), newIdentity(w.t)
	in1, in2 = w.ns1.device("in1"), w.ns2.device("in2")
	w.ns1.ip("addr add "+inner1+"/24 dev in1", "addr add "+inner16+"/112 dev in1 nodad", "link set in1 mtu 1340")
	w.ns2.ip("addr add "+inner2+"/24 dev in2", "addr add "+inner26+"/112 dev in2 nodad", "link set in2 mtu 1340")
	w.ns1.wg("set in1 listen-port 5 private-key", w.ns1.privateKey(id3),
		"peer", id4.pub(), "allowed-ips", bothInner2, "endpoint [fd00::5:2]:5")
	w.ns2.wg("set in2 listen-port 5 private-key", w.ns2.privateKey(id4),
		"peer", id3.pub(), "allowed-ips", bothInner1, "endpoint [fd00::5:1]:5")
	w.ns1.up("in1", w.ns1, 5)
	w.ns2.up("in2", w.ns2, 5)
	return in1, in2, id3, id4
}

// K15: a tunnel inside a tunnel. The picture is at nest.
func TestK15TunnelInsideATunnel(t *testing.T) {
	w := newWorld(t)
	w.nest()
	exercise(t, w.ns1, w.ns2)
}

// K16: two tunnels that lead into each other. The link of the inner tunnel is
// moved to ns0, where the UDP of the outer one is, and the endpoint of the
// outer one is behind the inner one.
//
//	ns0: ping ─→ in1 ──(encrypted, in ns1)─→ wg1 ──(encrypted, in ns0)─→ in1 ─→ ...
func TestK16RoutingLoopOfTwoTunnelsEnds(t *testing.T) {
	w := newWorld(t)
	in1, in2, _, id4 := w.nest()
	w.ns1.give("in1", w.ns0)
	w.ns0.ip("addr add " + inner1 + "/24 dev in1")
	w.ns0.up("in1", w.ns1, 5)
	w.ns0.pings("-c", "1", inner2)

	w.ns0.wg("set wg1 peer", w.id2.pub(), "endpoint "+inner2+":7")
	w.ns2.ip("link del wg2", "link del in2")
	w.wg2.waitEnded(patience)
	in2.waitEnded(patience)
	_, before := w.ns1.transfer("in1", id4)
	_, outer := w.ns0.transfer("wg1", w.id2)
	w.ns0.pingFails("-c", "10", "-f", inner2)
	w.stormIsOver(in1, w.wg1)
	_, after := w.ns1.transfer("in1", id4)
	_, outerAfter := w.ns0.transfer("wg1", w.id2)
	t.Logf("ten pings became %d bytes of the inner tunnel and %d of the outer one", after-before, outerAfter-outer)
	if after-before >= 70_000 {
		t.Errorf("ten pings became %d bytes, want less than 70000", after-before)
	}
}

// F26: a tunnel whose endpoint is inside itself.
//
//	ns0: wg0 192.168.241.1, peer .2 with endpoint 192.168.241.2:7
func TestF26EndpointInsideItsOwnTunnel(t *testing.T) {
	for _, c := range []struct{ name, inside, endpoint string }{
		{"IPv4", inner2, inner2 + ":7"},
		{"IPv6", inner26, "[" + inner26 + "]:7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.connect("127.0.0.1")
			w.ns1.give("wg1", w.ns0)
			w.ns0.ip("addr add "+inner1+"/24 dev wg1", "addr add "+inner16+"/112 dev wg1 nodad")
			w.ns0.up("wg1", w.ns0, 1)
			w.ns0.pings("-c", "1", c.inside) // there is a session now
			w.ns0.wg("set wg1 peer", w.id2.pub(), "endpoint", c.endpoint)
			_, before := w.ns0.transfer("wg1", w.id2)
			w.ns0.pingFails("-c", "10", "-f", c.inside)
			w.stormIsOver(w.wg1)
			_, after := w.ns0.transfer("wg1", w.id2)
			t.Logf("ten pings became %d bytes", after-before)
			if after-before >= 70_000 {
				t.Errorf("ten pings became %d bytes, want less than 70000", after-before)
			}
		})
	}
}

// stormIsOver fails the test if a daemon is busy although nobody has anything
// to send.
func (w *world) stormIsOver(daemons ...*daemon) {
	w.t.Helper()
	var busy []time.Duration
	for _, d := range daemons {
		busy = append(busy, d.cpu())
	}
	time.Sleep(time.Second) // the time over which it is measured
	for i, d := range daemons {
		if used := d.cpu() - busy[i]; used > 200*time.Millisecond {
			w.t.Errorf("%s used %v of processor time in an idle second", d.name, used)
		}
	}
}
