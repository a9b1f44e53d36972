package device

import (
	"bytes"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/ippkt"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/packet"
	"github.com/warrenvpn/warren/udp/udptest"
)

func TestPacketsCrossBothWaysAndFamilies(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		b.reaches(a)
		pkt := ping(v6(a.inner), v6(b.inner), 104, 1)
		a.send(pkt)
		if got := b.received(); len(got) != 1 || !bytes.Equal(got[0], pkt) {
			t.Errorf("IPv6: received %x, want %x", got, pkt)
		}
	})
}

// K1, P38: ten 84-byte packets and their answers give the kernel's counts.
func TestCountersAreTheKernels(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		for range 10 {
			a.reaches(b)
			b.reaches(a)
		}
		pa, pb := a.peer(b), b.peer(a)
		if pa.RxBytes != 1372 || pa.TxBytes != 1428 && pa.TxBytes != 1460 {
			t.Errorf("initiator: rx %d tx %d, want 1372 and 1428 or 1460", pa.RxBytes, pa.TxBytes)
		}
		if pb.RxBytes != pa.TxBytes || pb.TxBytes != pa.RxBytes {
			t.Errorf("responder: rx %d tx %d, want the mirror image", pb.RxBytes, pb.TxBytes)
		}
		if pa.LastHandshake.IsZero() || pb.LastHandshake.IsZero() {
			t.Error("no time of the latest handshake")
		}
	})
}

// P35: what waits for a session is bounded, the oldest goes, the rest arrives in
// order.
func TestStagedPacketsArriveInOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		b.host.SetUp(false)
		w.wait(0)
		for i := range 200 {
			a.send(ping(a.inner, b.inner, 84, uint16(i)))
		}
		w.wait(0) // all are staged before anybody answers
		b.host.SetUp(true)
		w.wait(6 * time.Second)
		got := b.received()
		if len(got) != wire.MaxStaged {
			t.Fatalf("%d packets arrived, want %d", len(got), wire.MaxStaged)
		}
		for i, pkt := range got {
			if want := uint16(200 - wire.MaxStaged + i); seqOf(pkt) != want {
				t.Fatalf("packet %d is number %d, want %d", i, seqOf(pkt), want)
			}
		}
		if n := a.Drops()["stage_full"]; n != 200-wire.MaxStaged {
			t.Errorf("stage_full = %d, want %d", n, 200-wire.MaxStaged)
		}
	})
}

// E3, E4: no peer or no endpoint means an ICMP error and no handshake.
func TestUnreachableDestinationsAreAnswered(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		c := a.peerChange(b)
		c.Endpoint = nil
		a.must(conf.Change{Peers: []conf.PeerChange{c}})
		for name, dst := range map[string]netip.Addr{"no_peer": netip.MustParseAddr("10.9.9.9"), "no_endpoint": b.inner} {
			a.send(ping(a.inner, dst, 84, 1))
			got := a.received()
			if len(got) != 1 {
				t.Fatalf("%s: %d packets came back, want one ICMP error", name, len(got))
			}
			h, ok := ippkt.Parse(got[0])
			if !ok || h.Protocol != ippkt.ProtoICMP || h.Dst != a.inner || h.Src != dst || got[0][20] != 3 || got[0][21] != 1 {
				t.Errorf("%s: not a host unreachable from %v: %x", name, dst, got[0])
			}
			if a.Drops()[name] != 1 {
				t.Errorf("%s = %d, want 1", name, a.Drops()[name])
			}
		}
		a.send(ping(v6(a.inner), netip.MustParseAddr("fd00::9"), 84, 1))
		if got := a.received(); len(got) != 1 || got[0][40] != 1 || got[0][41] != 3 {
			t.Errorf("IPv6: not an address unreachable: %x", got)
		}
		if tx := a.peer(b).TxBytes; tx != 0 {
			t.Errorf("%d bytes sent to a peer without endpoint", tx)
		}
	})
}

