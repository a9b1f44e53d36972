//go:build linux && e2e

package netnstest

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// K10 and K11: one end changes its address and port, then the family as well;
// the other end follows with one packet.
//
//	ns1 wg1 ──:1, then :9999, :9998──( ns0 127.0.0.1, 127.212.121.99, ::1 )──:2── wg2 ns2
func TestK10K11Roaming(t *testing.T) {
	w := newWorld(t)
	w.connect("127.0.0.1")
	w.ns1.pings("-c", "1", inner2)

	w.ns0.ip("-4 addr del 127.0.0.1/8 dev lo", "-4 addr add 127.212.121.99/8 dev lo")
	w.ns0.wg("set wg1 listen-port 9999")
	w.ns0.wg("set wg1 peer", w.id2.pub(), "endpoint 127.0.0.1:2")
	w.ns1.pings("-c", "1", inner26)
	if got, want := w.ns0.endpoint("wg2", w.id1), "127.212.121.99:9999"; got != want {
		t.Errorf("K10: wg2 sees its peer at %q, want %s", got, want)
	}

	w.ns0.wg("set wg1 listen-port 9998")
	w.ns0.wg("set wg1 peer", w.id2.pub(), "endpoint [::1]:2")
	w.ns1.pings("-c", "1", inner2)
	if got, want := w.ns0.endpoint("wg2", w.id1), "[::1]:9998"; got != want {
		t.Errorf("K11: wg2 sees its peer at %q, want %s", got, want)
	}
}

// K12 and K13: the source of an inner packet must be the peer's own by the
// longest match of the whole device. A packet refused for that has nevertheless
// told where its sender is now.
//
//	ns1 wg1: 192.168.241.0/24 is wg2's, then .2/32 is somebody else's
//	   └──( ns0 )── wg2 ns2: datagrams from 192.168.241.2
func TestK12K13SourceMustBelongToThePeer(t *testing.T) {
	w := newWorld(t)
	w.connect("127.0.0.1")
	w.ns1.pings("-c", "1", inner2)
	w.ns0.wg("set wg1 peer", w.id2.pub(), "allowed-ips", "192.168.241.0/24")

	heard := w.ns1.listenUDP(inner1 + ":1111")
	w.ns2.sendUDP(inner1+":1111", "X")
	if got, err := receive(heard, 2*time.Second); err != nil || got != "X" {
		t.Fatalf("K12: received %q, error %v, want X", got, err)
	}

	other := newIdentity(t)
	w.ns0.wg("set wg1 peer", other.pub(), "allowed-ips", inner2+"/32")
	w.ns0.wg("set wg2 listen-port 9997")
	w.ns2.sendUDP(inner1+":1111", "X")
	waitFor(t, patience, "wg1 has learnt the new port", func() bool {
		return w.ns0.endpoint("wg1", w.id2) == "127.0.0.1:9997"
	})
	if got, err := receive(heard, 500*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("K13: received %q, error %v, want nothing", got, err)
	}
	w.ns0.wg("set wg1 peer", other.pub(), "remove")
	if got, want := w.ns0.endpoint("wg1", w.id2), "127.0.0.1:9997"; got != want {
		t.Errorf("K13: wg1 sees its peer at %q, want %s", got, want)
	}
	rx, _ := w.ns0.transfer("wg1", w.id2)
	w.ns0.wg("set wg1 peer", w.id2.pub(), "allowed-ips", bothInner2)
	w.ns2.pings("-c", "1", inner1)
	if after, _ := w.ns0.transfer("wg1", w.id2); after < rx+128 {
		t.Errorf("K13: %d bytes received before and %d after a ping that is allowed again", rx, after)
	}
}

// K14 and P32: a new private key takes effect at once, on both sides.
func TestK14ChangeOfPrivateKey(t *testing.T) {
	w := newWorld(t)
	w.connect("127.0.0.1")
	w.ns1.pings("-c", "1", inner2)
	id3 := newIdentity(t)
	w.ns0.wg("set wg1 private-key", w.ns0.privateKey(id3))
	w.ns0.wg("set wg2 peer", id3.pub(), "preshared-key", w.psk, "allowed-ips", bothInner1, "peer", w.id1.pub(), "remove")
	begin := time.Now()
	w.ns1.pings("-c", "1", inner2)
	t.Logf("the first ping with the new key took %v", time.Since(begin))
	w.ns1.flood(10, inner2)
}

// listenUDP opens a socket in the host.
func (h *host) listenUDP(address string) *net.UDPConn {
	h.t.Helper()
	var c *net.UDPConn
	must(h.t, h.Do(func() error {
		a, err := net.ResolveUDPAddr("udp", address)
		if err == nil {
			c, err = net.ListenUDP("udp", a)
		}
		return err
	}))
	h.t.Cleanup(func() { _ = c.Close() })
	return c
}

// dialUDP opens a connected socket in the host.
func (h *host) dialUDP(address string) *net.UDPConn {
	h.t.Helper()
	var c *net.UDPConn
	must(h.t, h.Do(func() error {
		a, err := net.ResolveUDPAddr("udp", address)
		if err == nil {
			c, err = net.DialUDP("udp", nil, a)
		}
		return err
	}))
	h.t.Cleanup(func() { _ = c.Close() })
	return c
}

// sendUDP sends one datagram.
func (h *host) sendUDP(address, text string) {
	h.t.Helper()
	c := h.dialUDP(address)
	defer c.Close()
	_, err := c.Write([]byte(text))
	must(h.t, err)
}

func receive(c *net.UDPConn, within time.Duration) (string, error) {
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	b := make([]byte, 1<<16)
	n, err := c.Read(b)
	return string(b[:n]), err
}
