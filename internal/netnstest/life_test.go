//go:build linux && e2e

package netnstest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// compat 4.5: a link that goes up works within 50 ms; the reference needs up to
// a second. The least of several tries counts, since a test machine is busy.
func TestLifeUpWorksSoon(t *testing.T) {
	l := newLab(t)
	h, other := l.host("ns0"), l.host("ns1")
	h.device("wg0")
	for _, c := range []struct {
		name  string
		where *host
	}{{"in the daemon's namespace", h}, {"in another one", other}} {
		if c.where != h {
			h.give("wg0", other)
		}
		h.wg("set wg0 listen-port 7")
		best := time.Hour
		for range 5 {
			c.where.ip("link set wg0 up")
			best = min(best, waitFor(t, patience, "the sockets are open", func() bool { return h.bound(7) }))
			c.where.ip("link set wg0 down")
			waitFor(t, patience, "the sockets are closed", func() bool { return !h.bound(7) })
		}
		t.Logf("%s: %v", c.name, best)
		if best > 50*time.Millisecond {
			t.Errorf("%s: the sockets were open %v after the link was up, want at most 50 ms", c.name, best)
		}
	}
}

// compat 4.5: down erases sessions and closes the sockets, but configuration
// and port stay; up again and it works at once.
//
//	ns1 wg1 (down, up) ──( ns0 )── wg2 ns2
func TestLifeDownErasesAndUpBringsBack(t *testing.T) {
	w := newWorld(t)
	w.connect("127.0.0.1")
	w.ns1.flood(3, inner2)
	conf := w.ns0.run("wg", "showconf", "wg1")
	w.ns1.ip("link set wg1 down")
	waitFor(t, patience, "the sockets are closed", func() bool { return !w.ns0.bound(1) })
	if got := w.ns0.run("wg", "showconf", "wg1"); got != conf {
		t.Errorf("configuration after down:\n%s\nwant what it was:\n%s", got, conf)
	}
	rx, tx := w.ns0.transfer("wg1", w.id2)
	w.ns2.pingFails("-c", "2", "-i", "0.01", inner1)
	w.ns1.up("wg1", w.ns0, 1)
	time.Sleep(betweenInitiations)
	// The other side still has its session, which is unknown here: nothing
	// comes of it, neither a delivery nor an answer.
	w.ns2.pingFails("-c", "2", "-i", "0.01", inner1)
	if rx2, tx2 := w.ns0.transfer("wg1", w.id2); rx2 != rx || tx2 != tx {
		t.Errorf("with erased keys %d bytes were received and %d sent", rx2-rx, tx2-tx)
	}
	// A new handshake from here needs no waiting.
	w.ns1.flood(3, inner2)
	w.ns2.flood(3, inner1)
}

// compat 4.5: every way to end a daemon leaves no process, no link, no socket.
func TestLifeWaysToEnd(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(h *host, d *daemon)
	}{
		{"SIGTERM", func(h *host, d *daemon) { d.signal(syscall.SIGTERM) }},
		{"SIGINT", func(h *host, d *daemon) { d.signal(syscall.SIGINT) }},
		{"link deleted", func(h *host, d *daemon) { h.ip("link del wg0") }},
		{"socket removed", func(h *host, d *daemon) { h.run("rm", "/run/wireguard/wg0.sock") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			h, other := l.host("ns0"), l.host("ns1")
			for _, moved := range []bool{false, true} {
				d := h.device("wg0")
				where := h
				if moved {
					h.give("wg0", other)
					where = other
				}
				h.wg("set wg0 listen-port 7")
				where.up("wg0", h, 7)
				if c.name == "link deleted" {
					where.ip("link del wg0")
				} else {
					c.end(h, d)
				}
				d.waitEnded(2 * time.Second)
				if where.hasLink("wg0") {
					t.Errorf("moved %v: the link is still there", moved)
				}
			}
		})
	}
}