// K13, P24, P25, A13: a packet whose inner source belongs to another peer is
// dropped, and the endpoint of its authenticated sender is learnt all the same.
func TestForeignInnerSourceIsDroppedButRoams(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b, c := w.add(1), w.add(2), w.add(3)
		join(a, b)
		a.reaches(b)
		// b gives the more specific prefix of a's address to c.
		other := b.peerChange(c)
		other.AllowedIPs = []conf.AllowedIP{{Prefix: netip.PrefixFrom(a.inner, 32)}}
		b.must(conf.Change{Peers: []conf.PeerChange{other}})
		a.must(conf.Change{ListenPort: ptr(uint16(7777))})
		a.silent(b)
		if b.Drops()["source_not_allowed"] != 1 {
			t.Errorf("source_not_allowed = %d, want 1", b.Drops()["source_not_allowed"])
		}
		if got, want := b.peer(a).Endpoint, netip.AddrPortFrom(a.outer, 7777); got != want {
			t.Errorf("endpoint = %v, want %v", got, want)
		}
	})
}

// K10: the endpoint follows the source of authenticated packets.
func TestEndpointRoams(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		a.must(conf.Change{ListenPort: ptr(uint16(1234))})
		a.reaches(b)
		if got, want := b.peer(a).Endpoint, netip.AddrPortFrom(a.outer, 1234); got != want {
			t.Errorf("endpoint = %v, want %v", got, want)
		}
		b.reaches(a)
	})
}

// P32, K14: after a change of the private key the next packet makes a new
// session at once.
func TestPrivateKeyChangesLive(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		old := a.key.Public()
		a.key = key.NewPrivate([32]byte{8: 77})
		a.must(conf.Change{PrivateKey: &a.key})
		c := b.peerChange(a)
		b.must(conf.Change{Peers: []conf.PeerChange{{PublicKey: old, Remove: true}, c}})
		w.wait(100 * time.Millisecond)
		b.reaches(a)
		a.reaches(b)
	})
}

// P31: the preshared key counts from the next handshake on, and a mismatch
// makes no session.
func TestPresharedKey(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		k := key.NewPreshared([32]byte{5})
		a.must(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.key.Public(), PresharedKey: &k}}})
		a.reaches(b)
		a.host.SetUp(false)
		w.wait(0)
		a.host.SetUp(true)
		w.wait(0)
		a.silent(b)
		b.must(conf.Change{Peers: []conf.PeerChange{{PublicKey: a.key.Public(), PresharedKey: &k}}})
		w.wait(6 * time.Second)
		if got := b.received(); len(got) != 1 {
			t.Fatalf("%d packets after both have the key, want the one that waited", len(got))
		}
		a.reaches(b)
	})
}

// compat 4.5: down erases the sessions and keeps configuration and port.
func TestLinkDownAndUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		before := a.peer(b).TxBytes
		a.host.SetUp(false)
		w.wait(0)
		if err := a.host.Send(ping(a.inner, b.inner, 84, 1)); err != nil {
			t.Fatal(err)
		}
		w.wait(time.Minute)
		if got := b.received(); len(got) != 0 || a.peer(b).TxBytes != before {
			t.Fatal("a device that is down sent something")
		}
		a.host.SetUp(true)
		w.wait(0)
		if s := a.Status(); s.ListenPort != 51820 {
			t.Errorf("listen port = %d after up, want 51820", s.ListenPort)
		}
		a.reaches(b)
	})
}

