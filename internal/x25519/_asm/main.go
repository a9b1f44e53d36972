// Command _asm writes the AVX-512 IFMA kernel of package x25519.
//
// The ladder of RFC 7748, section 5, has ten multiplications in a step, and no
// more than three of them have to wait for each other. So a vector holds the
// four coordinates of one ladder, and those of a second one beside it:
//
//	lane   0  1  2  3    4  5  6  7
//	       x2 z2 x3 z3   the same of the second ladder
//
// A field element is five limbs of 51 bits, each in a vector of its own, so that
// five vectors are eight elements. Between the rounds of a step limbs are in one
// of two forms:
//
//	tight  less than 2^51 + 2^18: what a multiplication takes, which sees
//	       52 bits of a limb
//	wide   less than 2^62: what a multiplication gives, before its carries
//
// Sums and differences are taken of wide limbs and then carried once, which
// saves a carry for each. Of tight factors a multiplication gives less than
// 125 times 2^52 in each limb, which is less than 2^59: column 0 has one low half
// of less than 2^52, and 19 times four low halves and five high halves, which
// count twice and are less than 2^50. With one factor of 52 bits, as in lane 0 of
// round 3, it is 172 times 2^52, and less than 2^60 + 2^58 with S² added.
//
// A round is one multiplication of vectors:
//
//	1  (A B C D) (A B B A)         A, B = x2 ± z2; C, D = x3 ± z3
//	2  (S E P M) (S a P x1)        S, E = AA ± BB; P, M = CB ± DA; a = 486662
//	3  (E E P M) (-E 2S+aE P x1 M)
//
// and with S² of round 2 added these are the new coordinates, those of the first
// point times four, which changes nothing of x2 / z2:
//
//	4 x2 = S² - E²      as 4 AA BB = (AA + BB)² - (AA - BB)²
//	4 z2 = E (2S + aE)  as a24 = (a - 2) / 4
//	x3   = P²
//	z3   = x1 M²
//
// Registers:
//
//	Z0  - Z4   a, the first factor; and what a carry gives
//	Z5  - Z9   b, the second factor
//	Z10 - Z18  low halves of the products, columns 0 to 8
//	Z19 - Z27  high halves of the products, columns 0 to 8
//	Z28        2^51 - 1
//	Z29        19
//	Z30        the bits of the scalars, the next one on top
//	Z31        not used
//	K1         the odd lanes
//	K2         the even lanes
//	K3         lane 1 of each ladder
//	K4         lane 0 of each ladder
//	K5         lanes 0 and 1 of ladders whose points are swapped in this step
//	K6         the same, and lanes 2 and 3 of both
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// limbs of a field element.
const limbs = 5

var zmm = [32]VecPhysical{
	Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
	Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
}

var (
	a    = zmm[0:5]
	b    = zmm[5:10]
	low  = zmm[10:19]
	high = zmm[19:28]
	mask = Z28
	c19  = Z29
	bits = Z30

	odd   = K1
	even  = K2
	one   = K3
	zero  = K4
	swapA = K5
	swapB = K6
)

// Where things are in a pair, the two ladders of a vector. The Go side has a
// struct of the same form.
const (
	vector      = 64
	coordinates = 0                          // wide
	constants   = coordinates + limbs*vector // a in lane 1, x1 in lane 3
	scalars     = constants + limbs*vector   // one vector for each 64 bits
	squares     = scalars + 4*vector         // what round 2 gives: S² in lane 0
	sums        = squares + limbs*vector     // the factor (S E P M), if there are two pairs
	wides       = sums + limbs*vector        // between rounds, if there are two pairs
	pairSize    = wides + limbs*vector
)

func main() {
	ConstraintExpr("!purego")
	tables()
	ladder("ladderOne", 1)
	ladder("ladderTwo", 2)
	quotient()
	Generate()
}

var mask51, nineteen, bit0, twiceP0, twiceP1, multiple0, multiple, points Mem

