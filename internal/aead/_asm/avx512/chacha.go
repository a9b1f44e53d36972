package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/warrenvpn/warren/internal/aead/_asm/layout"
)

// chachaLanes makes the key stream of the blocks that segments name, one block
// to a lane: word i of the state of lane j is element j of vector i. With 32
// lanes there are two halves of 16. A quarter round works in place, so that the
// two need no register but their own.
//
//	Z0-Z15    words 0 to 15 of lanes 0 to 15; afterwards blocks
//	Z16-Z31   words 0 to 15 of lanes 16 to 31; otherwise scratch for the
//	          transposition
//	K1, K2    lanes of one segment, lower and upper half
//	AX key, BX segment, CX segments left, DX stream
//	R8 first lane of the segment, R9 its lanes, R10, R11 scratch
func chachaLanes(name string, lanes int) {
	TEXT(name, NOSPLIT, fmt.Sprintf("func(key *[32]byte, segments *byte, n int, stream *[%d]byte)", layout.StreamSize))
	Doc(fmt.Sprintf("%s writes the key stream of up to %d blocks of n segments, at least one.", name, lanes))
	Pragma("noescape")
	Load(Param("key"), RAX)
	Load(Param("segments"), RBX)
	Load(Param("n"), RCX)
	Load(Param("stream"), RDX)
	halves := [][]VecPhysical{z[:16], z[16:]}[:lanes/16]

	fillCounters(name, halves)
	for h, s := range halves {
		for i := range 4 {
			VPBROADCASTD(layout.Constants("AVX512").Offset(4*i), s[i])
		}
		for i := range 8 {
			VPBROADCASTD(at(RAX, 4*i), s[4+i])
		}
		VPXORQ(s[13], s[13], s[13])
		for i, word := range []int{12, 14, 15} {
			VMOVDQU64(s[word], at(RDX, layout.StreamCounter+64*(3*h+i)))
		}
	}

	MOVL(U32(10), R10L)
	Label(name + "_rounds")
	doubleRound(halves)
	DECL(R10L)
	JNZ(LabelRef(name + "_rounds"))

	if lanes == 32 {
		for i, v := range z[16:] {
			VMOVDQU64(v, at(RDX, layout.StreamState+64*i))
		}
	}
	finishHalf(0)
	if lanes == 32 {
		for i := range 16 {
			VMOVDQU64(at(RDX, layout.StreamState+64*i), z[i])
		}
		finishHalf(1)
	}
	VZEROUPPER()
	RET()
}

// fillCounters sets words 12, 14 and 15: the number of the block and the halves
// of the message's counter.
func fillCounters(name string, halves [][]VecPhysical) {
	for _, s := range halves {
		for _, word := range []int{12, 14, 15} {
			VPXORQ(s[word], s[word], s[word])
		}
	}
	XORL(R8L, R8L)
	Label(name + "_segment")
	MOVL(at(RBX, layout.SegmentLanes), R9L)
	MOVL(I32(-1), R10L)
	BZHIL(R9L, R10L, R10L)
	SHLXL(R8L, R10L, R10L)
	MOVL(at(RBX, layout.SegmentBlock), R11L)
	SUBL(R8L, R11L) // the numbers of all lanes are added below
	KMOVD(R10L, K1)
	if len(halves) == 2 {
		SHRL(Imm(16), R10L)
		KMOVD(R10L, K2)
	}
	for h, s := range halves {
		k := []Register{K1, K2}[h]
		VPBROADCASTD(R11L, k, s[12])
		VPBROADCASTD(at(RBX, layout.SegmentCounter), k, s[14])
		VPBROADCASTD(at(RBX, layout.SegmentCounter+4), k, s[15])
	}
	ADDL(R9L, R8L)
	ADDQ(Imm(layout.SegmentSize), RBX)
	DECQ(RCX)
	JNZ(LabelRef(name + "_segment"))
	for h, s := range halves {
		VPADDD(numbers().Offset(64*h), s[12], s[12])
	}
}

