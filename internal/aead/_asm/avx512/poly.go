package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The layout of the memory that is kept between calls, in rows of one vector:
// eight lanes of 64 bits. A test compares it with Go's.
const (
	rowOffset = 0  // where the next step reads, relative to the text
	rowLength = 1  // of the text in bytes
	rowEnds   = 2  // all ones in lanes that have the block with the lengths
	rowStride = 3  // one number: how far a step goes
	rowTag    = 4  // two rows: low, high
	rowMasks  = 6  // of bytes, for ragged steps
	rowIndex  = 7  // what to add to the register of a text, for ragged steps
	rowLead   = 8  // words that are missing in front, for ragged steps
	rowH      = 9  // three rows: the accumulator
	rowPowers = 12 // for the four blocks of a step: powers of r, five rows each: r0, r1, r2, 20 r1, 20 r2
	rowLast   = 32 // the same for the last step, if a message has several lanes
	rows      = 52 // in all
)

// The registers of poly1305. Numbers are in radix 2^44, as three limbs of 44,
// 44 and 42 bits, which may be a little larger between steps.
//
//	Z0-Z2     h, the accumulator
//	Z3-Z5     sums of low halves of products, by weight of limb
//	Z6-Z8     sums of high halves, which weigh 2^8 more than the next limb
//	Z9, Z10   masks of 44 and of 42 bits
//	Z11       2^128 in limb 2
//	Z12-Z19   at the beginning of a step 64 bytes for each lane;
//	          then Z12-Z14 the block, Z15-Z19 a power of r
//	Z20-Z27   low and high half of the four blocks
//	Z28-Z31   scratch
//	K1-K4     lanes in which the four blocks are there; K5-K7 scratch
//
//	AX rows, BX CX DX SI DI R8 R9 R10 texts, R11 offset into them,
//	R12 steps left, R13 rows of powers, and scratch
var (
	h          = [3]VecPhysical{Z0, Z1, Z2}
	low        = [3]VecPhysical{Z3, Z4, Z5}
	high       = [3]VecPhysical{Z6, Z7, Z8}
	mask44     = Z9
	mask42     = Z10
	bit128     = Z11
	block      = [3]VecPhysical{Z12, Z13, Z14}
	power      = [5]VecPhysical{Z15, Z16, Z17, Z18, Z19}
	scratch    = [4]VecPhysical{Z28, Z29, Z30, Z31}
	thereMasks = [4]OpmaskPhysical{K1, K2, K3, K4}
	texts      = [8]GPPhysical{RBX, RCX, RDX, RSI, RDI, R8, R9, R10}
)

// row returns row n of the memory.
func row(n int) Mem { return at(RAX, 64*n) }

// poly1305 is RFC 8439 2.5 for eight lanes. A step takes four blocks in each, so
// that h = (h + m0) r^4 + m1 r^3 + m2 r^2 + m3 r, and needs one chain of carries.
// All lanes end with the same step: zero blocks in front of a shorter text,
// without the bit 2^128, leave its h zero. The last block of the last step is
// that with the lengths (2.8).
//
// A message has one lane, or s = 2, 4 or 8 beside each other, when there are few
// messages. These then take turns, 64 bytes each, and r^4 to r^1 become r^4s to
// r^(4s-3), but in the last step: there lane j has r^(4(s-j)) and so on, so that
// the sum of the lanes is h.
func poly1305() {
	TEXT("poly1305AVX512", NOSPLIT, fmt.Sprintf("func(memory *[%d][8]uint64, keys *[4][8]uint64, texts *[8]*byte, split int, ragged int, whole int, ends bool)", rows))
	Doc("poly1305AVX512 takes ragged steps, in which blocks of some messages may be missing, then whole ones,",
		"and if ends is set the last one, and writes tags. A message has 1<<split lanes. It begins anew if keys is not nil.")
	Pragma("noescape")
	Load(Param("memory"), RAX)
	VPBROADCASTQ(limbMasks(), mask44)
	VPBROADCASTQ(limbMasks().Offset(8), mask42)
	VPBROADCASTQ(limbMasks().Offset(16), bit128)
	for i := range h {
		VMOVDQU64(row(rowH+i), h[i])
	}
	Load(Param("keys"), R12)
	TESTQ(R12, R12)
	JZ(LabelRef("poly_going_on"))
	start(R12)
	Label("poly_going_on")

	Load(Param("texts"), R12)
	for i, p := range texts {
		MOVQ(at(R12, 8*i), p)
		ADDQ(row(rowOffset).Offset(8*i), p)
	}
	XORL(R11L, R11L)

	Load(Param("ragged"), R12)
	TESTQ(R12, R12)
	JZ(LabelRef("poly_whole"))
	Label("poly_ragged")
	loadRagged()
	transposeStep()
	LEAQ(row(rowPowers), R13)
	step(true)
	ADDQ(row(rowStride), R11)
	DECQ(R12)
	JNZ(LabelRef("poly_ragged"))

	Label("poly_whole")
	Load(Param("whole"), R12)
	TESTQ(R12, R12)
	JZ(LabelRef("poly_last"))
	LEAQ(row(rowPowers), R13)
	Label("poly_whole_step")
	for i, p := range texts {
		VMOVDQU64(Mem{Base: p, Index: R11, Scale: 1}, z[12+i])
	}
	transposeStep()
	step(false)
	ADDQ(row(rowStride), R11)
	DECQ(R12)
	JNZ(LabelRef("poly_whole_step"))

	Label("poly_last")
	Load(Param("ends"), R12L.As8())
	TESTB(R12L.As8(), R12L.As8())
	JZ(LabelRef("poly_keep"))
	last()

	Label("poly_keep")
	VPBROADCASTQ(R11, scratch[0])
	VPADDQ(row(rowOffset), scratch[0], scratch[0])
	VMOVDQU64(scratch[0], row(rowOffset))
	for i := range h {
		VMOVDQU64(h[i], row(rowH+i))
	}
	VZEROUPPER()
	RET()
}