// tables are the constants, all public.
func tables() {
	word := func(name string, v uint64) Mem {
		m := GLOBL(name, RODATA|NOPTR)
		DATA(0, U64(v))
		return m
	}
	vector := func(name string, v [8]uint64) Mem {
		m := GLOBL(name, RODATA|NOPTR)
		for i, l := range v {
			DATA(8*i, U64(l))
		}
		return m
	}
	mask51 = word("mask51", 1<<51-1)
	nineteen = word("nineteen", 19)
	bit0 = word("bit0", 1)
	twiceP0 = word("twiceP0", (1<<51-19)<<1)
	twiceP1 = word("twiceP1", (1<<51-1)<<1)
	// 2^9 p, limb by limb: more than a wide limb that is subtracted from it.
	multiple0 = word("multiple0", (1<<51-19)<<9)
	multiple = word("multiple", (1<<51-1)<<9)
	points = vector("points", [8]uint64{1, 1, 0, 0, 1, 1, 0, 0})
}

// load sets the registers that do not change.
func load() {
	VPBROADCASTQ(mask51, mask)
	VPBROADCASTQ(nineteen, c19)
	t := GP64()
	for _, k := range []struct {
		lanes uint64
		k     OpmaskPhysical
	}{{0xaa, odd}, {0x55, even}, {0x22, one}, {0x11, zero}} {
		MOVQ(U32(k.lanes), t)
		KMOVB(t.As32(), k.k)
	}
}

// erase overwrites all registers that held secrets.
func erase() {
	for _, z := range zmm {
		VPXORQ(z, z, z)
	}
	VZEROUPPER()
}

// ladder defines a function that makes steps of the ladder for one or two
// pairs. Two are worked on by turns, round by round: while one waits for the
// last carries of a round the processor begins the other's.
//
//	func ladderOne(p *pair, word, steps uint64)
func ladder(name string, pairs int) {
	TEXT(name, NOSPLIT|NOFRAME, "func(p *uint64, word, steps uint64)")
	Doc(name + " makes steps of the ladders of p, with the bits in a word of their scalars.")
	p := Load(Param("p"), GP64())
	word := Load(Param("word"), GP64())
	steps := Load(Param("steps"), GP64())
	SHLQ(Imm(6), word)
	load()
	if pairs == 1 {
		VMOVDQU64(Mem{Base: p, Index: word, Scale: 1, Disp: scalars}, bits)
		reload(p, coordinates, low[:limbs])
	}
	Label("step")
	for _, stage := range []func(at at){first, second, third} {
		for i := range pairs {
			q := at{p: p, word: word, offset: i * pairSize, multiply: separate}
			if pairs > 1 {
				q.shared, q.multiply = true, joined
			}
			stage(q)
		}
	}
	DECQ(steps)
	JNZ(LabelRef("step"))
	if pairs == 1 {
		spill(p, coordinates, low[:limbs])
	}
	erase()
	RET()
}

// at is a pair in memory. If it is not the only one, what one round leaves to
// the next is there too.
type at struct {
	p        Register
	word     Register
	offset   int
	shared   bool
	multiply multiplication
}

func reload(p Register, offset int, to []VecPhysical) {
	for i, z := range to {
		VMOVDQU64(Mem{Base: p, Disp: offset + i*vector}, z)
	}
}

func spill(p Register, offset int, from []VecPhysical) {
	for i, z := range from {
		VMOVDQU64(z, Mem{Base: p, Disp: offset + i*vector})
	}
}

// first is round 1. The conditional swap goes into the choice of lanes: with the
// points swapped, CB is AD and DA is BC, so that only lanes 0 and 1 differ.
func first(q at) {
	if q.shared {
		reload(q.p, q.offset+coordinates, low[:limbs])
		m := Mem{Base: q.p, Index: q.word, Scale: 1, Disp: q.offset + scalars}
		VMOVDQU64(m, bits)
		VPROLQ(Imm(1), bits, bits)
		VMOVDQU64(bits, m)
	} else {
		VPROLQ(Imm(1), bits, bits)
	}
	VPTESTMQ(points, bits, swapA)
	VPTESTMQ_BCST(bit0, bits, swapB)
	butterfly()
	carry()
	for n := range limbs {
		VMOVDQA64(a[n], b[n])
		VPERMQ(lanes(2, 3, 1, 0), a[n], swapB, b[n])
		VPERMQ(lanes(2, 3, 1, 0), a[n], swapA, a[n])
	}
	q.multiply(nil)
	if q.shared {
		spill(q.p, q.offset+wides, low[:limbs])
	}
}

// lanes is the immediate with which VPERMQ takes these lanes of each ladder.
func lanes(a, b, c, d uint8) Constant { return Imm(uint64(a | b<<2 | c<<4 | d<<6)) }

