package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The layout of the memory that is kept between calls, in rows of one vector:
// eight lanes of 64 bits, one message to a lane. A test compares it with Go's.
const (
	rowOffset = 0  // where the next step reads, relative to the text
	rowLength = 1  // of the text in bytes
	rowTag    = 2  // two rows: low, high
	rowMasks  = 4  // of bytes, for steps that are not whole
	rowH      = 5  // three rows: the accumulator
	rowPowers = 8  // of r: from r^1 to r^4 five rows each, r0, r1, r2, 20 r1, 20 r2
	rows      = 28 // in all
)

// The registers of poly1305. Numbers are in radix 2^44, as three limbs of 44,
// 44 and 42 bits, which may be a little larger between steps.
//
//	Z0-Z2     h, the accumulator
//	Z3-Z5     sums of low halves of products, by weight of limb
//	Z6-Z8     sums of high halves, which weigh 2^8 more than the next limb
//	Z9, Z10   masks of 44 and of 42 bits
//	Z11       2^128 in limb 2
//	Z12-Z19   at the beginning of a step 64 bytes of each message;
//	          then Z12-Z14 the block, Z15-Z19 a power of r
//	Z20-Z27   low and high half of the four blocks
//	Z28-Z31   scratch
//	K1-K4     lanes in which the four blocks are there; K5-K7 scratch
//
//	AX rows, BX CX DX SI DI R8 R9 R10 texts, R11 offset into them,
//	R12 steps left, R13 scratch
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

