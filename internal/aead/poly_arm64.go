//go:build !purego

package aead

import (
	"encoding/binary"
	"math/bits"
)

const polySize = 16 // of a block

// accumulator is that of RFC 8439 2.5 on its way: h in radix 2^64, less
// than 2^130 + 2^64 between blocks, and r.
//
// Multiplied are h = h0 + h1 2^64 + h2 2^128 and r = r0 + r1 2^64 modulo
// p = 2^130 - 5. Clamping makes r1 divisible by four, so that
// r1 2^128 = r1/4 2^130 = 5 r1/4 modulo p, which is the number s1 here:
//
//	h r = h0 r0 + h1 s1 + (h0 r1 + h1 r0 + h2 s1) 2^64 + h2 r0 2^128
type accumulator struct {
	h0, h1, h2 uint64
	r0, r1, s1 uint64
}

// reset begins with the first half of a one-time key.
//
// hot path
func (p *accumulator) reset(key *keystream) {
	r0 := binary.LittleEndian.Uint64(key[0:8]) & 0x0ffffffc0fffffff
	r1 := binary.LittleEndian.Uint64(key[8:16]) & 0x0ffffffc0ffffffc
	*p = accumulator{r0: r0, r1: r1, s1: r1 + r1>>2}
}

// addBlock adds a block of 16 bytes, as two words, and the bit above them. h2
// is at most 4 before and 6 afterwards.
func addBlock(h0, h1, h2, low, high uint64) (uint64, uint64, uint64) {
	h0, c := bits.Add64(h0, low, 0)
	h1, c = bits.Add64(h1, high, c)
	h2, _ = bits.Add64(h2, 1, c)
	return h0, h1, h2
}

// products returns a b + c d, where b and d are parts of r and so small that
// the sum has two words.
func products(a, b, c, d uint64) (high, low uint64) {
	high, low = bits.Mul64(a, b)
	h, l := bits.Mul64(c, d)
	low, carry := bits.Add64(low, l, 0)
	high, _ = bits.Add64(high, h, carry)
	return high, low
}

// reduce adds the products up, less than 2^63 2^128, and brings what is above
// 2^130 down, times five. h2 is at most 4 then.
func reduce(high0, low0, high1, low1, h2s1, h2r0 uint64) (h0, h1, h2 uint64) {
	h1, c := bits.Add64(low1, h2s1, 0)
	h2, _ = bits.Add64(high1, h2r0, c)
	h1, c = bits.Add64(h1, high0, 0)
	h2, _ = bits.Add64(h2, 0, c)

	h0, c = bits.Add64(low0, h2&^3+h2>>2, 0)
	h1, c = bits.Add64(h1, 0, c)
	h2, _ = bits.Add64(h2&3, 0, c)
	return h0, h1, h2
}

// absorb takes whole blocks.
//
// hot path
func (p *accumulator) absorb(b []byte) {
	h0, h1, h2 := p.h0, p.h1, p.h2
	r0, r1, s1 := p.r0, p.r1, p.s1
	for i := 0; i <= len(b)-polySize; i += polySize {
		h0, h1, h2 = addBlock(h0, h1, h2, binary.LittleEndian.Uint64(b[i:i+8]), binary.LittleEndian.Uint64(b[i+8:i+16]))
		high0, low0 := products(h0, r0, h1, s1)
		high1, low1 := products(h0, r1, h1, r0)
		h0, h1, h2 = reduce(high0, low0, high1, low1, h2*s1, h2*r0)
	}
	p.h0, p.h1, p.h2 = h0, h1, h2
}

// absorbBoth takes equally many whole blocks of two messages: while one's
// products are waited for, the other's are begun.
//
// hot path
func absorbBoth(p, q *accumulator, a, b []byte) {
	h0, h1, h2 := p.h0, p.h1, p.h2
	g0, g1, g2 := q.h0, q.h1, q.h2
	r0, r1, s1 := p.r0, p.r1, p.s1
	t0, t1, u1 := q.r0, q.r1, q.s1
	b = b[:len(a)]
	for i := 0; i <= len(a)-polySize; i += polySize {
		h0, h1, h2 = addBlock(h0, h1, h2, binary.LittleEndian.Uint64(a[i:i+8]), binary.LittleEndian.Uint64(a[i+8:i+16]))
		g0, g1, g2 = addBlock(g0, g1, g2, binary.LittleEndian.Uint64(b[i:i+8]), binary.LittleEndian.Uint64(b[i+8:i+16]))
		hHigh0, hLow0 := products(h0, r0, h1, s1)
		gHigh0, gLow0 := products(g0, t0, g1, u1)
		hHigh1, hLow1 := products(h0, r1, h1, r0)
		gHigh1, gLow1 := products(g0, t1, g1, t0)
		h0, h1, h2 = reduce(hHigh0, hLow0, hHigh1, hLow1, h2*s1, h2*r0)
		g0, g1, g2 = reduce(gHigh0, gLow0, gHigh1, gLow1, g2*u1, g2*t0)
	}
	p.h0, p.h1, p.h2 = h0, h1, h2
	q.h0, q.h1, q.h2 = g0, g1, g2
}

// finish takes the rest of a text of size bytes and what RFC 8439 2.8 adds to
// it, returns the tag, and erases p.
//
// hot path
func (p *accumulator) finish(key *keystream, rest []byte, size int) (t tag) {
	whole := len(rest) &^ (polySize - 1)
	p.absorb(rest[:whole])
	var last [2 * polySize]byte
	lengths := last[:polySize]
	if whole < len(rest) {
		copy(last[:], rest[whole:])
		lengths = last[polySize:]
	}
	binary.LittleEndian.PutUint64(lengths[8:], uint64(size))
	if whole < len(rest) {
		p.absorb(last[:])
	} else {
		p.absorb(lengths)
	}

	// h may still be p or more: take h - p, which is h + 5 - 2^130, if that
	// has no borrow.
	h0, h1, h2 := p.h0, p.h1, p.h2
	t0, c := bits.Add64(h0, 5, 0)
	t1, c := bits.Add64(h1, 0, c)
	less := (h2+c)>>2 - 1 // all ones if h < p; h is less than 2p
	h0 ^= (h0 ^ t0) &^ less
	h1 ^= (h1 ^ t1) &^ less
	h0, c = bits.Add64(h0, binary.LittleEndian.Uint64(key[16:24]), 0)
	h1, _ = bits.Add64(h1, binary.LittleEndian.Uint64(key[24:32]), c)
	*p = accumulator{}
	return tag{h0, h1}
}

// tag is one as two little-endian words.
type tag [2]uint64

func (t *tag) put(b []byte) {
	binary.LittleEndian.PutUint64(b[0:8], t[0])
	binary.LittleEndian.PutUint64(b[8:16], t[1])
}

// equals compares in constant time.
func (t *tag) equals(b []byte) bool {
	return (binary.LittleEndian.Uint64(b[0:8])^t[0])|(binary.LittleEndian.Uint64(b[8:16])^t[1]) == 0
}