// second is round 2.
func second(q at) {
	if q.shared {
		reload(q.p, q.offset+wides, low[:limbs])
	}
	butterfly()
	reload(q.p, q.offset+constants, b)
	carry(even)
	if q.shared {
		spill(q.p, q.offset+sums, a)
	}
	q.multiply(func(n int, x, temporary VecPhysical) {
		VPSHUFD(Imm(0x4e), a[n], temporary)
		VPADDQ(temporary, temporary, temporary)
		VPADDQ(temporary, x, one, x) // aE becomes 2S + aE
	})
	spill(q.p, q.offset+squares, low[:limbs])
}

// third is round 3. Its result is the coordinates after the step.
func third(q at) {
	if q.shared {
		reload(q.p, q.offset+squares, low[:limbs])
		reload(q.p, q.offset+sums, a)
	}
	for n := range limbs {
		// E E P M, and of the other factor -E and P: 2p - E has no limb of
		// more than 52 bits.
		VPERMQ(lanes(1, 1, 2, 3), a[n], a[n])
		VMOVDQA64(a[n], b[n])
		VPBROADCASTQ(twiceP(n), high[n])
		VPSUBQ(a[n], high[n], zero, b[n])
	}
	for n := range limbs {
		VPSRLQ(Imm(51), low[n], high[n])
		VPANDQ(mask, low[n], odd, b[n])
	}
	VPMADD52LUQ(c19, high[limbs-1], odd, b[0])
	for n := range limbs - 1 {
		VPADDQ(high[n], b[n+1], odd, b[n+1])
	}
	q.multiply(func(n int, x, temporary VecPhysical) {
		VPADDQ(Mem{Base: q.p, Disp: q.offset + squares + n*vector}, x, zero, x) // S² - E²
	})
	if q.shared {
		spill(q.p, q.offset+coordinates, low[:limbs])
	}
}

// butterfly makes of wide (s t u v) the sums and differences
// (s+t s-t u+v u-v), in place.
func butterfly() {
	m0, m := high[7], high[8]
	VPBROADCASTQ(multiple0, m0)
	VPBROADCASTQ(multiple, m)
	for _, n := range []int{4, 0, 1, 2, 3} {
		s := high[n]
		VPSHUFD(Imm(0x4e), low[n], s)
		if n == 0 {
			VPSUBQ(low[n], m0, odd, low[n])
		} else {
			VPSUBQ(low[n], m, odd, low[n])
		}
		VPADDQ(s, low[n], low[n])
	}
}

// carry makes wide limbs tight: low to a, and those lanes of b that are in the
// mask, if there is one. What leaves the top comes in at the bottom, times 19,
// as 2^255 = 19.
func carry(copied ...Op) {
	for _, n := range []int{4, 0, 1, 2, 3} {
		VPSRLQ(Imm(51), low[n], high[n])
	}
	for n := range limbs {
		VPANDQ(mask, low[n], a[n])
	}
	for _, k := range copied {
		VMOVDQA64(a[0], k, b[0])
		VPMADD52LUQ(c19, high[limbs-1], k, b[0])
	}
	VPMADD52LUQ(c19, high[limbs-1], a[0])
	for n := range limbs - 1 {
		for _, k := range copied {
			VPADDQ(high[n], a[n+1], k, b[n+1])
		}
		VPADDQ(high[n], a[n+1], a[n+1])
	}
}

// multiplication sets low[0:5] to a b, wide: separate or joined.
type multiplication func(more func(n int, x, temporary VecPhysical))

// separate is the multiplication that is over first. Of one factor all limbs are tight; those of
// the other have no more than 52 bits. more, if there is one, adds to limbs of the
// product; it has a register for each.
//
// Column k collects what has the weight 2^51k. The processor gives the low and
// the high 52 bits of each product, and the high ones have twice the weight of
// the next column.
func separate(more func(n int, x, temporary VecPhysical)) {
	clearColumns()
	// Limb 0 comes last out of a carry, so its products are added last. Before
	// them is what is needed first: the columns from 5 on, that are folded.
	for _, late := range []bool{false, true} {
		for _, part := range []func(column int, isHigh bool) bool{upper, lowerHigh, lowerLow} {
			products(part, late)
			if late && part(8, true) {
				fold()
			}
		}
	}
	finish(more)
}

func clearColumns() {
	for k := range low {
		VPXORQ(low[k], low[k], low[k])
		VPXORQ(high[k], high[k], high[k])
	}
}

