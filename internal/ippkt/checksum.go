package ippkt

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// The Internet checksum of RFC 1071. Its sum does not depend on byte order as
// long as the result is stored in the order it was loaded in, and any number
// of bytes may be added at once; so the loops below add little-endian words of
// 64 bits, carrying around, and Fold turns the result into the 16 bits in wire
// order at the end.

// Partial is an unfolded sum. The zero value is the sum of nothing.
type Partial uint64

// Fold returns the sum in wire order, not yet inverted.
//
// hot path
func (p Partial) Fold() uint16 {
	s := uint64(p)
	s = s>>32 + s&0xffffffff
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return bits.ReverseBytes16(uint16(s))
}

// Add returns the sum of both.
//
// hot path
func (p Partial) Add(q Partial) Partial {
	s, c := bits.Add64(uint64(p), uint64(q), 0)
	return Partial(s + c)
}

// Add16 adds one 16-bit word, given as the number it stands for.
//
// hot path
func (p Partial) Add16(w uint16) Partial {
	return p.Add(Partial(bits.ReverseBytes16(w)))
}

// Add32 adds two 16-bit words, given as the 32-bit number they stand for.
//
// hot path
func (p Partial) Add32(w uint32) Partial {
	return p.Add(Partial(bits.ReverseBytes32(w)))
}

// Sum returns the sum over b, which begins at an even offset of what is summed.
//
// hot path
func Sum(b []byte) Partial {
	if len(b) >= kernelLeast && len(b) < kernelLimit {
		if s, ok := kernels.Get().sum(b); ok {
			return s
		}
	}
	var s, c uint64
	for len(b) >= 64 {
		w := b[:64:64]
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(w[0:8]), 0)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(w[8:16]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(w[16:24]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(w[24:32]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(w[32:40]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(w[40:48]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(w[48:56]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(w[56:64]), c)
		s += c
		b = b[64:]
	}
	for len(b) >= 8 {
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b), 0)
		s += c
		b = b[8:]
	}
	s, c = bits.Add64(s, tail(b), 0)
	return Partial(s + c)
}

// CopySum copies src to dst, which is at least as long, and returns the sum
// over src in the same pass. They must not overlap.
//
// hot path
func CopySum(dst, src []byte) Partial {
	dst = dst[:len(src)]
	if len(src) >= kernelLeast && len(src) < kernelLimit {
		if s, ok := kernels.Get().copySum(dst, src); ok {
			return s
		}
	}
	var s, c uint64
	for len(src) >= 64 && len(dst) >= 64 {
		r, w := src[:64:64], dst[:64:64]
		w0 := binary.LittleEndian.Uint64(r[0:8])
		w1 := binary.LittleEndian.Uint64(r[8:16])
		w2 := binary.LittleEndian.Uint64(r[16:24])
		w3 := binary.LittleEndian.Uint64(r[24:32])
		binary.LittleEndian.PutUint64(w[0:8], w0)
		binary.LittleEndian.PutUint64(w[8:16], w1)
		binary.LittleEndian.PutUint64(w[16:24], w2)
		binary.LittleEndian.PutUint64(w[24:32], w3)
		w4 := binary.LittleEndian.Uint64(r[32:40])
		w5 := binary.LittleEndian.Uint64(r[40:48])
		w6 := binary.LittleEndian.Uint64(r[48:56])
		w7 := binary.LittleEndian.Uint64(r[56:64])
		binary.LittleEndian.PutUint64(w[32:40], w4)
		binary.LittleEndian.PutUint64(w[40:48], w5)
		binary.LittleEndian.PutUint64(w[48:56], w6)
		binary.LittleEndian.PutUint64(w[56:64], w7)
		s, c = bits.Add64(s, w0, 0)
		s, c = bits.Add64(s, w1, c)
		s, c = bits.Add64(s, w2, c)
		s, c = bits.Add64(s, w3, c)
		s, c = bits.Add64(s, w4, c)
		s, c = bits.Add64(s, w5, c)
		s, c = bits.Add64(s, w6, c)
		s, c = bits.Add64(s, w7, c)
		s += c
		src, dst = src[64:], dst[64:]
	}
	for len(src) >= 8 && len(dst) >= 8 {
		w := binary.LittleEndian.Uint64(src)
		binary.LittleEndian.PutUint64(dst, w)
		s, c = bits.Add64(s, w, 0)
		s += c
		src, dst = src[8:], dst[8:]
	}
	copy(dst, src)
	s, c = bits.Add64(s, tail(src), 0)
	return Partial(s + c)
}

// tail returns up to seven bytes as the little-endian word they begin.
func tail(b []byte) uint64 {
	var w uint64
	if len(b) >= 4 {
		w = uint64(binary.LittleEndian.Uint32(b))
		b = b[4:]
		switch len(b) {
		case 1:
			w |= uint64(b[0]) << 32
		case 2:
			w |= uint64(b[0])<<32 | uint64(b[1])<<40
		case 3:
			w |= uint64(b[0])<<32 | uint64(b[1])<<40 | uint64(b[2])<<48
		}
		return w
	}
	switch len(b) {
	case 1:
		w = uint64(b[0])
	case 2:
		w = uint64(b[0]) | uint64(b[1])<<8
	case 3:
		w = uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16
	}
	return w
}

// Checksum returns the Internet checksum over b, ready to be stored.
func Checksum(b []byte) uint16 { return ^Sum(b).Fold() }

// PseudoHeader returns the sum over the pseudo-header of RFC 9293 3.1 or
// RFC 8200 8.1, for a transport packet of size bytes.
func PseudoHeader(src, dst netip.Addr, proto uint8, size int) Partial {
	var s Partial
	if src.Is4() {
		a, b := src.As4(), dst.As4()
		s = Sum(a[:]).Add(Sum(b[:]))
	} else {
		a, b := src.As16(), dst.As16()
		s = Sum(a[:]).Add(Sum(b[:]))
	}
	return s.Add32(uint32(size)).Add16(uint16(proto))
}

// Update returns the checksum after one 16-bit word of what it covers has
// changed, RFC 1624 equation 3.
//
// hot path
func Update(checksum, was, is uint16) uint16 {
	s := uint32(^checksum) + uint32(^was) + uint32(is)
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return ^uint16(s)
}
