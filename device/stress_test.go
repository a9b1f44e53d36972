package device

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/cookie"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/tun/tuntest"
	"github.com/warrenvpn/warren/udp/udptest"
)

// S03, S09, B04, B30 (in part): peers come, go and change under traffic and
// handshakes; nothing is lost of a peer that is left alone, nothing races.
func TestPeersChangeUnderTraffic(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		r := rand.New(rand.NewPCG(9, 9))
		const rounds = 300
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range rounds {
				var c conf.Change
				for range 1 + r.IntN(5) {
					k := key.Public{byte(r.IntN(30)), 1}
					c.Peers = append(c.Peers, conf.PeerChange{
						PublicKey: k, Remove: r.IntN(3) == 0, ReplaceAllowedIPs: r.IntN(2) == 0,
						Endpoint: &conf.Endpoint{Host: "192.0.2.2", Port: "51820"}, PersistentKeepalive: ptr(uint16(r.IntN(3))),
						AllowedIPs: []conf.AllowedIP{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 5, byte(r.IntN(4)), byte(i)}), 32)}},
					})
				}
				a.must(c)
				a.Status()
				a.Drops()
			}
		})
		wg.Go(func() {
			for i := range rounds {
				a.send(ping(a.inner, netip.AddrFrom4([4]byte{10, 5, byte(i % 4), byte(i)}), 84, 0))
			}
		})
		got := 0
		for i := range rounds {
			a.send(ping(a.inner, b.inner, 84, uint16(i)))
			if i%16 == 0 {
				got += len(b.received())
			}
		}
		wg.Wait()
		got += len(b.received())
		if got != rounds {
			t.Errorf("%d of %d packets of an untouched peer arrived", got, rounds)
		}
	})
}

// P34, T01: a session is replaced again and again without losing a packet.
func TestRekeyLosesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		shakes := 0
		w.inspect(func(p udptest.Packet) {
			if p.Payload[0] == 1 {
				shakes++
			}
		})
		const minutes = 60
		for range minutes * 6 {
			a.reaches(b)
			b.reaches(a)
			w.wait(10 * time.Second)
		}
		if shakes < minutes/2-2 || shakes > minutes/2+2 {
			t.Errorf("%d handshakes in %d minutes, want one in two minutes", shakes, minutes)
		}
	})
}

// A06: recorded messages, whatever their type and age, deliver nothing and make
// no session when they come again.
func TestReplayedTrafficDoesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		var log []udptest.Packet
		w.inspect(func(p udptest.Packet) {
			p.Payload = slices.Clone(p.Payload)
			log = append(log, p)
		})
		for range 20 {
			a.reaches(b)
			b.reaches(a)
		}
		w.inspect(nil)
		before, rx := b.peer(a), b.peer(a).RxBytes
		for _, wait := range []time.Duration{0, time.Second, 130 * time.Second, 200 * time.Second} {
			w.wait(wait)
			for _, m := range log {
				w.inject(m.From, m.To, m.Payload)
			}
			if n := len(a.received()) + len(b.received()); n != 0 {
				t.Fatalf("%d packets delivered again after %v", n, wait)
			}
		}
		if after := b.peer(a); after.LastHandshake != before.LastHandshake || after.RxBytes > rx+64 {
			t.Errorf("replays changed the peer: %+v, was %+v", after, before)
		}
	})
}

// A14, P05, P28: any bytes from anybody change nothing and end nothing.
func TestJunkChangesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		before := b.peer(a)
		r := rand.New(rand.NewPCG(4, 4))
		from := netip.MustParseAddrPort("198.51.100.1:9")
		for i := range 3000 {
			m := make([]byte, r.IntN(200))
			if i%100 == 0 {
				m = make([]byte, r.IntN(65508))
			}
			for j := range m {
				m[j] = byte(r.Uint32())
			}
			if len(m) > 4 && i%2 == 0 {
				m[0], m[1], m[2], m[3] = byte(1+r.IntN(4)), 0, 0, 0
			}
			if len(m) > 0 {
				w.inject(from, netip.AddrPortFrom(b.outer, 51820), m)
			}
			if i%500 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		after := b.peer(a)
		if after.Endpoint != before.Endpoint || after.RxBytes != before.RxBytes || after.TxBytes != before.TxBytes {
			t.Errorf("junk changed the peer: %+v, was %+v", after, before)
		}
		a.reaches(b)
	})
}

