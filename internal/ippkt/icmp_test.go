package ippkt

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

// check verifies the checksums of an ICMP packet and returns its header.
func check(t *testing.T, b []byte) Header {
	t.Helper()
	h, ok := Parse(b)
	if !ok || h.Length != len(b) {
		t.Fatalf("%x is no packet", b)
	}
	sum := Sum(b[h.Transport:])
	if h.Version == 4 {
		if naiveSum(b[:20]) != 0xffff {
			t.Errorf("header checksum is wrong")
		}
	} else {
		sum = sum.Add(PseudoHeader(h.Src, h.Dst, ProtoICMPv6, len(b)-40))
	}
	if sum.Fold() != 0xffff {
		t.Errorf("ICMP checksum is wrong")
	}
	return h
}

func TestUnreachable(t *testing.T) {
	dst := bytes.Repeat([]byte{0xdb}, MaxICMP) // poisoned: nothing may be left of it
	for _, size := range []int{0, 8, 520, 2000} {
		pkt := ipv4(a4, b4, ProtoUDP, 0, make([]byte, size))
		n, ok := Unreachable(dst, append(pkt, 1, 2, 3))
		if !ok {
			t.Fatal("refused")
		}
		h := check(t, dst[:n])
		if h.Src != netip.AddrFrom4(b4) || h.Dst != netip.AddrFrom4(a4) || h.Protocol != ProtoICMP {
			t.Errorf("%+v, want it to come from the packet's destination", h)
		}
		if want := []byte{3, 1}; !bytes.Equal(dst[20:22], want) || !bytes.Equal(dst[24:28], make([]byte, 4)) {
			t.Errorf("ICMP header %x, want host unreachable", dst[20:28])
		}
		if want := min(len(pkt), 548); !bytes.Equal(dst[28:n], pkt[:want]) || n > 576 {
			t.Errorf("quotes %d bytes, want %d", n-28, want)
		}

		pkt = ipv6(a6, b6, ProtoUDP, 0, make([]byte, size))
		n, ok = Unreachable(dst, append(pkt, 1, 2, 3))
		if !ok {
			t.Fatal("refused")
		}
		h = check(t, dst[:n])
		if h.Src != netip.AddrFrom16(b6) || h.Dst != netip.AddrFrom16(a6) || h.Protocol != ProtoICMPv6 {
			t.Errorf("%+v, want it to come from the packet's destination", h)
		}
		if want := []byte{1, 3}; !bytes.Equal(dst[40:42], want) || !bytes.Equal(dst[44:48], make([]byte, 4)) {
			t.Errorf("ICMPv6 header %x, want address unreachable", dst[40:48])
		}
		if want := min(len(pkt), 1232); !bytes.Equal(dst[48:n], pkt[:want]) || n > 1280 {
			t.Errorf("quotes %d bytes, want %d", n-48, want)
		}
	}
}

func TestTooBig(t *testing.T) {
	dst := bytes.Repeat([]byte{0xdb}, MaxICMP)
	pkt := ipv4(a4, b4, ProtoTCP, 0, make([]byte, 1400))
	if _, ok := TooBig(dst, pkt, 1280); ok {
		t.Error("an error about a packet that may be fragmented")
	}
	pkt[6] |= 0x40
	n, ok := TooBig(dst, pkt, 1280)
	if !ok {
		t.Fatal("refused")
	}
	check(t, dst[:n])
	if dst[20] != 3 || dst[21] != 4 || binary.BigEndian.Uint32(dst[24:]) != 1280 {
		t.Errorf("ICMP header %x, want fragmentation needed with 1280", dst[20:28])
	}
	n, ok = TooBig(dst, ipv6(a6, b6, ProtoTCP, 0, make([]byte, 1400)), 1300)
	if !ok {
		t.Fatal("refused")
	}
	check(t, dst[:n])
	if dst[40] != 2 || dst[41] != 0 || binary.BigEndian.Uint32(dst[44:]) != 1300 {
		t.Errorf("ICMPv6 header %x, want packet too big with 1300", dst[40:48])
	}
}

