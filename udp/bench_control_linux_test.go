package udp

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/packet"
)

// Around every system call: what comes with a datagram is read, what goes with
// it is written, and it is asked who may be sent to how.

func BenchmarkParseControl(b *testing.B) {
	// Packet info, traffic class and segment size, as a coalesced receive has them.
	control, info := appendItem(make([]byte, 0, receiveControlLen), unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
	copy(info[8:], []byte{192, 0, 2, 1})
	control, class := appendItem(control, unix.IPPROTO_IP, unix.IP_TOS, 1)
	class[0] = 2
	control, segment := appendItem(control, unix.IPPROTO_UDP, unix.UDP_GRO, 4)
	binary.NativeEndian.PutUint32(segment, 1452)
	for b.Loop() {
		if c := parseControl(control); c.segment != 1452 || c.tos != 2 || !c.local.IsValid() {
			b.Fatalf("read %+v", c)
		}
	}
}

func BenchmarkSockaddr(b *testing.B) {
	for name, a := range map[string]netip.Addr{"IPv4": home4, "IPv6": netip.MustParseAddr("2001:db8::1")} {
		b.Run(name, func(b *testing.B) {
			var s sockaddr
			for b.Loop() {
				s.set(a, 51820, 0)
				if got, _ := s.addrPort(); got != netip.AddrPortFrom(a, 51820) {
					b.Fatalf("%v, want %v", got, a)
				}
			}
		})
	}
}

// BenchmarkPlain asks whether a run goes singly, of an endpoint that does not,
// while there are none, and while there are others.
func BenchmarkPlain(b *testing.B) {
	to := netip.AddrPortFrom(home4, 51820)
	for _, others := range []bool{false, true} {
		b.Run(map[bool]string{false: "empty", true: "others"}[others], func(b *testing.B) {
			var t plainTable
			if others {
				for i := range maxPlain / 2 {
					t.learn(netip.AddrPortFrom(home4, uint16(i+1)), 1)
				}
			}
			for b.Loop() {
				if t.has(to, 1452) {
					b.Fatal("an endpoint that never failed goes singly")
				}
			}
		})
	}
}

// BenchmarkSource asks whether a learnt source may be used, of the table and of
// the epoch alone.
func BenchmarkSource(b *testing.B) {
	p := benchPort(b, Network{NoSteer: true})
	for name, s := range map[string]*sources{"table": &p.sources, "epoch": {}} {
		e := packet.Endpoint{Remote: netip.AddrPortFrom(home4, 51820), Local: home4, Epoch: s.epoch.Load()}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if !s.usable(&e) {
					b.Fatal("the source is not used")
				}
			}
		})
	}
}

// BenchmarkEnter is what every call on a socket pays to use it safely.
func BenchmarkEnter(b *testing.B) {
	p := benchPort(b, Network{NoSteer: true})
	for b.Loop() {
		if !p.enter() || p.familyOf(home4) == nil {
			b.Fatal("the port is closed")
		}
		p.leave()
	}
}
