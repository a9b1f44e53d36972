package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/warrenvpn/warren/internal/aead/_asm/layout"
)

// Word 11 of the state has no register: that is scratch, for rotations.
const homeless = 11

// chacha makes the key stream of the blocks that segments name, one block to a
// lane: word i of the state of lane j is element j of vector i. Eight lanes fill
// the registers; two such halves take turns by rounds, by way of memory, so that
// the processor can work on one while the other waits for itself.
//
//	Y0-Y15   words 0 to 15 of one half, but Y11: scratch;
//	         afterwards Y0-Y7 eight words, Y8-Y15 scratch for the transposition
//	AX key, BX segment, CX segments left, DX stream
//	SI lanes left, DI key stream of the next lane, R12 counters of the next lane
//	R8 block, R9 lanes of the segment, R10, R11 scratch
func chacha() {
	TEXT("chachaAVX2", NOSPLIT, fmt.Sprintf("func(key *[32]byte, segments *byte, n int, lanes int, stream *[%d]byte)", layout.StreamSize))
	Doc("chachaAVX2 writes the key stream of the blocks of n segments, at least one, which have that many lanes, at most 32.")
	Pragma("noescape")
	Load(Param("key"), RAX)
	Load(Param("segments"), RBX)
	Load(Param("n"), RCX)
	Load(Param("lanes"), RSI)
	Load(Param("stream"), RDX)
	fillCounters()
	LEAQ(at(RDX, layout.StreamCounter), R12)
	MOVQ(RDX, RDI)

	Label("chacha_next")
	CMPQ(RSI, Imm(8))
	JLE(LabelRef("chacha_single"))
	initialState(0)
	initialState(1)
	MOVL(U32(10), R10L)
	Label("chacha_pair_rounds")
	for _, words := range doubleRound {
		for half := range 2 {
			loadState(half)
			quarterRounds(half, words)
			storeState(half)
		}
	}
	DECL(R10L)
	JNZ(LabelRef("chacha_pair_rounds"))
	finishHalf(0)
	finishHalf(1)
	ADDQ(Imm(16*4), R12)
	ADDQ(U32(16*64), RDI)
	SUBQ(Imm(16), RSI)
	JG(LabelRef("chacha_next"))
	JMP(LabelRef("chacha_done"))

	Label("chacha_single")
	initialState(0)
	loadState(0)
	MOVL(U32(10), R10L)
	Label("chacha_single_rounds")
	for _, words := range doubleRound {
		quarterRounds(0, words)
	}
	DECL(R10L)
	JNZ(LabelRef("chacha_single_rounds"))
	storeState(0)
	finishHalf(0)
	Label("chacha_done")
	VZEROUPPER()
	RET()
}

// fillCounters writes the number of the block and the halves of the message's
// counter for each lane.
func fillCounters() {
	LEAQ(at(RDX, layout.StreamCounter), R11)
	Label("chacha_segment")
	MOVL(at(RBX, layout.SegmentBlock), R8L)
	MOVL(at(RBX, layout.SegmentLanes), R9L)
	MOVL(at(RBX, layout.SegmentCounter), R10L)
	MOVL(at(RBX, layout.SegmentCounter+4), R12L)
	Label("chacha_lane")
	MOVL(R8L, at(R11, 0))
	MOVL(R10L, at(R11, 128))
	MOVL(R12L, at(R11, 256))
	INCL(R8L)
	ADDQ(Imm(4), R11)
	DECL(R9L)
	JNZ(LabelRef("chacha_lane"))
	ADDQ(Imm(layout.SegmentSize), RBX)
	DECQ(RCX)
	JNZ(LabelRef("chacha_segment"))
}

// state returns where a word of a half waits.
func state(half, word int) Mem { return at(RDX, layout.StreamState+32*(16*half+word)) }

// initialWord reads a word of the state before the rounds into v.
func initialWord(half, word int, v VecPhysical) {
	switch {
	case word < 4:
		VPBROADCASTD(layout.Constants("AVX2").Offset(4*word), v)
	case word < 12:
		VPBROADCASTD(at(RAX, 4*(word-4)), v)
	case word == 13:
		VPXOR(v, v, v)
	default:
		VMOVDQU(at(R12, map[int]int{12: 0, 14: 128, 15: 256}[word]+32*half), v)
	}
}

func initialState(half int) {
	for i, v := range y {
		initialWord(half, i, v)
		VMOVDQU(v, state(half, i))
	}
}

func loadState(half int) {
	for i, v := range y {
		if i != homeless {
			VMOVDQU(state(half, i), v)
		}
	}
}