// K29, T10: keepalive configured while down goes out when the interface is up.
// K30: or when the private key arrives last.
func TestPersistentKeepaliveStartsAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		b.must(conf.Change{Peers: []conf.PeerChange{b.peerChange(a)}})
		a.host.SetUp(false)
		w.wait(0)
		c := a.peerChange(b)
		c.PersistentKeepalive = ptr(uint16(1))
		a.must(conf.Change{Peers: []conf.PeerChange{c}})
		w.wait(5 * time.Second)
		if tx := a.peer(b).TxBytes; tx != 0 {
			t.Fatalf("%d bytes sent while down", tx)
		}
		a.host.SetUp(true)
		w.wait(10 * time.Millisecond)
		if rx := a.peer(b).RxBytes; rx == 0 {
			t.Fatal("nothing received 10 ms after up")
		}
		a.host.SetUp(false)
		w.wait(0)
		a.must(conf.Change{PrivateKey: new(key.Private)})
		a.host.SetUp(true)
		before := a.peer(b).TxBytes
		w.wait(5 * time.Second)
		if tx := a.peer(b).TxBytes; tx != before {
			t.Fatalf("%d bytes sent without a private key", tx-before)
		}
		a.must(conf.Change{PrivateKey: &a.key})
		w.wait(10 * time.Millisecond)
		if tx := a.peer(b).TxBytes; tx == before {
			t.Fatal("nothing sent when the key arrived")
		}
	})
}

// K41, P10, A12: peers with low-order keys are accepted and never get a packet.
func TestLowOrderPeersStaySilent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.add(1)
		sent := 0
		w.inspect(func(udptest.Packet) { sent++ })
		points := []key.Public{{}, {1},
			mustPublic(t, "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA="),
			mustPublic(t, "X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc="),
			mustPublic(t, "7P///////////////////////////////////////38="),
			mustPublic(t, "7f///////////////////////////////////////38="),
			mustPublic(t, "7v///////////////////////////////////////38=")}
		var c conf.Change
		for i, p := range points {
			c.Peers = append(c.Peers, conf.PeerChange{
				PublicKey: p, PersistentKeepalive: ptr(uint16(1)),
				Endpoint:   &conf.Endpoint{Host: "192.0.2.9", Port: "1"},
				AllowedIPs: []conf.AllowedIP{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), 32)}},
			})
		}
		a.must(c)
		for i := range points {
			a.send(ping(a.inner, netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), 84, 1))
		}
		w.wait(2 * time.Second)
		if n := len(a.Status().Peers); n != len(points) {
			t.Errorf("%d peers, want %d", n, len(points))
		}
		if sent != 0 {
			t.Errorf("%d packets sent, want none", sent)
		}
	})
}

func mustPublic(t *testing.T, s string) key.Public {
	t.Helper()
	k, err := key.ParsePublic(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// K16, F26, B89: our own message that comes back out of the TUN is not
// encrypted again; a message to a peer behind another peer is.
func TestRoutingLoopEndsAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		c := a.peerChange(b)
		c.AllowedIPs = append(c.AllowedIPs, conf.AllowedIP{Prefix: netip.MustParsePrefix("0.0.0.0/0")})
		a.must(conf.Change{Peers: []conf.PeerChange{c}})
		b.must(conf.Change{Peers: []conf.PeerChange{b.peerChange(a)}})
		var sent [][]byte
		w.inspect(func(p udptest.Packet) {
			if p.From.Addr() == a.outer {
				sent = append(sent, slices.Clone(p.Payload))
			}
		})
		datagram := func(msg []byte) []byte {
			pkt := ping(a.outer, b.outer, 28+len(msg), 0)
			pkt[20], pkt[21], pkt[22], pkt[23] = 0xca, 0x6c, 0xca, 0x6c // 51820 to 51820
			copy(pkt[28:], msg)
			return pkt
		}
		a.send(ping(a.inner, b.inner, 84, 1))
		synctest.Wait()
		w.inspect(nil)
		a.send(datagram(sent[1])) // transport data
		w.wait(0)
		if n := a.Drops()["routing_loop"]; n != 1 {
			t.Errorf("routing_loop = %d, want 1", n)
		}
		onion := datagram(sent[1])
		onion[19] = 77 // another host's port 51820, behind b
		a.send(onion)
		for _, m := range sent { // messages of a host that we are the router of
			m[4], m[5] = ^m[4], ^m[5]
			a.send(datagram(m))
		}
		w.wait(0)
		if n := a.Drops()["routing_loop"]; n != 1 {
			t.Errorf("routing_loop = %d, want 1", n)
		}
		if n := b.Drops()["source_not_allowed"]; n != 1+uint64(len(sent)) {
			t.Errorf("%d messages of others arrived at the peer, want %d", n, 1+len(sent))
		}
		w.wait(3 * time.Minute)
		w.inspect(func(p udptest.Packet) {
			if p.Payload[0] == 1 && p.From.Addr() == a.outer {
				a.send(datagram(p.Payload)) // as long as it waits for the response
			}
		})
		a.send(ping(a.inner, b.inner, 84, 1))
		w.wait(0)
		w.inspect(nil)
		if n := a.Drops()["routing_loop"]; n != 2 {
			t.Errorf("routing_loop = %d after an initiation came back, want 2", n)
		}
	})
}

