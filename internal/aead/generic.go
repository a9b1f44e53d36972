package aead

import (
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
)

// The plain twin: RFC 8439 as it is written, section by section. Faster kernels
// are compared with it. It has no branch and no index that depends on a key or
// on contents.

func sealGeneric(k *Key, r *Run) {
	for i, m := range r.Messages {
		text, tag := m[:len(m)-Overhead], m[len(m)-Overhead:]
		c := newChaCha(&k.k, r.Counters[i])
		oneTime := c.oneTimeKey()
		c.xor(text)
		want := authenticate(&oneTime, text)
		copy(tag, want[:])
		clear(oneTime[:])
		clear(c[:])
	}
}

func openGeneric(k *Key, r *Run) {
	for i, m := range r.Messages {
		if len(m) < Overhead {
			r.OK[i] = false
			continue
		}
		text, tag := m[:len(m)-Overhead], m[len(m)-Overhead:]
		c := newChaCha(&k.k, r.Counters[i])
		oneTime := c.oneTimeKey()
		want := authenticate(&oneTime, text)
		r.OK[i] = subtle.ConstantTimeCompare(tag, want[:]) == 1
		if r.OK[i] {
			c.xor(text)
		} else {
			clear(text)
		}
		clear(oneTime[:])
		clear(c[:])
	}
}

// RFC 8439 2.3: the state as 16 words: four constants, eight words of key, the
// block counter, three words of nonce.
type chaCha [16]uint32

