// Package layout is what the generators of the vector kernels share: the layout
// of what Go hands them, and the loop that spends the key stream.
package layout

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The layout of a segment in Go; a test compares it.
const (
	SegmentCounter = 0  // uint64
	SegmentBlock   = 8  // uint32: number of its first block
	SegmentLanes   = 12 // uint32: number of its blocks
	SegmentText    = 16 // *byte: what blocks from 1 on are added to
	SegmentLength  = 24 // int: of the text in bytes
	SegmentOneTime = 32 // *oneTimeKey: where block 0 goes
	SegmentSize    = 40
)

// The layout of a stream: the key stream of 32 blocks, then memory for the
// rounds.
const (
	StreamState   = 32 * 64             // 1024 bytes of words
	StreamCounter = StreamState + 16*64 // numbers of blocks, halves of counters
	StreamSize    = StreamCounter + 6*64
)

// At returns the memory at base + offset.
func At(base Register, offset int) Mem { return Mem{Base: base, Disp: offset} }

var globals = map[string]Mem{}

// Global returns the read-only data of that name, which fill writes the first
// time.
func Global(name string, fill func()) Mem {
	m, ok := globals[name]
	if !ok {
		m = GLOBL(name, RODATA|NOPTR)
		fill()
		globals[name] = m
	}
	return m
}

// Constants are the words 0 to 3 of the state of ChaCha20.
func Constants(suffix string) Mem {
	return Global("chachaConstants"+suffix, func() {
		for i, w := range []uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574} {
			DATA(4*i, U32(w))
		}
	})
}

// XorLanes spends the key stream: block 0 of a message on its one-time key, the
// others on its text. block adds 64 bytes, and tail the R9 bytes, less than 64,
// that are left.
//
//	BX segment, CX segments left, DX key stream of the next lane
//	SI text, R9 bytes left of it, R8 key stream of the next segment, R10 scratch
func XorLanes(suffix string, block, tail func()) {
	name := "xorLanes" + suffix
	TEXT(name, NOSPLIT, fmt.Sprintf("func(segments *byte, n int, stream *[%d]byte)", StreamSize))
	Doc(name + " adds the key stream of n segments, at least one, to their texts and writes their one-time keys.")
	Pragma("noescape")
	Load(Param("segments"), RBX)
	Load(Param("n"), RCX)
	Load(Param("stream"), RDX)

	Label("xor_segment")
	MOVL(At(RBX, SegmentLanes), R8L)
	SHLQ(Imm(6), R8)
	ADDQ(RDX, R8)
	CMPL(At(RBX, SegmentBlock), Imm(0))
	JNE(LabelRef("xor_text"))
	MOVQ(At(RBX, SegmentOneTime), RSI)
	for i := range 4 { // words are a row of eight messages apart
		MOVQ(At(RDX, 8*i), R10)
		MOVQ(R10, At(RSI, 64*i))
	}
	ADDQ(Imm(64), RDX)

	Label("xor_text")
	MOVQ(At(RBX, SegmentText), RSI)
	MOVQ(At(RBX, SegmentLength), R9)
	SUBQ(Imm(64), R9)
	JB(LabelRef("xor_tail"))
	Label("xor_block")
	block()
	ADDQ(Imm(64), RSI)
	ADDQ(Imm(64), RDX)
	SUBQ(Imm(64), R9)
	JAE(LabelRef("xor_block"))

	Label("xor_tail")
	ADDQ(Imm(64), R9)
	JZ(LabelRef("xor_next"))
	tail()

	Label("xor_next")
	MOVQ(R8, RDX)
	ADDQ(Imm(SegmentSize), RBX)
	DECQ(RCX)
	JNZ(LabelRef("xor_segment"))
	VZEROUPPER()
	RET()
}
