//go:build linux && e2e

package netnstest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// P14: the answer to the first packet on a new session leaves on that session,
// although an older one is still valid here: the peer may have forgotten it.
//
//	ns1 wg1 (down and up) ──( ns0 lo )── wg2 ns2
func TestP14AnswerUsesTheNewSession(t *testing.T) {
	w := newWorld(t)
	w.connect("127.0.0.1")
	w.ns1.pings("-c", "1", inner2)
	w.ns1.ip("link set wg1 down")
	waitFor(t, patience, "the sockets are closed", func() bool { return !w.ns0.bound(1) })
	w.ns1.up("wg1", w.ns0, 1)
	time.Sleep(betweenInitiations)
	seen := w.ns0.capture("lo")
	_, err := w.ns1.ping("-c", "1", inner2)
	initiation := seen.next(isType(1, 2))
	answer := seen.next(isType(4, 1))
	if got, want := fmt.Sprintf("%x", answer.payload[4:8]), fmt.Sprintf("%x", initiation.payload[4:8]); got != want {
		t.Errorf("the answer is for index %s, want %s, that of the initiation", got, want)
	}
	if err != nil {
		t.Error(err)
	}
}

// F10: a port that somebody else has is refused with a clear error, and the
// device stays where it was. One that is taken when the link goes up is used as
// soon as it is asked for again.
func TestF10PortIsTaken(t *testing.T) {
	h, d := newSingle(t)
	other := h.device("wg9")
	h.wg("set wg9 listen-port 99")
	h.ip("link set wg9 up")
	waitFor(t, patience, "the other device has the port", func() bool { return h.bound(99) })
	h.wg("set wg0 listen-port 7")
	h.up("wg0", h, 7)
	if out, err := h.try("wg", "set", "wg0", "listen-port", "99"); err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("wg set of a taken port printed %q, error %v", out, err)
	}
	if got := h.listenPort("wg0"); got != "7" || !h.bound(7) {
		t.Errorf("the port is %s, bound %v, want to stay on 7", got, h.bound(7))
	}

	h.ip("link set wg0 down")
	waitFor(t, patience, "the sockets are closed", func() bool { return !h.bound(7) })
	h.wg("set wg0 listen-port 99")
	h.ip("link set wg0 up")
	waitFor(t, patience, "the log says why", func() bool {
		text, _ := os.ReadFile(d.log)
		return strings.Contains(string(text), "ERROR") && strings.Contains(string(text), "address already in use")
	})
	h.ip("link del wg9")
	other.waitEnded(patience)
	h.wg("set wg0 listen-port 98")
	waitFor(t, patience, "the free port is open", func() bool { return h.bound(98) })
}

// F13: a firewall that refuses what is sent (EPERM) for a while costs what is
// sent in that while, and nothing after it; the other family is not concerned.
//
//	ns1 wg1 ── a1 ── ns0 ── a2 ── wg2 ns2, outside over IPv4, then IPv6
func TestF13RefusedSends(t *testing.T) {
	w := newRoad(t)
	w.ns1.wg("set wg1 peer", w.id2.pub(), "endpoint 10.2.0.1:2")
	w.ns1.pings("-c", "1", inner2)
	w.ns1.nft(`table ip refuse {
		chain output {
			type filter hook output priority 0
			udp dport 2 drop
		}
	}`)
	w.ns1.pingFails("-c", "20", "-i", "0.01", inner2)
	w.ns1.wg("set wg1 peer", w.id2.pub(), "endpoint [fd00:b::1]:2")
	w.ns1.flood(20, inner2)
	w.ns1.wg("set wg1 peer", w.id2.pub(), "endpoint 10.2.0.1:2")
	w.ns1.pingFails("-c", "1", inner2)
	w.ns1.run("nft", "delete", "table", "ip", "refuse")
	w.ns1.flood(20, inner2)
}

// F15: a route whose MTU is smaller than the messages: segmented sends fail,
// single ones leave in fragments, and everything arrives.
//
//	ns1 wg1 (1420) ── route with MTU 1280 ── ns0 ── wg2 ns2
func TestF15SmallRouteMTU(t *testing.T) {
	w := newRoad(t)
	for _, c := range []struct{ endpoint, route string }{
		{"10.2.0.1:2", "route replace 10.2.0.0/24 via 10.1.0.254 mtu lock 1280"},
		{"[fd00:b::1]:2", "-6 route replace fd00:b::/64 via fd00:a::fe mtu lock 1280"},
	} {
		w.ns1.wg("set wg1 peer", w.id2.pub(), "endpoint", c.endpoint)
		w.ns1.pings("-c", "1", inner2)
		w.ns1.ip(c.route)
		bulk(t, w.ns1, w.ns2, inner2, 32<<20)
		w.ns1.pings("-c", "1", "-s", "1390", inner2)
		w.ns1.wg("set wg1 peer", w.id2.pub(), "endpoint", c.endpoint)
	}
}

