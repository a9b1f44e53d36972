package ippkt

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

func TestParse(t *testing.T) {
	udp := []byte{0, 1, 0, 2, 0, 8, 0, 0}
	frag4 := func(word uint16) []byte {
		b := ipv4(a4, b4, ProtoUDP, 0, udp)
		binary.BigEndian.PutUint16(b[6:], word)
		return b
	}
	frag6 := func(word uint16) []byte {
		ext := []byte{ProtoUDP, 0, 0, 0, 0, 0, 0, 7}
		binary.BigEndian.PutUint16(ext[2:], word)
		return ipv6(a6, b6, ProtoFragment, 0, append(ext, udp...))
	}
	options := append(ipv4(a4, b4, ProtoTCP, 0, nil), make([]byte, 24)...)
	options[0], options[3] = 0x46, 44
	chain := append([]byte{ProtoRouting, 0, 0, 0, 0, 0, 0, 0}, ProtoAuth, 0, 0, 0, 0, 0, 0, 0)
	chain = append(chain, ProtoDestination, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	chain = append(chain, ProtoUDP, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	ipv4Header := Header{Src: netip.AddrFrom4(a4), Dst: netip.AddrFrom4(b4), Version: 4}
	ipv6Header := Header{Src: netip.AddrFrom16(a6), Dst: netip.AddrFrom16(b6), Version: 6}
	with := func(h Header, length, transport int, proto uint8) Header {
		h.Length, h.Transport, h.Protocol = length, transport, proto
		return h
	}
	cases := []struct {
		name string
		b    []byte
		want Header
		tos  byte
		more bool
		frag bool
	}{
		{name: "udp4", b: ipv4(a4, b4, ProtoUDP, 0xb9, udp), want: with(ipv4Header, 28, 20, ProtoUDP), tos: 0xb9},
		{name: "udp6", b: ipv6(a6, b6, ProtoUDP, 0xb9, udp), want: with(ipv6Header, 48, 40, ProtoUDP), tos: 0xb9},
		{name: "padding4", b: append(ipv4(a4, b4, 6, 0, udp), 0, 0, 0), want: with(ipv4Header, 28, 20, 6)},
		{name: "padding6", b: append(ipv6(a6, b6, 6, 0, udp), 0, 0, 0), want: with(ipv6Header, 48, 40, 6)},
		{name: "empty4", b: ipv4(a4, b4, 59, 0, nil), want: with(ipv4Header, 20, 20, 59)},
		{name: "empty6", b: ipv6(a6, b6, 59, 0, nil), want: with(ipv6Header, 40, 40, 59)},
		{name: "options", b: options, want: with(ipv4Header, 44, 24, ProtoTCP)},
		{name: "first fragment", b: frag4(0x2000), want: with(ipv4Header, 28, 20, ProtoUDP), more: true},
		{name: "last fragment", b: frag4(0x0001), want: with(ipv4Header, 28, 20, ProtoUDP), frag: true},
		{name: "do not fragment", b: frag4(0x4000), want: with(ipv4Header, 28, 20, ProtoUDP)},
		{name: "first fragment 6", b: frag6(1), want: with(ipv6Header, 56, 48, ProtoUDP), more: true},
		{name: "later fragment 6", b: frag6(8 | 1), want: with(ipv6Header, 56, 48, ProtoUDP), more: true, frag: true},
		{name: "atomic fragment 6", b: frag6(0), want: with(ipv6Header, 56, 48, ProtoUDP)},
		{name: "chain", b: ipv6(a6, b6, ProtoHopByHop, 0, append(chain, udp...)), want: with(ipv6Header, 92, 84, ProtoUDP)},
		{name: "cut chain", b: ipv6(a6, b6, ProtoHopByHop, 0, []byte{6, 1, 0, 0, 0, 0, 0, 0}), want: with(ipv6Header, 48, 40, ProtoHopByHop)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.want.TOS, c.want.More, c.want.Fragment = c.tos, c.more, c.frag
			got, ok := Parse(c.b)
			if !ok || got != c.want {
				t.Errorf("got %+v, %v, want %+v", got, ok, c.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	short := ipv4(a4, b4, 6, 0, nil)
	short[0] = 0x44
	long := ipv4(a4, b4, 6, 0, nil)
	long[0] = 0x46
	tiny := ipv4(a4, b4, 6, 0, nil)
	tiny[3] = 19
	for name, b := range map[string][]byte{
		"nothing": nil, "one byte": {0x45}, "version 5": append([]byte{0x55}, make([]byte, 60)...),
		"19 bytes": ipv4(a4, b4, 6, 0, nil)[:19], "39 bytes": ipv6(a6, b6, 6, 0, nil)[:39],
		"header of 16 bytes": short, "header longer than packet": long, "total of 19": tiny,
	} {
		if h, ok := Parse(b); ok {
			t.Errorf("%s: %+v, want it refused", name, h)
		}
	}
}

// P20, B23: every value of the length field against several real sizes.
func TestParseLengthsNeverExceedThePacket(t *testing.T) {
	for _, size := range []int{20, 40, 41, 1420, 65495, 65496, 65535, 65575} {
		b := make([]byte, size)
		for field := range 0x10000 {
			b[0], b[2], b[3] = 0x45, byte(field>>8), byte(field)
			h, ok := Parse(b)
			if want := field >= 20 && field <= size; ok != want || ok && h.Length != field {
				t.Fatalf("IPv4 length %d in %d bytes: %d, %v", field, size, h.Length, ok)
			}
			if size < 40 {
				continue
			}
			b[0], b[2], b[3] = 0x60, 0, 0
			b[4], b[5], b[6] = byte(field>>8), byte(field), ProtoUDP
			h, ok = Parse(b)
			if want := field+40 <= size; ok != want || ok && h.Length != field+40 {
				t.Fatalf("IPv6 length %d in %d bytes: %d, %v", field, size, h.Length, ok)
			}
			b[4], b[5], b[6] = 0, 0, 0
		}
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	p4, p6 := ipv4(a4, b4, 6, 0, make([]byte, 20)), ipv6(a6, b6, 6, 0, make([]byte, 20))
	allocs := testing.AllocsPerRun(100, func() {
		h, _ := Parse(p4)
		g, _ := Parse(p6)
		if !Decapsulate(p4, &h, ECT0) || !Decapsulate(p6, &g, ECT0) {
			t.Error("dropped")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

// naiveParse looks at one field after the other, with the checks where the
// fields are.
func naiveParse(b []byte) (length, transport int, proto uint8, fragment, ok bool) {
	if len(b) == 0 {
		return
	}
	if b[0]>>4 == 4 {
		ihl := 4 * int(b[0]%16)
		if len(b) < 20 || ihl < 20 {
			return
		}
		length = 256*int(b[2]) + int(b[3])
		return length, ihl, b[9], (256*int(b[6])+int(b[7]))%8192 != 0, length >= ihl && length <= len(b)
	}
	if b[0]>>4 != 6 || len(b) < 40 {
		return
	}
	length = 40 + 256*int(b[4]) + int(b[5])
	if length > len(b) {
		return
	}
	transport, proto = 40, b[6]
	for {
		rest := b[transport:length]
		size := 0
		switch {
		case proto == 44:
			size = 8
		case proto == 51 && len(rest) >= 2:
			size = max(8, 8+4*int(rest[1]))
		case (proto == 0 || proto == 43 || proto == 60) && len(rest) >= 2:
			size = 8 + 8*int(rest[1])
		}
		if size == 0 || len(rest) < size {
			return length, transport, proto, false, true
		}
		later := proto == 44 && (256*int(rest[2])+int(rest[3]))/8 != 0
		transport, proto = transport+size, rest[0]
		if later {
			return length, transport, proto, true, true
		}
	}
}

// Z02: differential against the naive parser.
func FuzzParse(f *testing.F) {
	f.Add(ipv4(a4, b4, ProtoTCP, 0, make([]byte, 20)))
	f.Add(ipv6(a6, b6, ProtoUDP, 0, make([]byte, 8)))
	f.Add(ipv6(a6, b6, ProtoHopByHop, 0, append([]byte{44, 0, 0, 0, 0, 0, 0, 0, 51, 0, 0, 9, 0, 0, 0, 0}, make([]byte, 20)...)))
	long := make([]byte, 65535)
	long[0], long[4], long[5] = 0x60, 0xff, 0xd7
	f.Add(long)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok := Parse(b)
		length, transport, proto, fragment, want := naiveParse(b)
		if ok != want {
			t.Fatalf("ok = %v, want %v", ok, want)
		}
		if !ok {
			return
		}
		if h.Length != length || h.Transport != transport || h.Protocol != proto || h.Fragment != fragment {
			t.Fatalf("%+v, want length %d, transport %d, protocol %d, fragment %v", h, length, transport, proto, fragment)
		}
		if h.Length > len(b) || h.Transport > h.Length {
			t.Fatalf("%+v points beyond %d bytes", h, len(b))
		}
	})
}

func BenchmarkParse(b *testing.B) {
	p4, p6 := ipv4(a4, b4, ProtoTCP, 0, make([]byte, 20)), ipv6(a6, b6, ProtoTCP, 0, make([]byte, 20))
	b.Run("ipv4", func(b *testing.B) {
		for b.Loop() {
			Parse(p4)
		}
	})
	b.Run("ipv6", func(b *testing.B) {
		for b.Loop() {
			Parse(p6)
		}
	})
}
