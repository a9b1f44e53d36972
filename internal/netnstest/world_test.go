//go:build linux && e2e

package netnstest

import (
	"crypto/rand"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/key"
)

// The addresses inside the tunnel.
const (
	inner1, inner2   = "192.168.241.1", "192.168.241.2"
	inner16, inner26 = "fd00::1", "fd00::2"
	bothInner1       = inner1 + "/32," + inner16 + "/128"
	bothInner2       = inner2 + "/32," + inner26 + "/128"
)

// betweenInitiations is how far apart initiations of one peer have to be for
// both to be accepted (20 ms), with something to spare. Tests are faster than
// that.
const betweenInitiations = 30 * time.Millisecond

// world is where most of the scenarios happen, that of the kernel's suite.
//
//	┌───────────────┐    ┌──────────────────────┐    ┌───────────────┐
//	│ ns1           │    │ ns0                  │    │ ns2           │
//	│  wg1          │····│ 127.0.0.1   wg1 :1   │····│  wg2          │
//	│ 192.168.241.1 │    │ ::1         wg2 :2   │    │ 192.168.241.2 │
//	│ fd00::1       │    │  (both daemons)      │    │ fd00::2       │
//	└───────────────┘    └──────────────────────┘    └───────────────┘
//
// Both devices are made in ns0 and moved from there, so that the UDP sockets,
// the control sockets and wg(8) are in ns0, and plaintext is in ns1 and ns2.
type world struct {
	*lab
	ns0, ns1, ns2 *host
	wg1, wg2      *daemon
	id1, id2      identity
	psk           string // path of the preshared key in ns0
}

func newWorld(t *testing.T, env ...string) *world {
	t.Helper()
	l := newLab(t)
	w := &world{
		lab: l, ns0: l.host("ns0"), ns1: l.host("ns1"), ns2: l.host("ns2"),
		id1: newIdentity(t), id2: newIdentity(t),
	}
	psk, err := key.GeneratePreshared(rand.Reader)
	must(t, err)
	w.psk = w.ns0.keyFile("psk", psk.Reveal())
	w.wg1 = w.ns0.device("wg1", env...)
	w.ns0.give("wg1", w.ns1)
	w.wg2 = w.ns0.device("wg2", env...)
	w.ns0.give("wg2", w.ns2)
	w.configure()
	w.ns1.up("wg1", w.ns0, 1)
	w.ns2.up("wg2", w.ns0, 2)
	return w
}

// configure sets keys, allowed IPs and addresses, but no endpoints.
func (w *world) configure() {
	w.t.Helper()
	w.ns1.ip("addr add "+inner1+"/24 dev wg1", "addr add "+inner16+"/112 dev wg1 nodad")
	w.ns2.ip("addr add "+inner2+"/24 dev wg2", "addr add "+inner26+"/112 dev wg2 nodad")
	w.ns0.wg("set wg1 listen-port 1 private-key", w.ns0.privateKey(w.id1),
		"peer", w.id2.pub(), "preshared-key", w.psk, "allowed-ips", bothInner2)
	w.ns0.wg("set wg2 listen-port 2 private-key", w.ns0.privateKey(w.id2),
		"peer", w.id1.pub(), "preshared-key", w.psk, "allowed-ips", bothInner1)
}

// connect gives both devices the endpoint of the other at this address of ns0.
func (w *world) connect(address string) {
	w.t.Helper()
	w.ns0.wg("set wg1 peer", w.id2.pub(), "endpoint", address+":2")
	w.ns0.wg("set wg2 peer", w.id1.pub(), "endpoint", address+":1")
}

func (w *world) setMTU(mtu int) {
	w.t.Helper()
	w.ns1.ip(fmt.Sprintf("link set wg1 mtu %d", mtu))
	w.ns2.ip(fmt.Sprintf("link set wg2 mtu %d", mtu))
}

// exercise is the block "tests()" of the kernel's suite: K2 to K5 between two
// hosts that have the inner addresses.
func exercise(t *testing.T, ns1, ns2 *host) {
	t.Helper()
	// K2
	ns2.flood(10, inner1)
	ns1.flood(10, inner2)
	ns2.flood(10, inner16)
	ns1.flood(10, inner26)
	// K3
	iperf(t, ns2, ns1, inner2, 1, "-Z")
	iperf(t, ns1, ns2, inner16, 1, "-Z")
	// K4: as much as there is, so most of it is lost, but nothing else is.
	iperf(t, ns1, ns2, inner1, 1, "-Z", "-u", "-b", "0")
	iperf(t, ns2, ns1, inner26, 1, "-Z", "-u", "-b", "0")
	// K5
	iperf(t, ns2, ns1, inner2, max(runtime.NumCPU(), 2), "-Z")
}

// iperf measures from one host to another for a second, with as many pairs of
// processes as asked for at once.
func iperf(t *testing.T, to, from *host, address string, pairs int, args ...string) {
	t.Helper()
	const port = 5201
	var servers, clients []*server
	for i := range pairs {
		servers = append(servers, to.background("iperf3", "-s", "-1", "-B", address, "-p", strconv.Itoa(port+i)))
	}
	for i := range pairs {
		waitFor(t, patience, "iperf3 listens", func() bool { return to.listens(port + i) })
	}
	for i := range pairs {
		argv := append([]string{"iperf3", "-t", "1", "-c", address, "-p", strconv.Itoa(port + i)}, args...)
		clients = append(clients, from.background(argv...))
	}
	for _, c := range clients {
		out := c.wait(t)
		t.Logf("iperf3 %s %s: %s", address, strings.Join(args, " "), rate(out))
	}
	for _, s := range servers {
		s.wait(t)
	}
}

// rate finds what the receiver got in the report of an iperf3 client.
func rate(out string) string {
	for _, l := range strings.Split(out, "\n") {
		if strings.Contains(l, "receiver") {
			if i := strings.Index(l, "sec"); i >= 0 {
				return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(l[i+3:]), "receiver"))
			}
		}
	}
	return out
}