// S03 in a small form: peers are added, changed and removed and everything is
// read, all at the same time, while a peer that is not touched carries a ping
// every few milliseconds. None is lost.
func TestS03ChangesUnderTraffic(t *testing.T) {
	w := newWorld(t)
	w.connect("127.0.0.1")
	w.ns1.pings("-c", "1", inner2)
	flood := w.ns1.steady(3*time.Millisecond, inner2)
	stop := time.Now().Add(2 * time.Second)
	results := make(chan error, 4)
	for worker := range 4 {
		var mine []identity
		for range 20 {
			mine = append(mine, newIdentity(t))
		}
		go func() { results <- w.churn(worker, mine, stop) }()
	}
	for range 4 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	sent, lost, slowest := flood.end()
	t.Logf("%d pings, %d not answered, the slowest after %v", sent, lost, slowest)
	if lost > 0 {
		t.Errorf("%d of %d pings were lost", lost, sent)
	}
	if n := len(strings.Fields(w.ns0.run("wg", "show", "wg1", "peers"))); n != 1 {
		t.Errorf("%d peers are left, want 1", n)
	}
}

// churn changes peers through connections of its own until the time has come.
func (w *world) churn(worker int, mine []identity, stop time.Time) error {
	u, err := w.ns0.dialUAPI("wg1")
	if err != nil {
		return err
	}
	defer u.c.Close()
	for round := 0; time.Now().Before(stop); round++ {
		var add, change, remove strings.Builder
		for i, p := range mine {
			k := "public_key=" + p.public.Hex() + "\n"
			fmt.Fprintf(&add, "%sendpoint=127.0.0.1:%d\nallowed_ip=10.%d.%d.0/24\nallowed_ip=fd0%d::%x/128\n", k, 9, worker, i, worker+1, i)
			fmt.Fprintf(&change, "%sreplace_allowed_ips=true\nallowed_ip=10.%d.%d.%d/32\npreshared_key=%s\npersistent_keepalive_interval=%d\n",
				k, worker, i, round%256, p.public.Hex(), round%2*25)
			fmt.Fprintf(&remove, "%sremove=true\n", k)
		}
		for _, request := range []string{"set=1\n" + add.String() + "\n", "set=1\n" + change.String() + "\n", "get=1\n\n", "set=1\n" + remove.String() + "\n"} {
			if _, errno, err := u.ask(request); err != nil || errno != 0 {
				return fmt.Errorf("worker %d, round %d: errno %d, error %w", worker, round, errno, err)
			}
		}
	}
	return nil
}

// The distribution's wg-quick drives the daemon, with everything going through
// the tunnel (a /0, which takes marks, rules and a table of its own), and takes
// it down again.
//
//	ns1 client: wg-quick up ── eth0 10.0.0.1 ───── 10.0.0.2 eth0 ── ns2 server: wg-quick up
func TestWgQuickDrivesTheDaemon(t *testing.T) {
	l := newLab(t)
	ns1, ns2 := l.host("ns1"), l.host("ns2")
	l.cable(ns1, "eth0 10.0.0.1/24", ns2, "eth0 10.0.0.2/24")
	ns2.ip("addr add 198.51.100.1/32 dev lo") // reached through the tunnel alone
	id1, id2 := newIdentity(t), newIdentity(t)
	program := filepath.Join(t.TempDir(), "wireguard-go")
	must(t, os.Symlink(warren, program))
	write := func(h *host, text string) {
		t.Helper()
		must(t, h.WriteFile("/run/etc/wg0.conf", []byte(text), 0o600))
	}
	write(ns1, fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = %s/24, %s/112\n\n[Peer]\nPublicKey = %s\n"+
		"Endpoint = 10.0.0.2:51820\nAllowedIPs = 0.0.0.0/0, ::/0\n", id1.private.Reveal(), inner1, inner16, id2.pub()))
	write(ns2, fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = %s/24, %s/112\nListenPort = 51820\nMTU = 1400\n"+
		"PostUp = echo %%i > /run/hook\n\n[Peer]\nPublicKey = %s\nAllowedIPs = %s\n",
		id2.private.Reveal(), inner2, inner26, id1.pub(), bothInner1))
	quick := func(h *host, verb string) {
		t.Helper()
		out, err := h.try("env", "WG_QUICK_USERSPACE_IMPLEMENTATION="+program, "wg-quick", verb, "/run/etc/wg0.conf")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	before := ns1.run("ip", "rule") + ns1.run("ip", "route", "show", "table", "all")
	quick(ns2, "up")
	quick(ns1, "up")
	ns1.flood(3, inner2)
	ns1.flood(3, inner26)
	ns1.flood(3, "198.51.100.1")
	if got := strings.TrimSpace(ns2.run("cat", "/run/hook")); got != "wg0" {
		t.Errorf("the hook wrote %q, want wg0", got)
	}
	if out := ns2.run("ip", "link", "show", "wg0"); !strings.Contains(out, "mtu 1400") {
		t.Errorf("the MTU is not 1400:\n%s", out)
	}
	quick(ns1, "down")
	quick(ns2, "down")
	for _, h := range []*host{ns1, ns2} {
		waitFor(t, patience, "the link and the socket are gone", func() bool {
			out, err := h.try("wg", "show", "interfaces")
			return err == nil && strings.TrimSpace(out) == "" && !h.hasLink("wg0")
		})
	}
	if after := ns1.run("ip", "rule") + ns1.run("ip", "route", "show", "table", "all"); after != before {
		t.Errorf("rules and routes after down:\n%s\nbefore up:\n%s", after, before)
	}
}