// last takes the last step and writes the tags.
func last() {
	loadRagged()
	transposeStep()
	VMOVDQU64(row(rowEnds), Z28)
	VPTESTMQ(Z28, Z28, K5)
	VPANDNQ(Z26, Z28, Z26)
	VMOVDQU64(row(rowLength), K5, Z27)
	LEAQ(row(rowPowers), R13)
	Load(Param("split"), R12)
	TESTQ(R12, R12)
	JZ(LabelRef("poly_same_powers"))
	LEAQ(row(rowLast), R13)
	Label("poly_same_powers")
	step(true)

	// The sum of 2, 4 or 8 lanes beside each other.
	sums := []func(from, to Register){
		func(from, to Register) { VPERMQ(Imm(0xb1), from, to) }, // of one within two
		func(from, to Register) { VPERMQ(Imm(0x4e), from, to) },
		func(from, to Register) { VSHUFI64X2(Imm(0x4e), from, from, to) },
	}
	for n, swap := range sums {
		CMPQ(R12, Imm(uint64(n+1)))
		JB(LabelRef("poly_sum"))
		for i := range h {
			swap(h[i], scratch[i])
		}
		for i := range h {
			VPADDQ(scratch[i], h[i], h[i])
		}
	}
	Label("poly_sum")
	finish()
}

// start reads the one-time keys, computes the powers of r and clears h.
func start(keys Register) {
	// RFC 8439 2.5.1
	VMOVDQU64(at(keys, 0), scratch[0])
	VMOVDQU64(at(keys, 64), scratch[1])
	VPANDQ_BCST(clamp(), scratch[0], scratch[0])
	VPANDQ_BCST(clamp().Offset(8), scratch[1], scratch[1])
	limbs(scratch[0], scratch[1], h)
	VPSRLQ(Imm(24), scratch[1], h[2])
	for i := range 2 { // s waits where the tag will be
		VMOVDQU64(at(keys, 64*(2+i)), scratch[0])
		VMOVDQU64(scratch[0], row(rowTag+i))
	}
	r2 := block
	storePower(nth(1))
	loadPower(nth(1))
	multiply(h)
	carry()
	storePower(nth(2))
	for i := range h {
		VMOVDQA64(h[i], r2[i])
	}
	multiply(r2)
	carry()
	storePower(nth(3))
	loadPower(nth(2))
	multiply(r2)
	carry()
	storePower(nth(4))
	splitPowers()
	for i := range h {
		VPXORQ(h[i], h[i], h[i])
	}
}

// nth returns the rows for the block that is the n-th from the end.
func nth(n int) int { return rowPowers + 5*(4-n) }

