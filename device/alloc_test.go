package device

import (
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/packet"
	"github.com/warrenvpn/warren/tun/tuntest"
	"github.com/warrenvpn/warren/udp/udptest"
)

// sink is a port and a queue that take everything.
type sink struct{ last []byte }

func (*sink) Number() uint16                               { return 51820 }
func (*sink) Receivers() []packet.Receiver                 { return nil }
func (*sink) SetMark(uint32) error                         { return nil }
func (*sink) Close() error                                 { return nil }
func (*sink) Read([]packet.Super) (int, error)             { return 0, nil }
func (*sink) Write(o packet.Offload, parts [][]byte) error { return nil }
func (s *sink) Send(runs []packet.Run) error {
	s.last = append(s.last[:0], runs[0].Buf...)
	return nil
}

// lanes is a device that does not run, with one peer that has a session with
// itself: what the outbound lane seals, the inbound lane opens.
func lanes(tb testing.TB) (*outbound, *inbound, *sink) {
	tb.Helper()
	tunEnd, _ := tuntest.New(tuntest.Config{})
	d, err := New(Config{TUN: tunEnd, Network: udptest.New().Host(netip.MustParseAddr("192.0.2.1"))})
	if err != nil {
		tb.Fatal(err)
	}
	s := new(sink)
	d.port.Store(&openPort{s})
	if err := d.apply(&conf.Change{Peers: []conf.PeerChange{{
		PublicKey:  key.Public{1},
		Endpoint:   &conf.Endpoint{Host: "192.0.2.2", Port: "51820"},
		AllowedIPs: []conf.AllowedIP{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}},
	}}}); err != nil {
		tb.Fatal(err)
	}
	p := d.order[0]
	index := d.index.reserve(p)
	session := tunnel.NewSession(index, index, true, &noise.Keys{}, d.clock.Now())
	d.index.admit(p, session)
	p.session.Store(session)
	in := d.newInbound(&lane{epoch: new(epoch)}, nil, s, false)
	in.joins = func() (bool, bool, int) { return true, true, 0 }
	return d.newOutbound(&lane{epoch: new(epoch)}, s), in, s
}

// superTCP is a super-packet of n segments with 1368 bytes each.
func superTCP(n int) packet.Super {
	pkt := make([]byte, 40+1368*n)
	copy(pkt, ping(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), len(pkt), 0))
	pkt[9], pkt[10], pkt[11], pkt[32], pkt[33] = 6, 0, 0, 0x50, 0x10
	return packet.Super{Buf: pkt, N: len(pkt), Offload: packet.Offload{
		Kind: packet.TCP4, NeedsCsum: true, Segment: 1368, CsumStart: 20, CsumOffset: 16,
	}}
}

// A packet in either direction allocates nothing, once the lanes are warm.
func TestLanesDoNotAllocate(t *testing.T) {
	o, in, s := lanes(t)
	small := packet.Super{Buf: ping(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), 84, 1), N: 84}
	for name, batch := range map[string][]packet.Super{
		"super": {superTCP(28)},
		"small": {small, small, small, small},
	} {
		got := make([]packet.Datagram, 1)
		got[0].Buf = make([]byte, packet.MaxSuper)
		if n := testing.AllocsPerRun(50, func() {
			o.handle(batch)
			g := &got[0]
			g.N = copy(g.Buf, s.last)
			g.Segment = min(g.N, 1368+40+wire.TransportHeaderSize+wire.TagSize)
			if name == "small" {
				g.Segment = 96 + wire.TransportHeaderSize + wire.TagSize
			}
			in.handle(got)
		}); n != 0 {
			t.Errorf("%s: %v allocations per batch, want 0", name, n)
		}
		for r := range in.l.drops.n {
			if n := in.l.drops.n[r].Load() + o.l.drops.n[r].Load(); n != 0 {
				t.Errorf("%s: %d packets dropped: %v", name, n, Drop(r))
			}
		}
	}
}

// BenchmarkLanes is one super-packet out and in, without system calls.
func BenchmarkLanes(b *testing.B) {
	o, in, s := lanes(b)
	batch := []packet.Super{superTCP(28)}
	got := make([]packet.Datagram, 1)
	got[0].Buf = make([]byte, packet.MaxSuper)
	b.SetBytes(28 * 1368)
	b.ReportAllocs()
	for b.Loop() {
		o.handle(batch)
		g := &got[0]
		g.N, g.Segment = copy(g.Buf, s.last), 1368+40+wire.TransportHeaderSize+wire.TagSize
		in.handle(got)
	}
}
