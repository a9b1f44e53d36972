package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The layout of the memory that is kept between calls, in rows of one vector:
// four messages, one to a lane of 64 bits. A test compares it with Go's.
const (
	narrowHigh   = 0 // for the two blocks of a step: 2^128 in limb 4, or 0 where there is no block
	narrowH      = 2 // five rows: the accumulator
	narrowSquare = 7 // r^2, nine rows: r0 to r4, 5 r1 to 5 r4
	narrowR      = 16
	narrowRows   = 25
)

// The registers of poly1305. Numbers are in radix 2^26, as five limbs, which may
// be a little larger between steps.
//
//	Y0-Y4     h, the accumulator
//	Y5-Y9     a block
//	Y10-Y14   sums of products, by weight of limb
//	Y15       scratch
//
//	AX rows, BX CX DX SI texts, DI R8 R9 R10 how far they go in a step,
//	R12 steps left
var (
	h       = [5]VecPhysical{Y0, Y1, Y2, Y3, Y4}
	block   = [5]VecPhysical{Y5, Y6, Y7, Y8, Y9}
	sums    = [5]VecPhysical{Y10, Y11, Y12, Y13, Y14}
	scratch = Y15
	texts   = [4]GPPhysical{RBX, RCX, RDX, RSI}
	strides = [4]GPPhysical{RDI, R8, R9, R10}
)

func row(n int) Mem { return at(RAX, 32*n) }

// poly1305 is RFC 8439 2.5 for four messages. A step takes two blocks of each,
// so that h = (h + m0) r^2 + m1 r, and needs one chain of carries. h is left
// with limbs that are not quite reduced.
func poly1305() {
	TEXT("poly1305AVX2", NOSPLIT, fmt.Sprintf("func(memory *[%d][4]uint64, keys *uint64, texts *[4]*byte, strides *[4]int, steps int)", narrowRows))
	Doc("poly1305AVX2 takes steps, each of 32 bytes of every text. It begins anew if keys is not nil;",
		"these are four rows 64 bytes apart.")
	Pragma("noescape")
	Load(Param("memory"), RAX)
	for i := range h {
		VMOVDQU(row(narrowH+i), h[i])
	}
	Load(Param("keys"), R12)
	TESTQ(R12, R12)
	JZ(LabelRef("poly_going_on"))
	start(R12)
	Label("poly_going_on")
	Load(Param("strides"), R12)
	for i, s := range strides {
		MOVQ(at(R12, 8*i), s)
	}
	Load(Param("texts"), R12)
	for i, p := range texts {
		MOVQ(at(R12, 8*i), p)
	}
	Load(Param("steps"), R12)

	Label("poly_step")
	loadBlock(1)
	multiply(block, narrowR, false)
	loadBlock(0)
	for i := range h {
		VPADDQ(h[i], block[i], block[i])
	}
	multiply(block, narrowSquare, true)
	carry()
	for i, p := range texts {
		ADDQ(strides[i], p)
	}
	DECQ(R12)
	JNZ(LabelRef("poly_step"))

	for i := range h {
		VMOVDQU(h[i], row(narrowH+i))
	}
	VZEROUPPER()
	RET()
}

// start reads r from the one-time keys, computes its square and clears h.
func start(keys Register) {
	VMOVDQU(at(keys, 0), sums[0])
	VMOVDQU(at(keys, 64), sums[1])
	VPAND(fourTimes("clamp0", 0x0ffffffc0fffffff), sums[0], sums[0]) // RFC 8439 2.5.1
	VPAND(fourTimes("clamp1", 0x0ffffffc0ffffffc), sums[1], sums[1])
	limbs(sums[0], sums[1], h)
	storePower(narrowR)
	multiply(h, narrowR, false)
	carry()
	storePower(narrowSquare)
	for i := range h {
		VPXOR(h[i], h[i], h[i])
	}
}

// storePower keeps h as a power of r.
func storePower(first int) {
	for i := range h {
		VMOVDQU(h[i], row(first+i))
	}
	for i := 1; i < 5; i++ {
		VPSLLD(Imm(2), h[i], scratch)
		VPADDD(h[i], scratch, scratch)
		VMOVDQU(scratch, row(first+4+i))
	}
}

// loadBlock loads block k of the step of all messages as limbs.
func loadBlock(k int) {
	a, b, lo, hi := block[3], block[4], block[4], block[3]
	VMOVDQU(at(texts[0], 16*k), a.AsX())
	VINSERTI128(Imm(1), at(texts[2], 16*k), a, a)
	VMOVDQU(at(texts[1], 16*k), b.AsX())
	VINSERTI128(Imm(1), at(texts[3], 16*k), b, b)
	VPUNPCKLQDQ(b, a, scratch)
	VPUNPCKHQDQ(b, a, hi)
	VMOVDQA(scratch, lo)
	limbs(lo, hi, block)
	VPOR(row(narrowHigh+k), block[4], block[4])
}

// limbs splits lo + 2^64 hi. These may be limbs 4 and 3 themselves.
func limbs(lo, hi VecPhysical, m [5]VecPhysical) {
	mask := fourTimes("mask26", 1<<26-1)
	VPAND(mask, lo, m[0])
	VPSRLQ(Imm(26), lo, m[1])
	VPAND(mask, m[1], m[1])
	VPSRLQ(Imm(52), lo, m[2])
	VPSLLQ(Imm(12), hi, scratch)
	VPOR(scratch, m[2], m[2])
	VPAND(mask, m[2], m[2])
	VPSRLQ(Imm(40), hi, m[4])
	VPSRLQ(Imm(14), hi, m[3])
	VPAND(mask, m[3], m[3])
}

// multiply sets the sums to m times a power of r, or adds it. Limb products that
// weigh 2^130 or more come back times 5.
func multiply(m [5]VecPhysical, power int, add bool) {
	for i := range m {
		for j := range 5 {
			r := row(power + j)
			if i+j > 4 {
				r = row(power + 4 + j)
			}
			if sum := sums[(i+j)%5]; add || i > 0 {
				VPMULUDQ(r, m[i], scratch)
				VPADDQ(scratch, sum, sum)
			} else {
				VPMULUDQ(r, m[i], sum)
			}
		}
	}
}

// carry sets h to the sums. Afterwards limbs exceed 26 bits by very little. Two
// chains run beside each other.
func carry() {
	mask := fourTimes("mask26", 1<<26-1)
	to := func(from, to int) {
		t := block[from]
		VPSRLQ(Imm(26), sums[from], t)
		VPAND(mask, sums[from], sums[from])
		if from == 4 { // 2^130 is 5
			VPADDQ(t, sums[to], sums[to])
			VPSLLQ(Imm(2), t, t)
		}
		VPADDQ(t, sums[to], sums[to])
	}
	to(0, 1)
	to(3, 4)
	to(1, 2)
	to(4, 0)
	to(2, 3)
	to(0, 1)
	to(3, 4)
	for i := range h {
		VMOVDQA(sums[i], h[i])
	}
}

// fourTimes is a number in all lanes.
func fourTimes(name string, value uint64) Mem {
	return global(name, func() {
		for i := range 4 {
			DATA(8*i, U64(value))
		}
	})
}