// splitPowers makes the powers for messages with s lanes: lane j is ahead of
// the end by r^4 to the s-1-j, which is made of r^4, r^8 and r^16 by the bits of
// s-1-j, which are the inverse of j's. In h is r^4.
func splitPowers() {
	ahead := [3]VecPhysical{Z20, Z21, Z22}
	Load(Param("split"), R13)
	TESTQ(R13, R13)
	JZ(LabelRef("poly_powers"))
	// ahead = r^4 in lanes with an even number, else 1.
	lanes(0x55)
	VPBROADCASTQ(limbMasks().Offset(40), ahead[0])
	VMOVDQA64(h[0], K1, ahead[0])
	VMOVDQA64_Z(h[1], K1, ahead[1])
	VMOVDQA64_Z(h[2], K1, ahead[2])
	storePower(rowLast)
	for n, mask := range []uint64{0x33, 0x0f} {
		CMPQ(R13, Imm(uint64(n+2)))
		JB(LabelRef("poly_ahead"))
		// h = h^2; ahead *= h in lanes of the mask.
		for i := range h {
			VMOVDQA64(h[i], block[i])
		}
		loadPower(rowLast)
		multiply(block)
		carry()
		storePower(rowLast)
		lanes(mask)
		VPBROADCASTQ(limbMasks().Offset(40), power[0])
		VMOVDQU64(row(rowLast), K1, power[0])
		for i := 1; i < 5; i++ {
			VMOVDQU64_Z(row(rowLast+i), K1, power[i])
		}
		for i := range h {
			VMOVDQA64(h[i], z[23+i])
		}
		multiply(ahead)
		carry()
		for i := range h {
			VMOVDQA64(h[i], ahead[i])
			VMOVDQA64(z[23+i], h[i])
		}
	}
	Label("poly_ahead")
	for n := 1; n <= 4; n++ {
		loadPower(nth(n))
		multiply(ahead)
		carry()
		storePower(nth(n) - rowPowers + rowLast)
	}
	// Before the last step all lanes have the powers of lane 0.
	spread := []func(from, to Register){
		func(from, to Register) { VPUNPCKLQDQ(from, from, to) },
		func(from, to Register) { VPERMQ(Imm(0), from, to) },
		func(from, to Register) { VPBROADCASTQ(from.(VecPhysical).AsX(), to) },
	}
	for n, f := range spread {
		next := LabelRef(fmt.Sprintf("poly_spread_%d", n))
		if n < 2 {
			CMPQ(R13, Imm(uint64(n+1)))
			JNE(next)
		}
		for i := range 20 {
			v := z[12+i%8]
			VMOVDQU64(row(rowLast+i), v)
			f(v, v)
			VMOVDQU64(v, row(rowPowers+i))
		}
		if n < 2 {
			JMP(LabelRef("poly_powers"))
			Label(string(next))
		}
	}
	Label("poly_powers")
}

// lanes sets K1.
func lanes(mask uint64) {
	MOVL(U32(mask), R11L)
	KMOVB(R11L, K1)
}

func loadPower(first int) {
	for i := range power {
		VMOVDQU64(row(first+i), power[i])
	}
}

// storePower keeps h as a power of r.
func storePower(first int) {
	for i := range h {
		VMOVDQU64(h[i], row(first+i))
	}
	for i := 1; i < 3; i++ {
		VPSLLQ(Imm(4), h[i], scratch[0])
		VPSLLQ(Imm(2), h[i], scratch[1])
		VPADDQ(scratch[0], scratch[1], scratch[0])
		VMOVDQU64(scratch[0], row(first+2+i))
	}
}