// The race that the reference loses: the link is moved in the moment the
// command returns, and comes up in the other namespace (joint 14).
//
//	ns0 wg0 ──→ ns1 wg0
func TestLifeLinkMovedAtOnce(t *testing.T) {
	l := newLab(t)
	ns0, ns1 := l.host("ns0"), l.host("ns1")
	own, peer := newIdentity(t), newIdentity(t)
	private := ns0.privateKey(own)
	var worst time.Duration
	for i := range 30 {
		d := ns0.device("wg0")
		ns0.give("wg0", ns1)
		ns1.ip("link set wg0 up")
		worst = max(worst, waitFor(t, 2*time.Second, "the link works in the other namespace", func() bool {
			return ns0.listenPort("wg0") != ""
		}))
		if i%10 == 0 {
			// And it does work: what is sent into it leaves here.
			ns1.ip("addr add " + inner1 + "/24 dev wg0")
			ns0.wg("set wg0 private-key", private, "peer", peer.pub(), "allowed-ips 0.0.0.0/0 endpoint 127.0.0.1:9")
			ns1.sendUDP(inner2+":9", "x")
			waitFor(t, patience, "an initiation was sent", func() bool { _, tx := ns0.transfer("wg0", peer); return tx >= 148 })
		}
		d.signal(syscall.SIGTERM)
		d.waitEnded(2 * time.Second)
	}
	t.Logf("30 times; the longest wait for the sockets was %v", worst)
}

// compat 4.5, F21, P22: the MTU is followed wherever the link is, whatever it
// becomes, and the device never stops.
//
//	ns1 wg1 ──( ns0 )── wg2 ns2
func TestLifeMTUIsFollowed(t *testing.T) {
	w := newWorld(t)
	w.connect("127.0.0.1")
	w.ns1.pings("-c", "1", inner2)
	for _, mtu := range []int{68, 576, 1279, 1280, 1300, 9000, 65535, 1420} {
		w.ns1.ip(fmt.Sprintf("link set wg1 mtu %d", mtu))
		w.ns2.ip(fmt.Sprintf("link set wg2 mtu %d", mtu))
		// The largest packet that fits: it is not padded beyond the MTU, and
		// padding is what tells that the new value is in use.
		size := min(mtu, 65507-80) - 28 - 1
		want := messageSize(min(mtu, (size+28+15)/16*16))
		waitFor(t, patience, fmt.Sprintf("messages of %d bytes at an MTU of %d", want, mtu), func() bool {
			_, before := w.ns0.transfer("wg1", w.id2)
			out, err := w.ns1.ping("-c", "1", "-s", strconv.Itoa(size), inner2)
			if err != nil {
				t.Fatalf("MTU %d: %v\n%s", mtu, err, out)
			}
			_, after := w.ns0.transfer("wg1", w.id2)
			return after-before == want
		})
	}
}

// messageSize is that of a transport message with a padded packet.
func messageSize(padded int) int { return 16 + padded + 16 }

// F21: a link that is renamed keeps working, and can be removed under its new
// name.
func TestLifeLinkIsRenamed(t *testing.T) {
	w := newWorld(t)
	w.connect("127.0.0.1")
	w.ns1.pings("-c", "1", inner2)
	w.ns1.ip("link set wg1 down", "link set wg1 name other")
	w.ns1.ip("link set other up")
	waitFor(t, patience, "the sockets are open", func() bool { return w.ns0.bound(1) })
	time.Sleep(betweenInitiations)
	w.ns1.pings("-c", "1", inner2)
	w.ns1.ip("link del other")
	w.wg1.waitEnded(2 * time.Second)
}

// K42 and K43: a namespace goes away with the link of a device in it, although
// the daemon is elsewhere and watches it; the daemon ends. Two devices that
// were swapped between two namespaces do not keep these alive.
//
//	ns0: daemon of wg0, daemon of wg1
//	nsA: link wg0, UDP of inA         nsB: link wg1, and so on crosswise
func TestK42K43NamespacesGoAway(t *testing.T) {
	l := newLab(t)
	ns0 := l.host("ns0")
	a, b := ns0.namespace(), ns0.namespace()
	d0, d1 := ns0.device("wg0"), ns0.device("wg1")
	must(t, ns0.enter("ip", "link", "set", "wg0", "netns", strconv.Itoa(a.pid)))
	must(t, ns0.enter("ip", "link", "set", "wg1", "netns", strconv.Itoa(b.pid)))
	a.ip(t, "link set wg0 up", "addr add 10.1.0.1/24 dev wg0", "route add default dev wg0")
	b.ip(t, "link set wg1 up", "addr add 10.2.0.1/24 dev wg1")
	// Swapped: A's goes to B and B's to A.
	a.ip(t, fmt.Sprintf("link set wg0 netns %d", b.pid))
	b.ip(t, fmt.Sprintf("link set wg1 netns %d", a.pid))
	a.ip(t, "link set wg1 up", "addr add 10.2.0.1/24 dev wg1", "route add default dev wg1", "route get 10.9.9.9")
	b.ip(t, "link set wg0 up", "addr add 10.1.0.1/24 dev wg0", "route add default dev wg0", "route get 10.9.9.9")
	waitFor(t, patience, "both have sockets", func() bool {
		return ns0.listenPort("wg0") != "" && ns0.listenPort("wg1") != ""
	})
	a.end(t)
	d1.waitEnded(5 * time.Second)
	b.end(t)
	d0.waitEnded(5 * time.Second)
}

