package offload

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/warrenvpn/warren/packet"
)

// super is a random super-packet.
func super(r *rand.Rand) (pkt []byte, start int, o packet.Offload) {
	s := spec{
		v6: r.IntN(2) == 0, udp: r.IntN(3) == 0, host: 1, port: 1, tos: byte(r.Uint32()), ttl: 64, label: 7,
		id: uint16(r.Uint32()), df: r.IntN(2) == 0, seq: r.Uint32(), ack: r.Uint32(), flags: byte(r.Uint32()),
		ns: byte(r.IntN(2)), window: uint16(r.Uint32()), options: make([]byte, 4*r.IntN(11)),
	}
	s.payload = make([]byte, 1+r.IntN(20000))
	segment := 1 + r.IntN(1500)
	if r.IntN(4) == 0 { // an exact multiple
		s.payload = make([]byte, (1+r.IntN(20))*segment)
	}
	fill(r, s.options)
	fill(r, s.payload)
	start = 20
	if s.v6 {
		start = 40
	} else {
		s.ipOptions = make([]byte, 4*r.IntN(3))
		start += len(s.ipOptions)
	}
	kind := packet.TCP4
	switch {
	case s.udp:
		kind = packet.UDP
	case s.v6:
		kind = packet.TCP6
	}
	pkt = s.build()
	if s.v6 && r.IntN(4) == 0 { // an extension header of 8 bytes
		ext := append([]byte{pkt[6], 0, 1, 4, 0, 0, 0, 0}, pkt[40:]...)
		pkt = append(pkt[:40:40], ext...)
		pkt[6] = 60
		start += 8
		finish(pkt, start, false)
	}
	if r.IntN(4) == 0 { // as no kernel does, but it is no reason to fail
		return pkt, start, packet.Offload{Kind: kind, Segment: uint16(segment)}
	}
	return pkt, start, partial(pkt, start, kind, segment)
}

// Z09, B22: random super-packets into poisoned memory against the naive cutter.
func TestCutAgreesWithTheNaiveCutter(t *testing.T) {
	r := random(t)
	dst := poisoned(1 << 22)
	for range 2000 {
		pkt, start, o := super(r)
		mtu := []int{0, 576, 1280, 1420, 1500, 9000, 65535}[r.IntN(7)]
		size, n, total, err := Cut(dst, pkt, o, mtu)
		if err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
		got := unpack(t, dst[:min(total+64, len(dst))], size, n, total, mtu)
		equal(t, fmt.Sprintf("%+v", o), got, naiveCut(pkt, start, o))
		for i := range total {
			dst[i] = poison
		}
	}
}

func TestCutPlain(t *testing.T) {
	r := random(t)
	for n := range 1600 {
		s := spec{v6: n%2 == 0, udp: n%3 == 0, payload: make([]byte, n)}
		fill(r, s.payload)
		want := s.build()
		for _, o := range []packet.Offload{{}, {NeedsCsum: true}} {
			pkt := bytes.Clone(want)
			if o.NeedsCsum {
				start := 20
				if s.v6 {
					start = 40
				}
				o = partial(pkt, start, packet.Plain, 0)
			}
			dst := poisoned(2000)
			size, count, total, err := Cut(dst, pkt, o, 1420)
			if err != nil || size != total {
				t.Fatalf("%d bytes: size %d, total %d, %v", n, size, total, err)
			}
			equal(t, fmt.Sprintf("%d bytes, %+v", n, o), unpack(t, dst, size, count, total, 1420), [][]byte{want})
		}
	}
}

// A UDP checksum of zero would say that there is none.
func TestCutNeverMakesAZeroUDPChecksum(t *testing.T) {
	r := random(t)
	for _, kind := range []packet.Kind{packet.Plain, packet.UDP} {
		s := spec{udp: true, payload: make([]byte, 64)}
		fill(r, s.payload)
		pkt := s.build()
		check := binary.BigEndian.Uint16(pkt[26:])
		// Adding the checksum to the data makes the sum all ones.
		word := uint32(binary.BigEndian.Uint16(s.payload)) + uint32(check)
		binary.BigEndian.PutUint16(s.payload, uint16(word)+uint16(word>>16))
		pkt = s.build()
		if got := binary.BigEndian.Uint16(pkt[26:]); got != 0xffff {
			t.Fatalf("the packet has checksum %#x, want 0xffff", got)
		}
		want := bytes.Clone(pkt)
		o := partial(pkt, 20, kind, 64)
		dst := make([]byte, 2000)
		if _, _, _, err := Cut(dst, pkt, o, 0); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(dst[16:16+len(want)], want) {
			t.Errorf("kind %d: checksum %#x, want 0xffff", kind, dst[16+26:16+28])
		}
	}
}