// loadRagged loads 64 bytes for each lane, zeros where they are in front of the
// text or behind it, and finds out which blocks are there.
//
// Nothing in front of a text is touched, although masked loads could be told so:
// they are very slow if there is no memory. What is missing is a number of words;
// the load begins at the text, and the words are rotated into their places.
func loadRagged() {
	position, lead, length, size, zero := scratch[0], scratch[1], scratch[2], scratch[3], Z20
	VPBROADCASTQ(R11, position)
	VMOVDQA64(position, Z21)
	VPADDQ(row(rowOffset), position, position)
	for k, m := range thereMasks {
		VPCMPQ_BCST(Imm(5), firstOffsets().Offset(8*k), position, m) // position >= -16 k
	}
	VPXORQ(zero, zero, zero)
	VPSUBQ(position, zero, lead)
	VPMAXSQ(zero, lead, lead) // bytes that are missing in front
	VPADDQ(lead, Z21, Z21)
	VMOVDQU64(Z21, row(rowIndex))
	VPSRLQ(Imm(3), lead, Z21)
	VMOVDQU64(Z21, row(rowLead))
	// There are 64 - lead bytes, but at most length - position.
	VMOVDQU64(row(rowLength), length)
	VPADDQ(lead, position, position)
	VPSUBQ(position, length, size)
	VPBROADCASTQ(limbMasks().Offset(24), Z21)
	VPSUBQ(lead, Z21, position)
	VPMINSQ(position, size, size)
	VPMAXSQ(zero, size, size)
	VPSUBQ(size, Z21, size)
	VPTERNLOGQ(Imm(0xff), Z21, Z21, Z21)
	VPSRLVQ(size, Z21, size) // a shift by 64 gives 0
	VMOVDQU64(size, row(rowMasks))
	VMOVDQU64(words(), length)
	for i, p := range texts {
		k, x, turn := []OpmaskPhysical{K5, K6, K7}[i%3], z[12+i], z[20+i%4]
		MOVQ(row(rowIndex).Offset(8*i), R13)
		KMOVQ(row(rowMasks).Offset(8*i), k)
		VMOVDQU8_Z(Mem{Base: p, Index: R13, Scale: 1}, k, x)
		VPSUBQ_BCST(row(rowLead).Offset(8*i), length, turn)
		VPERMQ(x, turn, x)
	}
}

// transposeStep turns Z12-Z19, 64 bytes of one message each, into Z20-Z27, eight
// bytes of all messages each.
func transposeStep() {
	for i := range 4 {
		a, b := z[12+2*i], z[13+2*i]
		VPUNPCKLQDQ(b, a, z[20+i])
		VPUNPCKHQDQ(b, a, z[24+i])
	}
	even, odd := [4]VecPhysical(z[12:]), [4]VecPhysical(z[16:])
	pairHalves([4]VecPhysical(z[20:]), even)
	pairHalves([4]VecPhysical(z[24:]), odd)
	dealQuarters(even, [4]VecPhysical{Z20, Z22, Z24, Z26})
	dealQuarters(odd, [4]VecPhysical{Z21, Z23, Z25, Z27})
}

// step takes the four blocks in Z20-Z27; if it is ragged, K1-K4 are the lanes in
// which they are there.
func step(ragged bool) {
	for _, k := range []int{1, 2, 3, 0} { // that with h, which is known last, last
		limbs(z[20+2*k], z[21+2*k], block)
		VPSRLQ(Imm(24), z[21+2*k], block[2])
		if ragged {
			VPORQ(bit128, block[2], thereMasks[k], block[2])
		} else {
			VPORQ(bit128, block[2], block[2])
		}
		if k == 0 {
			for i := range h {
				VPADDQ(h[i], block[i], block[i])
			}
		}
		for i := range power {
			VMOVDQU64(at(R13, 64*(5*k+i)), power[i])
		}
		if k == 1 {
			multiply(block)
		} else {
			multiplyAdd(block)
		}
	}
	carry()
}

// limbs splits lo + 2^64 hi and writes its limbs 0 and 1 to m; it uses m[2].
func limbs(lo, hi VecPhysical, m [3]VecPhysical) {
	VPANDQ(mask44, lo, m[0])
	VPSRLQ(Imm(44), lo, m[1])
	VPSLLQ(Imm(20), hi, m[2])
	VPTERNLOGQ(Imm(0xa8), mask44, m[2], m[1]) // (m1 | m2) & mask
}

// multiply sets the sums to m times the power of r.
func multiply(m [3]VecPhysical) {
	for i := range low {
		VPXORQ(low[i], low[i], low[i])
		VPXORQ(high[i], high[i], high[i])
	}
	multiplyAdd(m)
}

// multiplyAdd adds m times the power of r to the sums. Limb products that weigh
// 2^132 or more come back times 20, as 2^130 is 5.
func multiplyAdd(m [3]VecPhysical) {
	r := [3][3]VecPhysical{ // [limb of m][limb of the product]
		{power[0], power[1], power[2]},
		{power[4], power[0], power[1]},
		{power[3], power[4], power[0]},
	}
	for i := range m {
		for j := range low {
			VPMADD52LUQ(r[i][j], m[i], low[j])
			VPMADD52HUQ(r[i][j], m[i], high[j])
		}
	}
}

