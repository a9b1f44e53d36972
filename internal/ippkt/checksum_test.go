package ippkt

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

func TestSumAgreesWithRFC1071(t *testing.T) {
	r := random(t)
	for n := range 400 {
		src := make([]byte, n+8)
		fill(r, src)
		for shift := range 8 {
			b := src[shift : shift+n]
			if got, want := Sum(b).Fold(), naiveSum(b); got != want {
				t.Fatalf("sum of %d bytes at %d = %#x, want %#x", n, shift, got, want)
			}
		}
	}
	// RFC 1071 3.
	if got := Sum([]byte{0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7}).Fold(); got != 0xddf2 {
		t.Errorf("sum of the example = %#x, want 0xddf2", got)
	}
}

func TestSumCarriesAround(t *testing.T) {
	for n := range 300 {
		b := bytes.Repeat([]byte{0xff}, n)
		if got, want := Sum(b).Fold(), naiveSum(b); got != want {
			t.Fatalf("sum of %d ones = %#x, want %#x", n, got, want)
		}
	}
	if got := Partial(0).Add(^Partial(0)).Add(^Partial(0)).Fold(); got != 0xffff {
		t.Errorf("sum of ones = %#x, want 0xffff", got)
	}
}

func TestCopySumCopiesAndSums(t *testing.T) {
	r := random(t)
	for n := range 400 {
		src := make([]byte, n)
		fill(r, src)
		dst := bytes.Repeat([]byte{0xdb}, n+3)
		if got, want := CopySum(dst, src).Fold(), naiveSum(src); got != want {
			t.Fatalf("sum of %d bytes = %#x, want %#x", n, got, want)
		}
		if !bytes.Equal(dst[:n], src) || !bytes.Equal(dst[n:], []byte{0xdb, 0xdb, 0xdb}) {
			t.Fatalf("copy of %d bytes is wrong or wrote too far", n)
		}
	}
}

func TestPartialsAdd(t *testing.T) {
	r := random(t)
	b := make([]byte, 64)
	fill(r, b)
	want := naiveSum(b)
	got := Sum(b[:20]).Add(Sum(b[20:])).Fold()
	if got != want {
		t.Errorf("sum of two halves = %#x, want %#x", got, want)
	}
	got = Sum(b[:58]).Add16(binary.BigEndian.Uint16(b[58:])).Add32(binary.BigEndian.Uint32(b[60:])).Fold()
	if got != want {
		t.Errorf("sum with numbers added = %#x, want %#x", got, want)
	}
}

func TestPseudoHeader(t *testing.T) {
	want := naiveSum([]byte{10, 0, 0, 1, 192, 0, 2, 9, 0, 17, 0x12, 0x34})
	if got := PseudoHeader(netip.AddrFrom4(a4), netip.AddrFrom4(b4), ProtoUDP, 0x1234).Fold(); got != want {
		t.Errorf("IPv4: %#x, want %#x", got, want)
	}
	bytes6 := append(append(append([]byte{}, a6[:]...), b6[:]...), 0, 1, 0x23, 0x45, 0, 0, 0, 6)
	if got := PseudoHeader(netip.AddrFrom16(a6), netip.AddrFrom16(b6), ProtoTCP, 0x12345).Fold(); got != naiveSum(bytes6) {
		t.Errorf("IPv6: %#x, want %#x", got, naiveSum(bytes6))
	}
}

func TestUpdateEqualsRecomputation(t *testing.T) {
	r := random(t)
	for range 10000 {
		b := make([]byte, 20)
		fill(r, b)
		b[0] = 0x45
		at := 2 * r.IntN(10)
		sum := ^naiveSum(b)
		was := binary.BigEndian.Uint16(b[at:])
		is := uint16(r.Uint32())
		binary.BigEndian.PutUint16(b[at:], is)
		if at == 0 && is == 0 {
			continue
		}
		if got, want := Update(sum, was, is), ^naiveSum(b); got != want && naiveSum(b) != 0 {
			t.Fatalf("%#x: word %d from %#x to %#x: %#x, want %#x", b, at, was, is, got, want)
		}
	}
}

func TestChecksumsDoNotAllocate(t *testing.T) {
	src, dst := make([]byte, 1500), make([]byte, 1500)
	allocs := testing.AllocsPerRun(100, func() {
		CopySum(dst, src)
		Checksum(src)
		PseudoHeader(netip.AddrFrom16(a6), netip.AddrFrom16(b6), ProtoTCP, 1)
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}