// P21, P22, B85.
func TestPad(t *testing.T) {
	for _, mtu := range []int{-1, 0, 1, 67, 68, 576, 1280, 1420, 1500, 65535} {
		for n := range 3000 {
			got := Pad(n, mtu)
			// [K] send.c, calculate_skb_padding, in its own words.
			last := n
			if mtu > 0 && last > mtu {
				last %= mtu
			}
			padded := (last + 15) / 16 * 16
			if mtu > 0 && padded > mtu {
				padded = mtu
			}
			if want := n + padded - last; got != want {
				t.Fatalf("Pad(%d, %d) = %d, want %d", n, mtu, got, want)
			}
			if got < n || got >= n+16 || mtu > 0 && n <= mtu && got > mtu {
				t.Fatalf("Pad(%d, %d) = %d", n, mtu, got)
			}
		}
	}
}

func TestCutRefuses(t *testing.T) {
	tcp := spec{flags: flagACK, payload: make([]byte, 3000)}.build()
	tcp6 := spec{v6: true, flags: flagACK, payload: make([]byte, 3000)}.build()
	udp := spec{udp: true, payload: make([]byte, 3000)}.build()
	o4 := packet.Offload{Kind: packet.TCP4, NeedsCsum: true, Segment: 1000, CsumStart: 20, CsumOffset: 16}
	o6 := packet.Offload{Kind: packet.TCP6, NeedsCsum: true, Segment: 1000, CsumStart: 40, CsumOffset: 16}
	ou := packet.Offload{Kind: packet.UDP, NeedsCsum: true, Segment: 1000, CsumStart: 20, CsumOffset: 6}
	offset := bytes.Clone(tcp)
	offset[32] = 0x40
	beyond := spec{flags: flagACK, payload: make([]byte, 10)}.build()
	beyond[32] = 0xf0
	change := func(o packet.Offload, f func(o *packet.Offload)) packet.Offload { f(&o); return o }
	cases := []struct {
		name string
		pkt  []byte
		o    packet.Offload
	}{
		{"nothing", nil, o4},
		{"header only", tcp[:20], o4},
		{"cut off", tcp[:2000], o4},
		{"trailing bytes", append(bytes.Clone(tcp), 0), o4},
		{"cut off 6", tcp6[:2000], o6},
		{"no segment size", tcp, change(o4, func(o *packet.Offload) { o.Segment = 0 })},
		{"wrong family", tcp, o6},
		{"wrong family 6", tcp6, o4},
		{"wrong protocol", tcp, change(ou, func(o *packet.Offload) { o.NeedsCsum = false })},
		{"wrong protocol the other way", udp, change(o4, func(o *packet.Offload) { o.NeedsCsum = false })},
		{"start in the IP header", tcp, change(o4, func(o *packet.Offload) { o.CsumStart = 10 })},
		{"start elsewhere", tcp, change(o4, func(o *packet.Offload) { o.CsumStart = 24 })},
		{"start beyond", tcp6, change(o6, func(o *packet.Offload) { o.CsumStart = 65535 })},
		{"offset elsewhere", tcp, change(o4, func(o *packet.Offload) { o.CsumOffset = 6 })},
		{"tcp header too short", offset, o4},
		{"tcp header beyond the packet", beyond, o4},
		{"no payload", spec{flags: flagACK}.build(), o4},
		{"no payload udp", spec{udp: true}.build(), ou},
		{"plain, sum beyond", tcp[:40], packet.Offload{NeedsCsum: true, CsumStart: 39}},
		{"plain, sum far beyond", tcp[:40], packet.Offload{NeedsCsum: true, CsumStart: 65535, CsumOffset: 65535}},
	}
	dst := make([]byte, 1<<20)
	for _, c := range cases {
		if _, n, _, err := Cut(dst, c.pkt, c.o, 1420); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %d messages, %v, want ErrMalformed", c.name, n, err)
		}
	}
	for _, o := range []packet.Offload{{}, o4} {
		if _, _, _, err := Cut(dst[:1500], tcp, o, 1420); !errors.Is(err, ErrShortBuffer) {
			t.Errorf("%+v into 1500 bytes: %v, want ErrShortBuffer", o, err)
		}
	}
}