// carry sets h to the sums. Afterwards limbs 0 and 2 are within their bits and
// limb 1 exceeds its own by few.
func carry() {
	c := scratch[0]
	VPSLLQ(Imm(8), high[0], high[0])
	VPSLLQ(Imm(8), high[1], high[1])
	VPSLLQ(Imm(10), high[2], high[2])
	VPADDQ(high[0], low[1], low[1])
	VPADDQ(high[1], low[2], low[2])
	VPSRLQ(Imm(44), low[0], c)
	VPANDQ(mask44, low[0], h[0])
	VPADDQ(c, low[1], low[1])
	VPSRLQ(Imm(44), low[1], c)
	VPANDQ(mask44, low[1], h[1])
	VPADDQ(c, low[2], low[2])
	VPSRLQ(Imm(42), low[2], c)
	VPANDQ(mask42, low[2], h[2])
	VPADDQ(c, high[2], high[2])
	VPSLLQ(Imm(2), high[2], c)
	VPADDQ(high[2], h[0], h[0])
	VPADDQ(c, h[0], h[0])
	VPSRLQ(Imm(44), h[0], c)
	VPANDQ(mask44, h[0], h[0])
	VPADDQ(c, h[1], h[1])
}

// finish writes h mod 2^130 - 5, plus s, mod 2^128.
func finish() {
	c, g := scratch[0], block
	VPSRLQ(Imm(44), h[0], c)
	VPANDQ(mask44, h[0], h[0])
	VPADDQ(c, h[1], h[1])
	// Twice around: the first carry out of limb 2 may make limb 0 overflow once
	// more.
	for range 2 {
		VPSRLQ(Imm(44), h[1], c)
		VPANDQ(mask44, h[1], h[1])
		VPADDQ(c, h[2], h[2])
		VPSRLQ(Imm(42), h[2], c)
		VPANDQ(mask42, h[2], h[2])
		VPADDQ(c, h[0], h[0])
		VPSLLQ(Imm(2), c, c)
		VPADDQ(c, h[0], h[0])
		VPSRLQ(Imm(44), h[0], c)
		VPANDQ(mask44, h[0], h[0])
		VPADDQ(c, h[1], h[1])
	}
	// h + 5 reaches 2^130 if and only if h has to be reduced.
	VPADDQ_BCST(limbMasks().Offset(32), h[0], g[0])
	VPSRLQ(Imm(44), g[0], c)
	VPADDQ(c, h[1], g[1])
	VPSRLQ(Imm(44), g[1], c)
	VPADDQ(c, h[2], g[2])
	VPSRLQ(Imm(42), g[2], c)
	VPTESTMQ(c, c, K1)
	VPANDQ(mask44, g[0], K1, h[0])
	VPANDQ(mask44, g[1], K1, h[1])
	VPANDQ(mask42, g[2], K1, h[2])

	lo, hi := scratch[1], scratch[2]
	VPSLLQ(Imm(44), h[1], lo)
	VPORQ(h[0], lo, lo)
	VPSRLQ(Imm(20), h[1], hi)
	VPSLLQ(Imm(24), h[2], c)
	VPORQ(c, hi, hi)
	VMOVDQU64(row(rowTag), c)
	VPADDQ(c, lo, lo)
	VPCMPUQ(Imm(1), c, lo, K1) // less than what was added: a carry
	VPADDQ(row(rowTag+1), hi, hi)
	VPTERNLOGQ(Imm(0xff), c, c, c)
	VPSUBQ(c, hi, K1, hi)
	VMOVDQU64(lo, row(rowTag))
	VMOVDQU64(hi, row(rowTag+1))
}

// limbMasks are the masks of limbs, 2^128 in limb 2, and numbers.
func limbMasks() Mem {
	return global("polyConstants", func() {
		for i, w := range []uint64{1<<44 - 1, 1<<42 - 1, 1 << 40, 64, 5, 1} {
			DATA(8*i, U64(w))
		}
	})
}

// clamp is what r is masked with.
func clamp() Mem {
	return global("polyClamp", func() {
		DATA(0, U64(0x0ffffffc0fffffff))
		DATA(8, U64(0x0ffffffc0ffffffc))
	})
}

// words are the numbers of the words of a vector.
func words() Mem {
	return global("polyWords", func() {
		for i := range 8 {
			DATA(8*i, U64(i))
		}
	})
}

// firstOffsets are the smallest offsets of a step at which its blocks are there.
func firstOffsets() Mem {
	return global("polyOffsets", func() {
		for i, w := range []int64{0, -16, -32, -48} {
			DATA(8*i, U64(uint64(w)))
		}
	})
}