// A change is applied whole or not at all (compat 7.3 E6).
func TestBadChangeChangesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		before := a.Status()
		bad := a.peerChange(b)
		bad.Endpoint = &conf.Endpoint{Host: "example.org", Port: "1"}
		err := a.Apply(conf.Change{
			ListenPort: ptr(uint16(4000)), FwMark: ptr(uint32(7)), ReplacePeers: true,
			Peers: []conf.PeerChange{{PublicKey: key.Public{9}}, bad},
		})
		var ce *ChangeError
		if !errors.As(err, &ce) || ce.Peer != b.key.Public() || ce.Field != "endpoint" {
			t.Fatalf("error = %v, want a ChangeError of the endpoint", err)
		}
		if !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%v is no fs.ErrInvalid", err)
		}
		after := a.Status()
		if after.ListenPort != before.ListenPort || after.FwMark != before.FwMark || len(after.Peers) != 1 {
			t.Errorf("state changed: %+v", after)
		}
		// A port that is taken: the other node's on the same host.
		c := w.addAt(3, a.outer, 4001)
		if err := a.Apply(conf.Change{ListenPort: ptr(uint16(4001)), ReplacePeers: true}); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("error = %v, want EADDRINUSE", err)
		}
		_ = c
		a.reaches(b)
	})
}

// K38, P33: our own key is no peer, in whatever order.
func TestOwnKeyIsNoPeer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		a.must(conf.Change{Peers: []conf.PeerChange{{PublicKey: a.key.Public()}}})
		if n := len(a.Status().Peers); n != 0 {
			t.Errorf("%d peers, want our own key refused", n)
		}
		join(a, b)
		a.reaches(b)
		a.must(conf.Change{PrivateKey: &b.key})
		if n := len(a.Status().Peers); n != 0 {
			t.Errorf("%d peers, want the one with our new key gone", n)
		}
		a.must(conf.Change{PrivateKey: &a.key, Peers: []conf.PeerChange{a.peerChange(b)}})
		w.wait(time.Second)
		a.reaches(b)
	})
}

