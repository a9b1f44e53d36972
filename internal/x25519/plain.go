package x25519

import (
	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// basePoint is u = 9. RFC 7748, section 4.1.
var basePoint = [Size]byte{9}

// multiply is the function X25519 of RFC 7748, section 5, step by step and with
// its names.
func multiply(result, scalar, point *[Size]byte) {
	k := *scalar
	clamp(&k)
	var l ladder
	l.begin(point)
	swap := 0
	for t := 254; t >= 0; t-- {
		kt := int(k[t/8]>>(t%8)) & 1
		swap ^= kt
		l.x2.Swap(&l.x3, swap)
		l.z2.Swap(&l.z3, swap)
		swap = kt
		l.step()
	}
	// k_0 is zero, so there is nothing to swap at the end.
	l.z2.Invert(&l.z2)
	copy(result[:], l.x2.Multiply(&l.x2, &l.z2).Bytes())
	wipe(&k)
	wipe(&l)
}

// clamp makes k a multiple of the cofactor, with its highest bit in a fixed
// place.
func clamp(k *[Size]byte) {
	k[0] &= 248
	k[31] = k[31]&127 | 64
}

// ladder is the state between steps, and what a step needs.
type ladder struct {
	x1, x2, z2, x3, z3 field.Element

	a, aa, b, bb, e, c, d, da, cb field.Element
}

func (l *ladder) begin(point *[Size]byte) {
	if _, err := l.x1.SetBytes(point[:]); err != nil { // ignores the highest bit, takes u of p and more
		panic("x25519: 32 bytes refused as a field element")
	}
	l.x2.One()
	l.z2.Zero()
	l.x3.Set(&l.x1)
	l.z3.One()
}

func (l *ladder) step() {
	l.a.Add(&l.x2, &l.z2)
	l.aa.Square(&l.a)
	l.b.Subtract(&l.x2, &l.z2)
	l.bb.Square(&l.b)
	l.e.Subtract(&l.aa, &l.bb)
	l.c.Add(&l.x3, &l.z3)
	l.d.Subtract(&l.x3, &l.z3)
	l.da.Multiply(&l.d, &l.a)
	l.cb.Multiply(&l.c, &l.b)
	l.x3.Square(l.x3.Add(&l.da, &l.cb))
	l.z3.Square(l.z3.Subtract(&l.da, &l.cb))
	l.z3.Multiply(&l.x1, &l.z3)
	l.x2.Multiply(&l.aa, &l.bb)
	l.z2.Mult32(&l.e, 121665)
	l.z2.Add(&l.aa, &l.z2)
	l.z2.Multiply(&l.e, &l.z2)
}

// base multiplies the base point on the twisted Edwards curve, where a table of
// its multiples saves most of the work. RFC 7748, section 4.1, has the map back.
func base(result, scalar *[Size]byte) {
	var s edwards25519.Scalar
	var p edwards25519.Point
	if _, err := s.SetBytesWithClamping(scalar[:]); err != nil {
		panic("x25519: 32 bytes refused as a scalar")
	}
	copy(result[:], p.ScalarBaseMult(&s).BytesMontgomery())
	wipe(&s)
	wipe(&p)
}
