package offload

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/warrenvpn/warren/packet"
)

// random returns a generator whose seed is printed if the test fails.
func random(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 1))
}

func fill(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

// naiveSum is RFC 1071 1 as it is written there, over several pieces of even
// length but for the last.
func naiveSum(pieces ...[]byte) uint16 {
	var s uint32
	for _, b := range pieces {
		for ; len(b) > 1; b = b[2:] {
			s += uint32(b[0])<<8 | uint32(b[1])
		}
		if len(b) == 1 {
			s += uint32(b[0]) << 8
		}
		for s>>16 != 0 {
			s = s&0xffff + s>>16
		}
	}
	return uint16(s)
}

// spec describes a packet to build.
type spec struct {
	v6         bool
	udp        bool
	host, port byte // tell flows apart
	tos, ttl   byte
	label      uint16 // IPv6 flow label
	id         uint16 // IPv4
	df         bool
	ipOptions  []byte // IPv4, a multiple of four
	seq, ack   uint32
	flags      byte // TCP
	ns         byte // TCP: the low half of the offset byte
	window     uint16
	urgent     uint16
	options    []byte // TCP, a multiple of four
	noCheck    bool   // UDP without checksum
	payload    []byte
}

func (s spec) proto() byte {
	if s.udp {
		return 17
	}
	return 6
}

// build returns the packet with correct lengths and checksums.
func (s spec) build() []byte {
	var th []byte
	if s.udp {
		th = []byte{0x10, s.port, 0x20, 1, 0, 0, 0, 0}
	} else {
		th = make([]byte, 20, 60)
		copy(th, []byte{0x10, s.port, 0x20, 1})
		binary.BigEndian.PutUint32(th[4:], s.seq)
		binary.BigEndian.PutUint32(th[8:], s.ack)
		th[12], th[13] = byte(20+len(s.options))<<2|s.ns, s.flags
		binary.BigEndian.PutUint16(th[14:], s.window)
		binary.BigEndian.PutUint16(th[18:], s.urgent)
		th = append(th, s.options...)
	}
	var b []byte
	if s.v6 {
		b = make([]byte, 40)
		binary.BigEndian.PutUint32(b, 6<<28|uint32(s.tos)<<20|uint32(s.label))
		b[6], b[7] = s.proto(), s.ttl
		b[8], b[23], b[24], b[39] = 0xfd, s.host, 0x20, 9
	} else {
		b = make([]byte, 20, 60)
		b[0], b[1], b[8], b[9] = 0x45+byte(len(s.ipOptions)/4), s.tos, s.ttl, s.proto()
		binary.BigEndian.PutUint16(b[4:], s.id)
		if s.df {
			b[6] = 0x40
		}
		copy(b[12:], []byte{10, 0, 0, s.host, 192, 0, 2, 9})
		b = append(b, s.ipOptions...)
	}
	start := len(b)
	b = append(append(b, th...), s.payload...)
	finish(b, start, s.noCheck)
	return b
}

// finish sets lengths and checksums of a packet with its transport header at
// start.
func finish(b []byte, start int, noCheck bool) {
	l4 := b[start:]
	proto := b[9]
	addresses := b[12:20]
	if b[0]>>4 == 6 {
		addresses = b[8:40]
		proto = b[6]
		if start > 40 { // behind one extension header
			proto = b[40]
		}
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
	} else {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], ^naiveSum(b[:start]))
	}
	at := 16
	if proto == 17 {
		at = 6
		binary.BigEndian.PutUint16(l4[4:], uint16(len(l4)))
	}
	l4[at], l4[at+1] = 0, 0
	if noCheck {
		return
	}
	sum := ^naiveSum(addresses, []byte{0, proto, byte(len(l4) >> 8), byte(len(l4))}, l4)
	if sum == 0 && proto == 17 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(l4[at:], sum)
}

// partial makes the transport checksum what a kernel leaves there for us to
// complete, and returns the offload that says so.
func partial(b []byte, start int, kind packet.Kind, segment int) packet.Offload {
	proto, addresses := b[9], b[12:20]
	if b[0]>>4 == 6 {
		proto, addresses = b[6], b[8:40]
		if start > 40 {
			proto = b[40]
		}
	}
	at := 16
	if proto == 17 {
		at = 6
	}
	size := len(b) - start
	sum := naiveSum(addresses, []byte{0, proto, byte(size >> 8), byte(size)})
	binary.BigEndian.PutUint16(b[start+at:], sum)
	return packet.Offload{
		Kind: kind, NeedsCsum: true, Segment: uint16(segment),
		CsumStart: uint16(start), CsumOffset: uint16(at),
	}
}

// naiveCut does what Cut does, one packet after the other, each built from
// nothing. start is the offset of the transport header.
func naiveCut(pkt []byte, start int, o packet.Offload) [][]byte {
	if o.Kind == packet.Plain {
		b := bytes.Clone(pkt)
		if o.NeedsCsum {
			finish(b, start, false)
		}
		return [][]byte{b}
	}
	headers := start + 8
	if o.Kind != packet.UDP {
		headers = start + int(pkt[start+12]>>4)*4
	}
	var list [][]byte
	for at := headers; at < len(pkt); at += int(o.Segment) {
		end := min(at+int(o.Segment), len(pkt))
		b := append(bytes.Clone(pkt[:headers]), pkt[at:end]...)
		if b[0]>>4 == 4 {
			binary.BigEndian.PutUint16(b[4:], binary.BigEndian.Uint16(pkt[4:])+uint16(len(list)))
		}
		if o.Kind != packet.UDP {
			th := b[start:]
			binary.BigEndian.PutUint32(th[4:], binary.BigEndian.Uint32(th[4:])+uint32(at-headers))
			if at > headers {
				th[13] &^= 0x80
			}
			if end < len(pkt) {
				th[13] &^= 0x09
			}
		}
		finish(b, start, false)
		list = append(list, b)
	}
	return list
}

// unpack returns the packets of messages laid out by Messages(mtu), which were
// cut into poisoned memory, and checks everything around them.
func unpack(t *testing.T, dst []byte, size, n, total, mtu int) [][]byte {
	t.Helper()
	var list [][]byte
	for at := 0; at < total; at += size {
		msg := dst[at:min(at+size, total)]
		for _, room := range [][]byte{msg[:16], msg[len(msg)-16:]} {
			for _, c := range room {
				if c != poison {
					t.Fatalf("message %d: something was written to the room of header or tag", len(list))
				}
			}
		}
		inner := msg[16 : len(msg)-16]
		length := int(binary.BigEndian.Uint16(inner[2:]))
		if inner[0]>>4 == 6 {
			length = 40 + int(binary.BigEndian.Uint16(inner[4:]))
		}
		if len(inner) != Pad(length, mtu) {
			t.Fatalf("message %d: %d bytes for a packet of %d, want %d", len(list), len(inner), length, Pad(length, mtu))
		}
		for _, c := range inner[length:] {
			if c != 0 {
				t.Fatalf("message %d: padding is not zero", len(list))
			}
		}
		list = append(list, inner[:length])
	}
	if len(list) != n {
		t.Fatalf("%d messages, want %d", len(list), n)
	}
	for _, c := range dst[total:] {
		if c != poison {
			t.Fatal("something was written behind the last message")
		}
	}
	return list
}

const poison = 0xdb

func poisoned(n int) []byte { return bytes.Repeat([]byte{poison}, n) }

// equal compares lists of packets.
func equal(t *testing.T, what string, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d packets, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("%s: packet %d\n got %x\nwant %x", what, i, got[i][:min(len(got[i]), 80)], want[i][:min(len(want[i]), 80)])
		}
	}
}