// I06 (ours), A02, compat 5.8: under load a message without mac2 is answered
// with a cookie and dropped; the peer's next try carries it and succeeds.
func TestCookieUnderLoad(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		cookies := 0
		w.inspect(func(p udptest.Packet) {
			if p.Payload[0] == 3 {
				cookies++
			}
		})
		flood := make([]byte, wire.InitiationSize)
		flood[0] = 1
		g := cookie.NewGenerator(b.key.Public())
		g.AddMACs(b.clock.Now(), flood)
		// Fill the queue faster than the intake can empty it.
		for i := range wire.HandshakeQueue - 100 {
			m := handshakeMessage{n: len(flood)}
			m.from.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 9)
			copy(m.data[:], flood)
			b.intake <- m
		}
		synctest.Wait()
		if cookies == 0 {
			t.Fatal("no cookie was sent under load")
		}
		a.send(ping(a.inner, b.inner, 84, 7))
		synctest.Wait()
		if len(b.received()) != 0 {
			t.Fatal("an initiation without mac2 was accepted under load")
		}
		// Keep it under load until the retry.
		for range 6 {
			w.wait(900 * time.Millisecond)
			for i := range wire.UnderLoadQueue + 1000 {
				m := handshakeMessage{n: len(flood)}
				m.from.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 1, byte(i >> 8), byte(i)}), 9)
				copy(m.data[:], flood)
				b.intake <- m
			}
		}
		w.wait(400 * time.Millisecond)
		if got := b.received(); len(got) != 1 {
			t.Fatalf("%d packets after the retry with mac2, want the one that waited", len(got))
		}
	})
}

// B36 (sessions): keys of a peer that was removed are erased, also those in the
// cipher's own memory.
func TestRemovedPeersKeysAreErased(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		s := a.peers.get(b.key.Public()).session.Load()
		probe := make([]byte, wire.KeepaliveSize)
		s.Seal(probe, 1<<40)
		a.must(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.key.Public(), Remove: true}}})
		w.wait(time.Second)
		again := make([]byte, wire.KeepaliveSize)
		func() {
			defer func() { _ = recover() }() // a cleared session may refuse outright
			s.Seal(again, 1<<40)
		}()
		if string(again) == string(probe) {
			t.Error("the session of a removed peer still seals")
		}
	})
}

// K31, Q11: 130 560 allowed IPs on one peer and 100 000 peers with two each are
// applied and listed exactly.
func TestLargeConfigurations(t *testing.T) {
	tunEnd, _ := tuntest.New(tuntest.Config{})
	d, err := New(Config{TUN: tunEnd, Network: udptest.New().Host(netip.MustParseAddr("192.0.2.1"))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	one := conf.PeerChange{PublicKey: key.Public{31: 1}}
	for i := range 130_560 {
		a := netip.AddrFrom4([4]byte{byte(1 + i>>16), byte(i >> 8), byte(i), 0})
		one.AllowedIPs = append(one.AllowedIPs, conf.AllowedIP{Prefix: netip.PrefixFrom(a, 24)})
	}
	if err := d.Apply(conf.Change{Peers: []conf.PeerChange{one}}); err != nil {
		t.Fatal(err)
	}
	got := d.Status().Peers[0].AllowedIPs
	if len(got) != len(one.AllowedIPs) {
		t.Fatalf("%d allowed IPs, want %d", len(got), len(one.AllowedIPs))
	}
	for i, p := range got {
		if p != one.AllowedIPs[i].Prefix {
			t.Fatalf("allowed IP %d = %v, want %v", i, p, one.AllowedIPs[i].Prefix)
		}
	}
	many := conf.Change{ReplacePeers: true}
	for i := range 100_000 {
		b := [4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)}
		many.Peers = append(many.Peers, conf.PeerChange{
			PublicKey: key.Public{byte(i), byte(i >> 8), byte(i >> 16), 1},
			Endpoint:  &conf.Endpoint{Host: netip.AddrFrom4(b).String(), Port: "51820"},
			AllowedIPs: []conf.AllowedIP{
				{Prefix: netip.PrefixFrom(netip.AddrFrom4(b), 32)},
				{Prefix: netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 12: b[0], 13: b[1], 14: b[2], 15: b[3]}), 128)},
			},
		})
	}
	start := time.Now()
	if err := d.Apply(many); err != nil {
		t.Fatal(err)
	}
	t.Logf("100 000 peers applied in %v", time.Since(start))
	peers := d.Status().Peers
	if len(peers) != len(many.Peers) {
		t.Fatalf("%d peers, want %d", len(peers), len(many.Peers))
	}
	for i := range peers {
		if p, want := &peers[i], &many.Peers[i]; p.PublicKey != want.PublicKey || len(p.AllowedIPs) != 2 ||
			p.AllowedIPs[1] != want.AllowedIPs[1].Prefix || !p.Endpoint.IsValid() {
			t.Fatalf("peer %d = %+v, want %+v", i, p, want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
