//go:build linux && e2e

package netnstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/device"
	"github.com/warrenvpn/warren/internal/netlab"
	"github.com/warrenvpn/warren/packet"
	"github.com/warrenvpn/warren/tun"
	"github.com/warrenvpn/warren/udp"
)

// bulkSize is what one transfer carries.
func bulkSize() int64 {
	if long {
		return 1 << 30
	}
	return 256 << 20
}

// Bulk TCP through the binary as it is, every offload on that the system has,
// at the MTUs of the acceptance list: what arrives is what was sent.
//
//	ns1 wg1 ──( ns0 127.0.0.1 )── wg2 ns2
func TestBulkTCPIsIntact(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		mtu             int
		outer, from, to string
	}{
		{1280, "[::1]", inner1, inner2},
		{1420, "127.0.0.1", inner16, inner26},
		{8920, "127.0.0.1", inner1, inner2},
	} {
		t.Run(fmt.Sprintf("MTU %d", c.mtu), func(t *testing.T) {
			w.connect(c.outer)
			w.setMTU(c.mtu)
			bulk(t, w.ns1, w.ns2, c.to, bulkSize())
		})
	}
}

// The same with offloads off, in all combinations that matter. The daemon has
// no switches for that, so the devices run inside this test: TUN and sockets are
// opened in the hosts, as in
//
//	ns1 in1 :1 ── eth0 10.0.0.1 ─────── 10.0.0.2 eth0 ── in2 :2 ns2
func TestBulkTCPWithoutOffloads(t *testing.T) {
	for _, c := range []struct {
		name string
		mtu  int
		part int64 // of the whole size
		off  switches
	}{
		{"none at all, MTU 1280", 1280, 1, switches{tun: true, segment: true, coalesce: true, steer: true}},
		{"none at all, MTU 1420", 1420, 1, switches{tun: true, segment: true, coalesce: true, steer: true}},
		{"none at all, MTU 8920", 8920, 1, switches{tun: true, segment: true, coalesce: true, steer: true}},
		{"no TUN offload", 1420, 4, switches{tun: true}},
		{"no GSO", 1420, 4, switches{segment: true}},
		{"no GRO", 1420, 4, switches{coalesce: true}},
		{"sockets of package net", 1420, 4, switches{portable: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			ns1, ns2 := l.host("ns1"), l.host("ns2")
			l.cable(ns1, "eth0 10.0.0.1/24", ns2, "eth0 10.0.0.2/24")
			id1, id2 := newIdentity(t), newIdentity(t)
			d1, d2 := ns1.embed("in1", c.mtu, c.off), ns2.embed("in2", c.mtu, c.off)
			d1.apply(id1, 1, id2, "10.0.0.2:2", bothInner2)
			d2.apply(id2, 2, id1, "10.0.0.1:1", bothInner1)
			ns1.ip("addr add "+inner1+"/24 dev in1", "addr add "+inner16+"/112 dev in1 nodad")
			ns2.ip("addr add "+inner2+"/24 dev in2", "addr add "+inner26+"/112 dev in2 nodad")
			ns1.up("in1", ns1, 1)
			ns2.up("in2", ns2, 2)
			bulk(t, ns1, ns2, inner2, bulkSize()/c.part)
			bulk(t, ns2, ns1, inner16, bulkSize()/16)
		})
	}
}

// S08 for goroutines, and K44 for them: a device of which everything was used
// leaves none behind.
func TestK44NoGoroutineIsLeft(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("device", func(t *testing.T) {
		l := newLab(t)
		ns1, ns2 := l.host("ns1"), l.host("ns2")
		l.cable(ns1, "eth0 10.0.0.1/24", ns2, "eth0 10.0.0.2/24")
		id1, id2 := newIdentity(t), newIdentity(t)
		d1, d2 := ns1.embed("in1", 1420, switches{}), ns2.embed("in2", 1420, switches{})
		d1.apply(id1, 1, id2, "10.0.0.2:2", bothInner2)
		d2.apply(id2, 2, id1, "10.0.0.1:1", bothInner1)
		ns1.ip("addr add " + inner1 + "/24 dev in1")
		ns2.ip("addr add " + inner2 + "/24 dev in2")
		ns1.up("in1", ns1, 1)
		ns2.up("in2", ns2, 2)
		ns1.pings("-c", "1", inner2)
		before := runtime.NumGoroutine()
		for range 10 {
			ns1.ip("link set in1 down")
			waitFor(t, patience, "the sockets are closed", func() bool { return !ns1.bound(1) })
			ns1.up("in1", ns1, 1)
		}
		waitFor(t, patience, "there are as many goroutines as before", func() bool { return runtime.NumGoroutine() <= before })
	})
}