// RFC 1122 3.2.2, RFC 4443 2.4 (e), B90.
func TestNoErrorAbout(t *testing.T) {
	body := []byte{8, 0, 0, 0, 0, 0, 0, 0}
	with4 := func(f func(b []byte)) []byte {
		b := ipv4(a4, b4, ProtoUDP, 0, body)
		f(b)
		return b
	}
	with6 := func(f func(b []byte)) []byte {
		b := ipv6(a6, b6, ProtoUDP, 0, body)
		f(b)
		return b
	}
	icmp4 := func(typ byte) []byte { return ipv4(a4, b4, ProtoICMP, 0, []byte{typ, 0, 0, 0, 0, 0, 0, 0}) }
	icmp6 := func(typ byte) []byte { return ipv6(a6, b6, ProtoICMPv6, 0, []byte{typ, 0, 0, 0, 0, 0, 0, 0}) }
	v6 := func(s string) (a [16]byte) { return netip.MustParseAddr(s).As16() }
	no := map[string][]byte{
		"nothing":                  nil,
		"junk":                     {1, 2, 3},
		"truncated":                ipv4(a4, b4, ProtoUDP, 0, body)[:27],
		"icmp unreachable":         icmp4(3),
		"icmp redirect":            icmp4(5),
		"icmp time exceeded":       icmp4(11),
		"icmp unknown":             icmp4(200),
		"icmp empty":               ipv4(a4, b4, ProtoICMP, 0, nil),
		"later fragment":           with4(func(b []byte) { b[7] = 1 }),
		"source 0.0.0.0":           with4(func(b []byte) { clear(b[12:16]) }),
		"source multicast":         with4(func(b []byte) { b[12] = 224 }),
		"source loopback":          with4(func(b []byte) { b[12] = 127 }),
		"source broadcast":         with4(func(b []byte) { copy(b[12:], []byte{255, 255, 255, 255}) }),
		"destination multicast":    with4(func(b []byte) { b[16] = 239 }),
		"destination broadcast":    with4(func(b []byte) { copy(b[16:], []byte{255, 255, 255, 255}) }),
		"destination reserved":     with4(func(b []byte) { b[16] = 240 }),
		"icmpv6 unreachable":       icmp6(1),
		"icmpv6 unknown error":     icmp6(127),
		"icmpv6 redirect":          icmp6(137),
		"icmpv6 empty":             ipv6(a6, b6, ProtoICMPv6, 0, nil),
		"icmpv6 error in a chain":  ipv6(a6, b6, ProtoDestination, 0, []byte{58, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}),
		"cut chain":                ipv6(a6, b6, ProtoDestination, 0, []byte{58, 9, 0, 0, 0, 0, 0, 0}),
		"source ::":                with6(func(b []byte) { clear(b[8:24]) }),
		"source ff02::1":           with6(func(b []byte) { a := v6("ff02::1"); copy(b[8:], a[:]) }),
		"destination ff02::2":      with6(func(b []byte) { a := v6("ff02::2"); copy(b[24:], a[:]) }),
		"later fragment of ICMPv6": ipv6(a6, b6, ProtoFragment, 0, []byte{58, 0, 0, 8, 0, 0, 0, 1, 128, 0, 0, 0}),
	}
	dst := make([]byte, MaxICMP)
	for name, pkt := range no {
		if n, ok := Unreachable(dst, pkt); ok {
			t.Errorf("%s: unreachable of %d bytes, want none", name, n)
		}
		if len(pkt) > 6 && pkt[0]>>4 == 4 {
			pkt[6] |= 0x40
		}
		if n, ok := TooBig(dst, pkt, 1280); ok {
			t.Errorf("%s: too big of %d bytes, want none", name, n)
		}
	}
	yes := map[string][]byte{
		"echo request": icmp4(8), "echo reply": icmp4(0), "timestamp": icmp4(13),
		"echo request 6": icmp6(128), "neighbour solicitation": icmp6(135),
		"first fragment": with4(func(b []byte) { b[6] = 0x20 }), "udp": with4(func([]byte) {}), "udp6": with6(func([]byte) {}),
	}
	for name, pkt := range yes {
		if _, ok := Unreachable(dst, pkt); !ok {
			t.Errorf("%s: none, want an error", name)
		}
	}
}

func FuzzICMP(f *testing.F) {
	f.Add(ipv4(a4, b4, ProtoUDP, 0, make([]byte, 600)), 1280)
	f.Add(ipv6(a6, b6, ProtoHopByHop, 0, append([]byte{17, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 1300)...)), 0)
	f.Fuzz(func(t *testing.T, pkt []byte, mtu int) {
		dst := bytes.Repeat([]byte{0xdb}, MaxICMP)
		for _, build := range []func() (int, bool){
			func() (int, bool) { return Unreachable(dst, pkt) },
			func() (int, bool) { return TooBig(dst, pkt, mtu) },
		} {
			n, ok := build()
			if !ok {
				continue
			}
			h := check(t, dst[:n])
			if _, again := Unreachable(make([]byte, MaxICMP), dst[:n]); again {
				t.Errorf("an error about an error from %v", h.Src)
			}
		}
	})
}