// namespace is a network namespace that lives as long as one process.
type namespace struct {
	h   *host
	pid int
	s   *server
}

func (h *host) namespace() *namespace {
	h.t.Helper()
	n := &namespace{h: h}
	n.s = h.background("unshare", "-n", "sleep", "1000")
	own, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", h.PID()))
	n.pid = n.s.cmd.Process.Pid
	waitFor(h.t, patience, "there is a new namespace", func() bool {
		ns, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", n.pid))
		return ns != "" && ns != own
	})
	return n
}

func (n *namespace) ip(t *testing.T, lines ...string) {
	t.Helper()
	inside := &host{Host: n.h.Host, t: t}
	for _, l := range lines {
		if err := inside.enterPID(n.pid, append([]string{"ip"}, strings.Fields(l)...)...); err != nil {
			t.Fatal(err)
		}
	}
}

// end ends the only process in the namespace.
func (n *namespace) end(t *testing.T) {
	t.Helper()
	must(t, unix.Kill(n.pid, unix.SIGKILL))
	<-n.s.done
}

// S08, light, and K44: whatever is done again and again leaves nothing behind:
// descriptors, threads and links are as many as before.
//
//	ns1 wg1 (up and down 30 times) ──( ns0 )── wg2 ns2
func TestS08CyclesLeaveNothing(t *testing.T) {
	w := newWorld(t)
	w.connect("127.0.0.1")
	cycle := func() {
		w.ns1.ip("link set wg1 down")
		waitFor(t, patience, "the sockets are closed", func() bool { return !w.ns0.bound(1) })
		w.ns1.up("wg1", w.ns0, 1)
		time.Sleep(betweenInitiations)
		w.ns1.pings("-c", "1", inner2)
	}
	cycle()
	fds, memory := w.wg1.fds(), w.wg1.memory()
	for range 30 {
		cycle()
	}
	if n := w.wg1.fds(); n != fds {
		t.Errorf("%d descriptors after 30 cycles, %d before", n, fds)
	}
	t.Logf("resident memory: %d KiB before, %d KiB after", memory>>10, w.wg1.memory()>>10)
	if grown := w.wg1.memory() - memory; grown > 32<<20 {
		t.Errorf("resident memory grew by %d MiB", grown>>20)
	}

	// Moving and configuring as well.
	for range 5 {
		w.ns1.give("wg1", w.ns2)
		w.ns2.give("wg1", w.ns1)
		w.ns0.wg("set wg1 listen-port 77 peer", newIdentity(t).pub(), "allowed-ips 10.0.0.0/8")
		w.ns0.wg("set wg1 listen-port 1")
	}
	w.ns1.ip("addr add " + inner1 + "/24 dev wg1")
	w.ns1.up("wg1", w.ns0, 1)
	w.ns1.pings("-c", "1", inner2)
	if n := w.wg1.fds(); n != fds {
		t.Errorf("%d descriptors after moves, %d before", n, fds)
	}
	links := w.ns0.run("ip", "-o", "link")
	w.wg1.signal(syscall.SIGTERM)
	w.wg2.signal(syscall.SIGTERM)
	w.wg1.waitEnded(2 * time.Second)
	w.wg2.waitEnded(2 * time.Second)
	if got := w.ns0.run("ip", "-o", "link"); got != links {
		t.Errorf("links of ns0:\n%s\nwant\n%s", got, links)
	}
	if w.ns1.hasLink("wg1") || w.ns2.hasLink("wg2") {
		t.Error("a link outlived its daemon")
	}
	if out := w.ns0.run("ls", "/run/wireguard"); strings.Contains(out, ".sock") {
		t.Errorf("left in /run/wireguard: %q", out)
	}
}