// doubleRound is RFC 8439 2.3: a column round and a diagonal round. The halves
// take turns by whole rounds, which lets the processor overlap the rotations of
// one, which few of its units do, with the sums of the other.
func doubleRound(halves [][]VecPhysical) {
	for _, words := range [][4][4]int{
		{{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14}, {3, 7, 11, 15}},
		{{0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13}, {3, 4, 9, 14}},
	} {
		for _, s := range halves {
			quarterRounds(s, words)
		}
	}
}

// quarterRounds is RFC 8439 2.1, for four quarter rounds beside each other: one
// alone would wait for itself.
func quarterRounds(s []VecPhysical, words [4][4]int) {
	each := func(f func(a, b, c, d VecPhysical)) {
		for _, q := range words {
			f(s[q[0]], s[q[1]], s[q[2]], s[q[3]])
		}
	}
	for _, by := range [][2]uint64{{16, 12}, {8, 7}} {
		each(func(a, b, _, _ VecPhysical) { VPADDD(b, a, a) })
		each(func(a, _, _, d VecPhysical) { VPXORD(a, d, d) })
		each(func(_, _, _, d VecPhysical) { VPROLD(Imm(by[0]), d, d) })
		each(func(_, _, c, d VecPhysical) { VPADDD(d, c, c) })
		each(func(_, b, c, _ VecPhysical) { VPXORD(c, b, b) })
		each(func(_, b, _, _ VecPhysical) { VPROLD(Imm(by[1]), b, b) })
	}
}

// finishHalf adds the initial state to Z0-Z15, which is half h, transposes it
// and writes its 16 blocks of key stream.
func finishHalf(h int) {
	for i := range 4 {
		VPADDD_BCST(layout.Constants("AVX512").Offset(4*i), z[i], z[i])
	}
	for i := range 8 {
		VPADDD_BCST(at(RAX, 4*i), z[4+i], z[4+i])
	}
	for i, word := range []int{12, 14, 15} {
		VPADDD(at(RDX, layout.StreamCounter+64*(3*h+i)), z[word], z[word])
	}
	// Four words at a time: afterwards register 4g+k has, in its quarter q,
	// the words 4g to 4g+3 of lane 4q+k.
	for g := 0; g < 16; g += 4 {
		x, t := z[g:], z[16+g:]
		VPUNPCKLDQ(x[1], x[0], t[0])
		VPUNPCKHDQ(x[1], x[0], t[1])
		VPUNPCKLDQ(x[3], x[2], t[2])
		VPUNPCKHDQ(x[3], x[2], t[3])
		VPUNPCKLQDQ(t[2], t[0], x[0])
		VPUNPCKHQDQ(t[2], t[0], x[1])
		VPUNPCKLQDQ(t[3], t[1], x[2])
		VPUNPCKHQDQ(t[3], t[1], x[3])
	}
	for k := range 4 {
		x := [4]VecPhysical{z[k], z[4+k], z[8+k], z[12+k]}
		tmp := [4]VecPhysical(z[16+4*k:])
		pairHalves(x, tmp)
		dealQuarters(tmp, x)
		for q, v := range x {
			VMOVDQU64(v, at(RDX, 64*(16*h+4*q+k)))
		}
	}
}

// xorLanes adds the key stream to the texts.
//
//	Z0   text
//	K1   its last bytes
func xorLanes() {
	layout.XorLanes("AVX512", func() {
		VMOVDQU64(at(RSI, 0), Z0)
		VPXORQ(at(RDX, 0), Z0, Z0)
		VMOVDQU64(Z0, at(RSI, 0))
	}, func() {
		MOVQ(I32(-1), R10)
		BZHIQ(R9, R10, R10)
		KMOVQ(R10, K1)
		VMOVDQU8_Z(at(RSI, 0), K1, Z0)
		VPXORQ(at(RDX, 0), Z0, Z0)
		VMOVDQU8(Z0, K1, at(RSI, 0))
	})
}

// numbers are 0 to 31.
func numbers() Mem {
	return global("laneNumbers", func() {
		for i := range 32 {
			DATA(4*i, U32(i))
		}
	})
}