// The parts of a product, from that which is needed first to the last.
func upper(column int, isHigh bool) bool     { return column >= limbs || isHigh && column == limbs-1 }
func lowerHigh(column int, isHigh bool) bool { return isHigh && !upper(column, isHigh) }
func lowerLow(column int, isHigh bool) bool  { return !isHigh && !upper(column, isHigh) }

// products adds a part of the products, those with a limb 0 or those without.
func products(part func(column int, isHigh bool) bool, withZero bool) {
	for i := range limbs {
		for j := range limbs {
			if (i == 0 || j == 0) != withZero {
				continue
			}
			if part(i+j, true) {
				VPMADD52HUQ(b[j], a[i], high[i+j])
			}
			if part(i+j, false) {
				VPMADD52LUQ(b[j], a[i], low[i+j])
			}
		}
	}
}

// fold brings the columns from 5 on down to high[4:9], for the columns from 0 on:
// 2^255 = 19.
func fold() {
	for k := range limbs {
		h := high[k+limbs-1]
		VPADDQ(h, h, h)
		if k+limbs < len(low) {
			VPADDQ(low[k+limbs], h, h)
		}
		VPMULLQ(c19, h, h)
	}
}

// finish adds up the columns.
func finish(more func(n int, x, temporary VecPhysical)) {
	for k := range limbs {
		x := high[k+limbs-1]
		if more != nil {
			more(k, x, low[limbs+k%4])
		}
		if k > 0 {
			VPADDQ(high[k-1], high[k-1], high[k-1])
			VPADDQ(high[k-1], x, x)
		}
	}
	for k := range limbs {
		VPADDQ(high[k+limbs-1], low[k], low[k])
	}
}

// joined is the multiplication with the fewest instructions, for when there is
// something else to do while one waits for another: a column of low halves goes
// on from the one of high halves that it would be added to.
func joined(more func(n int, x, temporary VecPhysical)) {
	for _, z := range append([]VecPhysical{low[0]}, high...) {
		VPXORQ(z, z, z)
	}
	highs := func(_ int, isHigh bool) bool { return isHigh }
	products(highs, false)
	products(highs, true)
	for _, k := range []int{4, 5, 6, 7, 0, 1, 2, 3} {
		VPADDQ(high[k], high[k], low[k+1])
	}
	VPADDQ(high[8], high[8], high[8]) // column 9 has no low halves
	upperLow := func(column int, isHigh bool) bool { return !isHigh && column >= limbs }
	products(upperLow, false)
	products(lowerLow, false)
	products(upperLow, true)
	upper := append(low[limbs:len(low):len(low)], high[8])
	for _, x := range upper {
		VPMULLQ(c19, x, x)
	}
	products(lowerLow, true)
	for k, x := range upper {
		if more != nil {
			more(k, x, high[k])
		}
		VPADDQ(x, low[k], low[k])
	}
}

// square sets low[0:5] to a a, wide. Each product of two limbs is made once and
// doubled.
func square() {
	clearColumns()
	for _, part := range []func(column int, isHigh bool) bool{upper, lowerHigh, lowerLow} {
		for k := range low {
			pairsOf(k, func(i, j int) {
				if part(k, true) && i < j {
					VPMADD52HUQ(a[j], a[i], high[k])
				}
				if part(k, false) && i < j {
					VPMADD52LUQ(a[j], a[i], low[k])
				}
			})
		}
		for k := 1; k < len(low)-1; k++ {
			if part(k, true) {
				VPADDQ(high[k], high[k], high[k])
			}
			if part(k, false) {
				VPADDQ(low[k], low[k], low[k])
			}
		}
		for i := range limbs {
			if part(2*i, true) {
				VPMADD52HUQ(a[i], a[i], high[2*i])
			}
			if part(2*i, false) {
				VPMADD52LUQ(a[i], a[i], low[2*i])
			}
		}
		if part(8, true) {
			fold()
		}
	}
	finish(nil)
}

// pairsOf calls f for the pairs of limbs whose product is in a column.
func pairsOf(column int, f func(i, j int)) {
	for i := range limbs {
		if j := column - i; j >= 0 && j < limbs {
			f(i, j)
		}
	}
}

func twiceP(limb int) Mem {
	if limb == 0 {
		return twiceP0
	}
	return twiceP1
}