// A buffer that does not hold all messages takes them in several steps.
func TestCutterInSteps(t *testing.T) {
	r := random(t)
	for range 200 {
		pkt, start, o := super(r)
		var c Cutter
		if err := c.Reset(pkt, o, Messages(1420)); err != nil {
			t.Fatal(err)
		}
		var got [][]byte
		for !c.Done() {
			dst := poisoned(2000 + r.IntN(10000))
			size, n, total := c.Next(dst)
			if n == 0 {
				t.Fatalf("nothing fits into %d bytes", len(dst))
			}
			got = append(got, unpack(t, dst, size, n, total, 1420)...)
		}
		equal(t, "in steps", got, naiveCut(pkt, start, o))
		if _, n, _ := c.Next(make([]byte, 2000)); n != 0 {
			t.Error("there is more after Done")
		}
	}
}

func TestCutDoesNotAllocate(t *testing.T) {
	pkt, o := bulk(false, 1368, 40)
	dst := make([]byte, 1<<17)
	if allocs := testing.AllocsPerRun(100, func() { Cut(dst, pkt, o, 1420) }); allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

// Z09: anything at all as packet and offload.
func FuzzCut(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		pkt, _, o := super(r)
		f.Add(pkt[:min(len(pkt), 300)], byte(o.Kind), o.NeedsCsum, o.Segment, o.CsumStart, o.CsumOffset, 1420)
	}
	dst := poisoned(1 << 16)
	f.Fuzz(func(t *testing.T, pkt []byte, kind byte, csum bool, segment, start, offset uint16, mtu int) {
		o := packet.Offload{Kind: packet.Kind(kind % 4), NeedsCsum: csum, Segment: segment, CsumStart: start, CsumOffset: offset}
		mtu &= 0xffff
		size, n, total, err := Cut(dst, pkt, o, mtu)
		if err != nil {
			return
		}
		defer copy(dst[:total], poisoned(total))
		if o.Kind == packet.Plain {
			if n != 1 || total != 32+Pad(len(pkt), mtu) {
				t.Fatalf("plain packet of %d: %d messages in %d bytes", len(pkt), n, total)
			}
			return
		}
		at := int(start)
		if !csum {
			var c Cutter
			if err := c.Reset(pkt, o, Layout{}); err != nil {
				t.Fatal(err)
			}
			at = c.transport
		}
		if at > 40 && pkt[0]>>4 == 6 || (o.Kind == packet.UDP) != (pkt[9] == 17 && pkt[0]>>4 == 4 || pkt[6] == 17 && pkt[0]>>4 == 6) {
			return // the oracle does not know chains
		}
		if csum {
			pkt = bytes.Clone(pkt)
			partial(pkt, at, o.Kind, int(o.Segment))
			if _, _, _, err := Cut(dst, pkt, o, mtu); err != nil {
				t.Fatalf("with another checksum: %v", err)
			}
		}
		got := unpack(t, dst[:min(total+64, len(dst))], size, n, total, mtu)
		equal(t, fmt.Sprintf("%+v", o), got, naiveCut(pkt, at, o))
	})
}

// bulk is a super-packet of n segments as a TCP sender makes them.
func bulk(v6 bool, segment, n int) ([]byte, packet.Offload) {
	s := spec{v6: v6, ttl: 64, df: true, seq: 1, ack: 1, flags: flagACK | flagPSH, window: 500, options: make([]byte, 12)}
	s.payload = make([]byte, segment*n)
	pkt := s.build()
	if v6 {
		return pkt, partial(pkt, 40, packet.TCP6, segment)
	}
	return pkt, partial(pkt, 20, packet.TCP4, segment)
}

func BenchmarkCut(b *testing.B) {
	for _, c := range []struct {
		name    string
		v6      bool
		segment int
		n       int
	}{{"tcp4/1368x1", false, 1368, 1}, {"tcp4/1368x29", false, 1368, 29}, {"tcp4/1368x46", false, 1368, 46}, {"tcp6/1348x47", true, 1348, 47}, {"tcp4/200x100", false, 200, 100}} {
		b.Run(c.name, func(b *testing.B) {
			pkt, o := bulk(c.v6, c.segment, c.n)
			dst := make([]byte, 1<<17)
			b.SetBytes(int64(len(pkt)))
			for b.Loop() {
				Cut(dst, pkt, o, 1420)
			}
		})
	}
	b.Run("plain", func(b *testing.B) {
		pkt := spec{udp: true, payload: make([]byte, 64)}.build()
		dst := make([]byte, 1<<17)
		b.SetBytes(int64(len(pkt)))
		for b.Loop() {
			Cut(dst, pkt, packet.Offload{}, 1420)
		}
	})
}