// bulk sends size pseudo-random bytes over one TCP connection through the
// tunnel and compares the digests of what was sent and what arrived.
func bulk(t *testing.T, from, to *host, address string, size int64) {
	t.Helper()
	seed := [32]byte([]byte(fmt.Sprintf("%-32d", time.Now().UnixNano())))
	var listener net.Listener
	must(t, to.Do(func() (err error) {
		listener, err = net.Listen("tcp", net.JoinHostPort(address, "7000"))
		return err
	}))
	defer listener.Close()
	arrived := make(chan string, 1)
	go func() {
		c, err := listener.Accept()
		if err != nil {
			arrived <- err.Error()
			return
		}
		defer c.Close()
		h := sha256.New()
		n, err := io.Copy(h, c)
		arrived <- fmt.Sprintf("%d bytes, digest %x, error %v", n, h.Sum(nil), err)
	}()
	var c net.Conn
	must(t, from.Do(func() (err error) {
		c, err = net.DialTimeout("tcp", listener.Addr().String(), patience)
		return err
	}))
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(4*patience)))
	begin := time.Now()
	h := sha256.New()
	source := rand.NewChaCha8(seed)
	if _, err := io.CopyBuffer(io.MultiWriter(c, h), io.LimitReader(source, size), make([]byte, 1<<18)); err != nil {
		t.Fatalf("seed %q: %v", bytes.TrimSpace(seed[:]), err)
	}
	must(t, c.Close())
	want := fmt.Sprintf("%d bytes, digest %x, error <nil>", size, h.Sum(nil))
	if got := <-arrived; got != want {
		t.Errorf("seed %q: arrived %s, sent %s", bytes.TrimSpace(seed[:]), got, want)
	}
	took := time.Since(begin)
	t.Logf("%d MiB to %s in %v: %.0f Mbit/s", size>>20, address, took.Round(time.Millisecond), float64(size)*8/1e6/took.Seconds())
}

// switches turn offloads off.
type switches struct{ tun, segment, coalesce, steer, portable bool }

// embedded is a device inside this process.
type embedded struct {
	h   *host
	dev *device.Device
}

// embed runs a device in this process with its TUN and its sockets in the host.
// It ends with the test.
func (h *host) embed(name string, mtu int, off switches) *embedded {
	h.t.Helper()
	var link *tun.Device
	must(h.t, h.Do(func() (err error) {
		link, err = tun.Create(name, tun.Config{MTU: mtu, Offload: !off.tun})
		return err
	}))
	network := &udp.Network{NoSegment: off.segment, NoCoalesce: off.coalesce, NoSteer: off.steer, Portable: off.portable}
	dev, err := device.New(device.Config{TUN: link, Network: inside{h.Host, network}})
	must(h.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- dev.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Errorf("device %s: %v", name, err)
		}
	})
	return &embedded{h, dev}
}

// inside opens the sockets of a network in a host.
type inside struct {
	h *netlab.Host
	n *udp.Network
}

func (n inside) Open(number uint16, mark uint32) (p packet.Port, err error) {
	err = n.h.Do(func() (err error) {
		p, err = n.n.Open(number, mark)
		return err
	})
	return p, err
}

// apply configures a device with one peer.
func (e *embedded) apply(own identity, port uint16, peer identity, endpoint, allowed string) {
	e.h.t.Helper()
	at := netip.MustParseAddrPort(endpoint)
	change := conf.PeerChange{
		PublicKey: peer.public,
		Endpoint:  &conf.Endpoint{Host: at.Addr().String(), Port: fmt.Sprint(at.Port())},
	}
	for _, a := range strings.Split(allowed, ",") {
		change.AllowedIPs = append(change.AllowedIPs, conf.AllowedIP{Prefix: netip.MustParsePrefix(a)})
	}
	must(e.h.t, e.dev.Apply(conf.Change{
		PrivateKey: &own.private, ListenPort: &port, Peers: []conf.PeerChange{change},
	}))
}

// UDP as fast as it goes, in datagrams of both sizes and both directions, never
// stops a device: afterwards everything works as before.
func TestUDPFloodsDoNotStopTheDaemon(t *testing.T) {
	w := newWorld(t)
	w.connect("127.0.0.1")
	w.ns1.pings("-c", "1", inner2)
	for _, size := range []string{"64", "1300"} {
		iperf(t, w.ns2, w.ns1, inner2, 1, "-u", "-b", "0", "-l", size)
		w.ns1.flood(20, inner2)
		iperf(t, w.ns1, w.ns2, inner16, 1, "-u", "-b", "0", "-l", size)
		w.ns2.flood(20, inner16)
	}
	// Both directions at once, from outside the measured pairs.
	floods := []*server{
		w.ns2.background("iperf3", "-s", "-1", "-p", "5301"), w.ns1.background("iperf3", "-s", "-1", "-p", "5302"),
	}
	waitFor(t, patience, "iperf3 listens", func() bool { return w.ns2.listens(5301) && w.ns1.listens(5302) })
	clients := []*server{
		w.ns1.background("iperf3", "-u", "-b", "0", "-t", "1", "-l", "64", "-c", inner2, "-p", "5301"),
		w.ns2.background("iperf3", "-u", "-b", "0", "-t", "1", "-l", "1300", "-c", inner1, "-p", "5302"),
	}
	for _, s := range slices.Concat(clients, floods) {
		s.wait(t)
	}
	w.ns1.flood(20, inner2)
}
