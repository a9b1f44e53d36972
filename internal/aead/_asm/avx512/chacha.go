package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The layout of a segment in Go; a test compares it.
const (
	segmentCounter = 0  // uint64
	segmentBlock   = 8  // uint32: number of its first block
	segmentLanes   = 12 // uint32: number of its blocks
	segmentText    = 16 // *byte: what blocks from 1 on are added to
	segmentLength  = 24 // int: of the text in bytes
	segmentOneTime = 32 // *uint64: where block 0 goes
	segmentSize    = 40
)

// The layout of a stream: the key stream of 32 blocks, then memory for the
// rounds.
const (
	streamSpill   = 32 * 64             // 16 vectors
	streamCounter = streamSpill + 16*64 // blocks, low and high counters, of each half
	streamSize    = streamCounter + 6*64
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
	TEXT(name, NOSPLIT, fmt.Sprintf("func(key *[32]byte, segments *byte, n int, stream *[%d]byte)", streamSize))
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
			VPBROADCASTD(constants().Offset(4*i), s[i])
		}
		for i := range 8 {
			VPBROADCASTD(at(RAX, 4*i), s[4+i])
		}
		VPXORQ(s[13], s[13], s[13])
		for i, word := range []int{12, 14, 15} {
			VMOVDQU64(s[word], at(RDX, streamCounter+64*(3*h+i)))
		}
	}

	MOVL(U32(10), R10L)
	Label(name + "_rounds")
	doubleRound(halves)
	DECL(R10L)
	JNZ(LabelRef(name + "_rounds"))

	if lanes == 32 {
		for i, v := range z[16:] {
			VMOVDQU64(v, at(RDX, streamSpill+64*i))
		}
	}
	finishHalf(0)
	if lanes == 32 {
		for i := range 16 {
			VMOVDQU64(at(RDX, streamSpill+64*i), z[i])
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
	MOVL(at(RBX, segmentLanes), R9L)
	MOVL(I32(-1), R10L)
	BZHIL(R9L, R10L, R10L)
	SHLXL(R8L, R10L, R10L)
	MOVL(at(RBX, segmentBlock), R11L)
	SUBL(R8L, R11L) // the numbers of all lanes are added below
	KMOVD(R10L, K1)
	if len(halves) == 2 {
		SHRL(Imm(16), R10L)
		KMOVD(R10L, K2)
	}
	for h, s := range halves {
		k := []Register{K1, K2}[h]
		VPBROADCASTD(R11L, k, s[12])
		VPBROADCASTD(at(RBX, segmentCounter), k, s[14])
		VPBROADCASTD(at(RBX, segmentCounter+4), k, s[15])
	}
	ADDL(R9L, R8L)
	ADDQ(Imm(segmentSize), RBX)
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
		VPADDD_BCST(constants().Offset(4*i), z[i], z[i])
	}
	for i := range 8 {
		VPADDD_BCST(at(RAX, 4*i), z[4+i], z[4+i])
	}
	for i, word := range []int{12, 14, 15} {
		VPADDD(at(RDX, streamCounter+64*(3*h+i)), z[word], z[word])
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

// takeKeys spends the key stream of blocks 0: on the one-time keys.
//
//	BX segment, CX segments left, DX key stream of the next segment
//	SI one-time key, R10 scratch
func takeKeys() {
	TEXT("takeKeysAVX512", NOSPLIT, fmt.Sprintf("func(segments *byte, n int, stream *[%d]byte)", streamSize))
	Doc("takeKeysAVX512 writes the one-time keys of n segments, at least one.")
	Pragma("noescape")
	Load(Param("segments"), RBX)
	Load(Param("n"), RCX)
	Load(Param("stream"), RDX)
	Label("keys_segment")
	CMPL(at(RBX, segmentBlock), Imm(0))
	JNE(LabelRef("keys_next"))
	takeKey()
	Label("keys_next")
	MOVL(at(RBX, segmentLanes), R10L)
	SHLQ(Imm(6), R10)
	ADDQ(R10, RDX)
	ADDQ(Imm(segmentSize), RBX)
	DECQ(RCX)
	JNZ(LabelRef("keys_segment"))
	RET()
}

// takeKey writes a one-time key, one word to a vector of eight lanes.
func takeKey() {
	MOVQ(at(RBX, segmentOneTime), RSI)
	for i := range 4 {
		MOVQ(at(RDX, 8*i), R10)
		MOVQ(R10, at(RSI, 64*i))
	}
}

// xorLanes spends the key stream: block 0 of a message on its one-time key, the
// others on its text.
//
//	Z0   text
//	K1   its last bytes
//	BX segment, CX segments left, DX key stream of the next lane
//	SI text, R9 bytes left of it, R8 key stream of the next segment, R10 scratch
func xorLanes() {
	TEXT("xorLanesAVX512", NOSPLIT, fmt.Sprintf("func(segments *byte, n int, stream *[%d]byte)", streamSize))
	Doc("xorLanesAVX512 adds the key stream of n segments, at least one, to their texts and writes their one-time keys.")
	Pragma("noescape")
	Load(Param("segments"), RBX)
	Load(Param("n"), RCX)
	Load(Param("stream"), RDX)

	Label("xor_segment")
	MOVL(at(RBX, segmentLanes), R8L)
	SHLQ(Imm(6), R8)
	ADDQ(RDX, R8)
	CMPL(at(RBX, segmentBlock), Imm(0))
	JNE(LabelRef("xor_text"))
	takeKey()
	ADDQ(Imm(64), RDX)

	Label("xor_text")
	MOVQ(at(RBX, segmentText), RSI)
	MOVQ(at(RBX, segmentLength), R9)
	SUBQ(Imm(64), R9)
	JB(LabelRef("xor_tail"))
	Label("xor_block")
	VMOVDQU64(at(RSI, 0), Z0)
	VPXORQ(at(RDX, 0), Z0, Z0)
	VMOVDQU64(Z0, at(RSI, 0))
	ADDQ(Imm(64), RSI)
	ADDQ(Imm(64), RDX)
	SUBQ(Imm(64), R9)
	JAE(LabelRef("xor_block"))

	Label("xor_tail")
	ADDQ(Imm(64), R9)
	JZ(LabelRef("xor_next"))
	MOVQ(I32(-1), R10)
	BZHIQ(R9, R10, R10)
	KMOVQ(R10, K1)
	VMOVDQU8_Z(at(RSI, 0), K1, Z0)
	VPXORQ(at(RDX, 0), Z0, Z0)
	VMOVDQU8(Z0, K1, at(RSI, 0))

	Label("xor_next")
	MOVQ(R8, RDX)
	ADDQ(Imm(segmentSize), RBX)
	DECQ(RCX)
	JNZ(LabelRef("xor_segment"))
	VZEROUPPER()
	RET()
}

// constants are the words 0 to 3 of the state.
func constants() Mem {
	return global("chachaConstants", func() {
		for i, w := range []uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574} {
			DATA(4*i, U32(w))
		}
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

var globals = map[string]Mem{}

// global returns the read-only data of that name, which fill writes the first
// time.
func global(name string, fill func()) Mem {
	m, ok := globals[name]
	if !ok {
		m = GLOBL(name+"AVX512", RODATA|NOPTR)
		fill()
		globals[name] = m
	}
	return m
}