func storeState(half int) {
	for i, v := range y {
		if i != homeless {
			VMOVDQU(v, state(half, i))
		}
	}
}

// doubleRound is RFC 8439 2.3: a column round and a diagonal round.
var doubleRound = [2][4][4]int{
	{{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14}, {3, 7, 11, 15}},
	{{0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13}, {3, 4, 9, 14}},
}

// quarterRounds is RFC 8439 2.1, for four quarter rounds beside each other.
func quarterRounds(half int, words [4][4]int) {
	each := func(f func(a, b, c, d int)) {
		for _, q := range words {
			f(q[0], q[1], q[2], q[3])
		}
	}
	scratch := y[homeless]
	for _, by := range [][2]uint64{{16, 12}, {8, 7}} {
		each(func(a, b, _, _ int) { VPADDD(y[b], y[a], y[a]) })
		each(func(a, _, _, d int) { VPXOR(y[a], y[d], y[d]) })
		each(func(_, _, _, d int) { VPSHUFB(rotation(by[0]), y[d], y[d]) })
		each(func(_, b, c, d int) {
			if c != homeless {
				VPADDD(y[d], y[c], y[c])
				VPXOR(y[c], y[b], y[b])
				return
			}
			VPADDD(state(half, c), y[d], scratch)
			VMOVDQU(scratch, state(half, c))
			VPXOR(scratch, y[b], y[b])
		})
		each(func(_, b, _, _ int) {
			VPSLLD(Imm(by[1]), y[b], scratch)
			VPSRLD(Imm(32-by[1]), y[b], y[b])
			VPOR(scratch, y[b], y[b])
		})
	}
}

// finishHalf adds the initial state, transposes and writes the key stream of
// eight blocks, first words 0 to 7, then 8 to 15.
func finishHalf(half int) {
	for first := 0; first < 16; first += 8 {
		for i := range 8 {
			initialWord(half, first+i, y[8])
			VPADDD(state(half, first+i), y[8], y[i])
		}
		// Four words at a time: afterwards register g+k has the words of lanes k
		// and 4+k.
		for _, g := range []int{0, 4} {
			x, t := y[g:], y[8+g:]
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
			VPERM2I128(Imm(0x20), y[4+k], y[k], y[8+2*k])
			VPERM2I128(Imm(0x31), y[4+k], y[k], y[9+2*k])
			VMOVDQU(y[8+2*k], at(RDI, 64*(8*half+k)+4*first))
			VMOVDQU(y[9+2*k], at(RDI, 64*(8*half+4+k)+4*first))
		}
	}
}

// xorLanes adds the key stream to the texts.
//
//	Y0, Y1   text
func xorLanes() {
	layout.XorLanes("AVX2", func() {
		for i, v := range []VecPhysical{Y0, Y1} {
			VMOVDQU(at(RSI, 32*i), v)
			VPXOR(at(RDX, 32*i), v, v)
			VMOVDQU(v, at(RSI, 32*i))
		}
	}, func() {
		xorBits(32, func(text, stream Mem) {
			VMOVDQU(text, Y0)
			VPXOR(stream, Y0, Y0)
			VMOVDQU(Y0, text)
		})
		xorBits(16, func(text, stream Mem) {
			VMOVDQU(text, X0)
			VPXOR(stream, X0, X0)
			VMOVDQU(X0, text)
		})
		xorBits(8, func(text, stream Mem) { MOVQ(stream, R10); XORQ(R10, text) })
		xorBits(4, func(text, stream Mem) { MOVL(stream, R10L); XORL(R10L, text) })
		xorBits(2, func(text, stream Mem) { MOVW(stream, R10W); XORW(R10W, text) })
		xorBits(1, func(text, stream Mem) { MOVB(stream, R10B); XORB(R10B, text) })
	})
}

// xorBits does f, which takes n bytes, if that many are left beside whole
// multiples of 2n.
func xorBits(n int, f func(text, stream Mem)) {
	after := fmt.Sprintf("xor_below_%d", n)
	TESTQ(U32(n), R9)
	JZ(LabelRef(after))
	f(at(RSI, 0), at(RDX, 0))
	ADDQ(Imm(uint64(n)), RSI)
	ADDQ(Imm(uint64(n)), RDX)
	Label(after)
}

// rotation is the permutation of bytes that rotates words left by 8 or 16 bits.
func rotation(by uint64) Mem {
	return global(fmt.Sprintf("rotate%d", by), func() {
		for i := range 32 {
			word, n := i&^3, i&3
			DATA(i, U8(byte(word+(n+4-int(by)/8)&3)&15))
		}
	})
}