// poly1305 is RFC 8439 2.5 for eight messages. A step takes four blocks of
// each, so that h = (h + m0) r^4 + m1 r^3 + m2 r^2 + m3 r, and needs one chain
// of carries. All messages end with the same step: zero blocks in front of a
// shorter one, without the bit 2^128, leave its h zero. The last block of the
// last step is that with the lengths (2.8).
func poly1305() {
	TEXT("poly1305AVX512", NOSPLIT, fmt.Sprintf("func(memory *[%d][8]uint64, keys *[4][8]uint64, texts *[8]*byte, ragged int, whole int, ends bool)", rows))
	Doc("poly1305AVX512 takes ragged steps, in which blocks of some messages may be missing, then whole ones,",
		"and if ends is set the last one, and writes tags. It begins anew if keys is not nil.")
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
	step(func(k int) Register { return thereMasks[k] })
	ADDQ(Imm(64), R11)
	DECQ(R12)
	JNZ(LabelRef("poly_ragged"))

	Label("poly_whole")
	Load(Param("whole"), R12)
	TESTQ(R12, R12)
	JZ(LabelRef("poly_last"))
	Label("poly_whole_step")
	for i, p := range texts {
		VMOVDQU64(Mem{Base: p, Index: R11, Scale: 1}, z[12+i])
	}
	transposeStep()
	step(nil)
	ADDQ(Imm(64), R11)
	DECQ(R12)
	JNZ(LabelRef("poly_whole_step"))

	Label("poly_last")
	Load(Param("ends"), R12L.As8())
	TESTB(R12L.As8(), R12L.As8())
	JZ(LabelRef("poly_keep"))
	loadRagged()
	transposeStep()
	VPXORQ(Z26, Z26, Z26)
	VMOVDQU64(row(rowLength), Z27)
	step(func(k int) Register {
		if k == 3 {
			return nil
		}
		return thereMasks[k]
	})
	finish()

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

// start reads the one-time keys, computes the powers of r and clears h.
func start(keys Register) {
	// RFC 8439 2.5.1
	VMOVDQU64(at(keys, 0), scratch[0])
	VMOVDQU64(at(keys, 64), scratch[1])
	VPANDQ_BCST(clamp(), scratch[0], scratch[0])
	VPANDQ_BCST(clamp().Offset(8), scratch[1], scratch[1])
	limbs(scratch[0], scratch[1], h)
	VPSRLQ(Imm(24), scratch[1], h[2])
	storePower(1)
	for i := range 2 { // s waits where the tag will be
		VMOVDQU64(at(keys, 64*(2+i)), scratch[0])
		VMOVDQU64(scratch[0], row(rowTag+i))
	}
	for i := range power {
		VMOVDQU64(row(rowPowers+i), power[i])
	}
	zeroSums()
	multiply(h)
	carry()
	storePower(2) // h = r^2
	zeroSums()
	multiply(h)
	r2 := block
	for i := range h {
		VMOVDQA64(h[i], r2[i])
	}
	carry()
	storePower(3)
	for i := range power {
		VMOVDQU64(row(rowPowers+5+i), power[i])
	}
	zeroSums()
	multiply(r2)
	carry()
	storePower(4)
	for i := range h {
		VPXORQ(h[i], h[i], h[i])
	}
}

// storePower keeps h as the n-th power of r.
func storePower(n int) {
	for i := range h {
		VMOVDQU64(h[i], row(rowPowers+5*(n-1)+i))
	}
	for i := 1; i < 3; i++ {
		VPSLLQ(Imm(4), h[i], scratch[0])
		VPSLLQ(Imm(2), h[i], scratch[1])
		VPADDQ(scratch[0], scratch[1], scratch[0])
		VMOVDQU64(scratch[0], row(rowPowers+5*(n-1)+2+i))
	}
}

// loadRagged loads 64 bytes of each message, zeros where they are in front of
// its text or behind it, and finds out which blocks are there.
func loadRagged() {
	offset, length, lead, trail := scratch[0], scratch[1], scratch[2], scratch[3]
	VPBROADCASTQ(R11, offset)
	VPADDQ(row(rowOffset), offset, offset)
	for k, m := range thereMasks {
		VPCMPQ_BCST(Imm(5), firstOffsets().Offset(8*k), offset, m) // offset >= -16 k
	}
	VPXORQ(Z20, Z20, Z20)
	VPTERNLOGQ(Imm(0xff), Z21, Z21, Z21) // all ones
	// Bytes that are missing in front: -offset. Behind: 64 - (length - offset).
	VPSUBQ(offset, Z20, lead)
	VPMAXSQ(Z20, lead, lead)
	VMOVDQU64(row(rowLength), length)
	VPSUBQ(length, offset, trail)
	VPADDQ_BCST(limbMasks().Offset(24), trail, trail)
	VPMAXSQ(Z20, trail, trail)
	VPSLLVQ(lead, Z21, lead) // shifts by more than 63 give 0
	VPSRLVQ(trail, Z21, trail)
	VPANDQ(lead, trail, lead)
	VMOVDQU64(lead, row(rowMasks))
	for i, p := range texts {
		k := []OpmaskPhysical{K5, K6, K7}[i%3]
		KMOVQ(row(rowMasks).Offset(8*i), k)
		VMOVDQU8_Z(Mem{Base: p, Index: R11, Scale: 1}, k, z[12+i])
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

// step takes the four blocks in Z20-Z27. there names for each the lanes in
// which it is; nil means all.
func step(there func(k int) Register) {
	zeroSums()
	for _, k := range []int{1, 2, 3, 0} { // that with h, which takes longest, last
		limbs(z[20+2*k], z[21+2*k], block)
		VPSRLQ(Imm(24), z[21+2*k], block[2])
		mask := Register(nil)
		if there != nil {
			mask = there(k)
		}
		if mask == nil {
			VPORQ(bit128, block[2], block[2])
		} else {
			VPORQ(bit128, block[2], mask, block[2])
		}
		if k == 0 {
			for i := range h {
				VPADDQ(h[i], block[i], block[i])
			}
		}
		for i := range power {
			VMOVDQU64(row(rowPowers+5*(3-k)+i), power[i])
		}
		multiply(block)
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

func zeroSums() {
	for i := range low {
		VPXORQ(low[i], low[i], low[i])
		VPXORQ(high[i], high[i], high[i])
	}
}

// multiply adds m times the power of r to the sums. Limb products that weigh
// 2^132 or more come back times 20, as 2^130 is 5.
func multiply(m [3]VecPhysical) {
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
		for i, w := range []uint64{1<<44 - 1, 1<<42 - 1, 1 << 40, 64, 5} {
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

// firstOffsets are the smallest offsets of a step at which its blocks are there.
func firstOffsets() Mem {
	return global("polyOffsets", func() {
		for i, w := range []int64{0, -16, -32, -48} {
			DATA(8*i, U64(uint64(w)))
		}
	})
}