// X1, K35, P23: a prefix has one owner; lists keep the order of insertion, and
// what is added again moves to the end.
func TestAllowedIPsMoveAndKeepOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.add(1)
		p, q := key.Public{1}, key.Public{2}
		add := func(s ...string) (out []conf.AllowedIP) {
			for _, s := range s {
				remove := s[0] == '-'
				out = append(out, conf.AllowedIP{Prefix: netip.MustParsePrefix(s[map[bool]int{true: 1}[remove]:]), Remove: remove})
			}
			return out
		}
		check := func(step string, want ...[]string) {
			t.Helper()
			for i, peer := range a.Status().Peers {
				var got []string
				for _, p := range peer.AllowedIPs {
					got = append(got, p.String())
				}
				if !slices.Equal(got, want[i]) {
					t.Errorf("%s: peer %d has %v, want %v", step, i, got, want[i])
				}
			}
		}
		a.must(conf.Change{Peers: []conf.PeerChange{
			{PublicKey: p, AllowedIPs: add("10.0.0.0/8", "10.1.0.0/16", "fd00::/8")},
			{PublicKey: q, AllowedIPs: add("10.1.0.0/16", "0.0.0.0/0")}}})
		check("move", []string{"10.0.0.0/8", "fd00::/8"}, []string{"10.1.0.0/16", "0.0.0.0/0"})
		a.must(conf.Change{Peers: []conf.PeerChange{{PublicKey: q, AllowedIPs: add("10.1.0.0/16", "-10.0.0.0/8", "-0.0.0.0/0")}}})
		check("incremental", []string{"10.0.0.0/8", "fd00::/8"}, []string{"10.1.0.0/16"})
		a.must(conf.Change{Peers: []conf.PeerChange{{PublicKey: p, AllowedIPs: add("10.0.0.0/8")}}})
		check("again", []string{"fd00::/8", "10.0.0.0/8"}, []string{"10.1.0.0/16"})
		a.must(conf.Change{Peers: []conf.PeerChange{{PublicKey: p, ReplaceAllowedIPs: true, AllowedIPs: add("10.1.0.0/16")}}})
		check("replace", []string{"10.1.0.0/16"}, nil)
		a.must(conf.Change{Peers: []conf.PeerChange{{PublicKey: p, Remove: true}, {PublicKey: key.Public{3}, UpdateOnly: true}}})
		check("remove", nil)
		if n := a.routes.Load().Len(); n != 0 {
			t.Errorf("%d prefixes left of removed peers", n)
		}
	})
}

// S02 (in part), F21: the interface is deleted under the device.
func TestRunEndsWhenTheInterfaceIsGone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		a.expect = ErrInterfaceGone
		a.host.Remove()
		w.wait(0)
		if err := a.Apply(conf.Change{}); !errors.Is(err, ErrClosed) {
			t.Errorf("Apply after the end: %v, want ErrClosed", err)
		}
	})
}

// TSO in, coalesced out: a super-packet arrives as what it stands for.
func TestSuperPacketsCross(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.reaches(b)
		const payload, segment = 50_000, 1372
		pkt := make([]byte, 40+payload)
		copy(pkt, ping(a.inner, b.inner, len(pkt), 0))
		pkt[9] = ippkt.ProtoTCP
		clear(pkt[20:40])
		pkt[10], pkt[11] = 0, 0
		pkt[32], pkt[33] = 0x50, 0x10
		for i := range payload {
			pkt[40+i] = byte(i * 7)
		}
		sum := ippkt.PseudoHeader(a.inner, b.inner, ippkt.ProtoTCP, 20+payload).Fold()
		pkt[36], pkt[37] = byte(sum>>8), byte(sum)
		o := packet.Offload{Kind: packet.TCP4, NeedsCsum: true, Segment: segment, CsumStart: 20, CsumOffset: 16}
		if err := a.host.SendSuper(o, pkt); err != nil {
			t.Fatal(err)
		}
		var got []byte
		n := 0
		for _, p := range b.received() {
			h, ok := ippkt.Parse(p)
			if !ok || h.Protocol != ippkt.ProtoTCP {
				t.Fatalf("not a TCP packet: %x", p[:40])
			}
			if s := ippkt.PseudoHeader(h.Src, h.Dst, h.Protocol, h.Length-20).Add(ippkt.Sum(p[20:h.Length])).Fold(); s != 0xffff {
				t.Fatalf("segment %d has a wrong checksum", n)
			}
			got = append(got, p[40:]...)
			n++
		}
		if !bytes.Equal(got, pkt[40:]) || n != (payload+segment-1)/segment {
			t.Errorf("%d bytes in %d segments arrived, want %d in %d", len(got), n, payload, (payload+segment-1)/segment)
		}
	})
}