// newChaCha returns the state for block 0. The nonce is that of the package: 32
// bits of zeros and the counter.
func newChaCha(key *[32]byte, counter uint64) (s chaCha) {
	s[0], s[1], s[2], s[3] = 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574
	for i := range 8 {
		s[4+i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	s[14], s[15] = uint32(counter), uint32(counter>>32)
	return s
}

// RFC 8439 2.1
func quarterRound(a, b, c, d uint32) (uint32, uint32, uint32, uint32) {
	a += b
	d = bits.RotateLeft32(d^a, 16)
	c += d
	b = bits.RotateLeft32(b^c, 12)
	a += b
	d = bits.RotateLeft32(d^a, 8)
	c += d
	b = bits.RotateLeft32(b^c, 7)
	return a, b, c, d
}

// RFC 8439 2.3.1: block writes the key stream of one block and counts it.
func (s *chaCha) block(out *[64]byte) {
	x := *s
	for range 10 {
		x[0], x[4], x[8], x[12] = quarterRound(x[0], x[4], x[8], x[12])
		x[1], x[5], x[9], x[13] = quarterRound(x[1], x[5], x[9], x[13])
		x[2], x[6], x[10], x[14] = quarterRound(x[2], x[6], x[10], x[14])
		x[3], x[7], x[11], x[15] = quarterRound(x[3], x[7], x[11], x[15])
		x[0], x[5], x[10], x[15] = quarterRound(x[0], x[5], x[10], x[15])
		x[1], x[6], x[11], x[12] = quarterRound(x[1], x[6], x[11], x[12])
		x[2], x[7], x[8], x[13] = quarterRound(x[2], x[7], x[8], x[13])
		x[3], x[4], x[9], x[14] = quarterRound(x[3], x[4], x[9], x[14])
	}
	for i := range x {
		binary.LittleEndian.PutUint32(out[4*i:], x[i]+s[i])
	}
	s[12]++
}

// RFC 8439 2.4: xor encrypts or decrypts text.
func (s *chaCha) xor(text []byte) {
	var stream [64]byte
	for len(text) > 0 {
		s.block(&stream)
		text = text[subtle.XORBytes(text, text, stream[:]):]
	}
	clear(stream[:])
}

// RFC 8439 2.6: the one-time key is the first half of block 0; the text begins
// with block 1.
func (s *chaCha) oneTimeKey() (key [32]byte) {
	var stream [64]byte
	s.block(&stream)
	copy(key[:], stream[:])
	clear(stream[:])
	return key
}

// RFC 8439 2.8 without additional data: authenticate returns the tag over the
// text, padded to whole blocks, and a block with the two lengths.
func authenticate(oneTime *[32]byte, text []byte) [16]byte {
	p, n := newPoly(oneTime), len(text)
	for ; len(text) >= 16; text = text[16:] {
		p.block((*[16]byte)(text))
	}
	var last [16]byte
	if len(text) > 0 {
		copy(last[:], text)
		p.block(&last)
	}
	last = [16]byte{}
	binary.LittleEndian.PutUint64(last[8:], uint64(n))
	p.block(&last)
	return p.tag()
}

// RFC 8439 2.5: the accumulator h, kept below 2p for p = 2^130 - 5 between
// blocks, and the two halves of the one-time key.
type poly struct {
	h0, h1, h2 uint64
	r0, r1     uint64
	s0, s1     uint64
}

func newPoly(oneTime *[32]byte) (p poly) {
	// RFC 8439 2.5.1: r &= 0x0ffffffc0ffffffc0ffffffc0fffffff
	p.r0 = binary.LittleEndian.Uint64(oneTime[0:]) & 0x0ffffffc0fffffff
	p.r1 = binary.LittleEndian.Uint64(oneTime[8:]) & 0x0ffffffc0ffffffc
	p.s0 = binary.LittleEndian.Uint64(oneTime[16:])
	p.s1 = binary.LittleEndian.Uint64(oneTime[24:])
	return p
}

// block does h = (h + block + 2^128) * r mod p.
func (p *poly) block(b *[16]byte) {
	h0, carry := bits.Add64(p.h0, binary.LittleEndian.Uint64(b[0:]), 0)
	h1, carry := bits.Add64(p.h1, binary.LittleEndian.Uint64(b[8:]), carry)
	h2 := p.h2 + 1 + carry

	// The product in four words, column by column. h2 is at most 6 and r0 and
	// r1 are below 2^60, so that h2*r0, h2*r1 and the sums of high words fit
	// into one word each.
	high, t0 := bits.Mul64(h0, p.r0)
	high01, low01 := bits.Mul64(h0, p.r1)
	high10, low10 := bits.Mul64(h1, p.r0)
	high11, low11 := bits.Mul64(h1, p.r1)
	t1, carry := bits.Add64(low01, low10, 0)
	t2, carry := bits.Add64(high01+high10, low11, carry)
	t3 := high11 + carry
	t1, carry = bits.Add64(t1, high, 0)
	t2, carry = bits.Add64(t2, h2*p.r0, carry)
	t3 += h2*p.r1 + carry

	// 2^130 is 5 mod p: what is above bit 130, q, is added five times, as 4q,
	// which needs no shift, and q.
	q0, q1 := t2&^3, t3
	p.h0, carry = bits.Add64(t0, q0, 0)
	p.h1, carry = bits.Add64(t1, q1, carry)
	p.h2 = t2&3 + carry
	p.h0, carry = bits.Add64(p.h0, q0>>2|q1<<62, 0)
	p.h1, carry = bits.Add64(p.h1, q1>>2, carry)
	p.h2 += carry
}

// tag returns h mod p + s mod 2^128 and erases p.
func (p *poly) tag() (tag [16]byte) {
	g0, borrow := bits.Sub64(p.h0, 1<<64-5, 0)
	g1, borrow := bits.Sub64(p.h1, 1<<64-1, borrow)
	_, borrow = bits.Sub64(p.h2, 3, borrow)
	below := -borrow // all ones if h < p
	h0 := p.h0&below | g0&^below
	h1 := p.h1&below | g1&^below
	h0, carry := bits.Add64(h0, p.s0, 0)
	h1, _ = bits.Add64(h1, p.s1, carry)
	binary.LittleEndian.PutUint64(tag[0:], h0)
	binary.LittleEndian.PutUint64(tag[8:], h1)
	*p = poly{}
	return tag
}
