//go:build !purego

package aead

import (
	"encoding/binary"

	"golang.org/x/sys/cpu"

	"github.com/warrenvpn/warren/internal/impl"
)

//go:generate go -C _asm run ./avx2 -pkg aead -out ../avx2_asm_amd64.s -stubs ../avx2_asm_amd64.go

// The kernel for AVX2: 16 blocks of ChaCha20 by turns in the registers, and
// Poly1305 for four messages.
var avx2 = impl.Implementation[kernel]{
	Name:   "avx2",
	Needs:  "AVX2",
	Usable: cpu.X86.HasAVX2,
	Value:  kernel{seal: engineAVX2.seal, open: engineAVX2.open},
}

var engineAVX2 = &engine{
	rounds:       func(v *packer, k *Key) { chachaAVX2(&k.k, v.first(), v.n, v.lanes, &v.wide.stream) },
	spend:        xorLanesAVX2,
	authenticate: authenticateAVX2,
	erase:        eraseAVX2,
	leave:        leaveAVX2,
}

// narrow is the memory of Poly1305 for four messages.
type narrow struct {
	rows  [narrowRows][narrowSize]uint64
	stage [narrowSize][narrowStep]byte // what is not whole of a step, with zeros
	zeros [narrowStep]byte             // a step in which a text has not begun
}

const (
	narrowSize = 4   // messages
	narrowStep = 32  // bytes of each in a step
	narrowCall = 256 // steps in a call, about three microseconds

	narrowHigh = 0 // rows: 2^128 in limb 4, or 0, for both blocks of a step
	narrowH    = 2 // five rows: the accumulator
	narrowRows = 25
	narrowBit  = 1 << 24 // 2^128 in limb 4, which weighs 2^104
)

// leaveAVX2 leaves one or two messages, and so many of long ones that do not fill
// the lanes of Poly1305.
func leaveAVX2(messages [][]byte) int {
	n := len(messages)
	rest := n % narrowSize
	switch {
	case n < 3:
		return n
	case rest == 0 || len(messages[n-rest]) <= 192+Overhead:
		return 0
	case n == 3:
		return n
	case rest < 3:
		return rest
	}
	return 0
}

func authenticateAVX2(v *packer, messages [][]byte, first int) {
	for i := 0; i < len(messages); i += narrowSize {
		v.authenticateNarrow(messages[i:min(i+narrowSize, len(messages))], first+i)
	}
}

// authenticateNarrow computes the tags of up to four messages.
//
// All lanes end with the same step. A text shorter than the others begins later:
// until then zeros are taken for it, without the bit 2^128, which leave its
// accumulator zero. The last step and one with half a text are staged.
func (v *packer) authenticateNarrow(messages [][]byte, first int) {
	w := &v.wide.narrow
	var texts [narrowSize][]byte
	var offsets [narrowSize]int // of the step, relative to the text
	steps := 1
	for i := range texts {
		m := messages[min(i, len(messages)-1)] // lanes too many do the same again
		texts[i] = m[:max(len(m)-Overhead, 0)]
		steps = max(steps, (len(texts[i])+15)/16/2+1)
	}
	for i, text := range texts {
		offsets[i] = (len(text)+15)/16*16 + 16 - narrowStep*steps
	}
	keys := &v.wide.keys[first/groupSize%groupCount][0][first%groupSize]
	for steps > 0 {
		n := v.aim(&texts, &offsets, steps)
		poly1305AVX2(&w.rows, keys, (*[narrowSize]*byte)(v.texts[:]), &v.strides, n)
		keys = nil
		steps -= n
		for i := range offsets {
			offsets[i] += narrowStep * n
		}
	}
	for i := range messages {
		o := &v.wide.keys[first/groupSize%groupCount]
		lane := (first + i) % groupSize
		low, high := w.tag(i, o[2][lane], o[3][lane])
		v.wide.tags[0][lane], v.wide.tags[1][lane] = low, high
	}
}

// eraseAVX2 overwrites the memory of Poly1305 and of the rounds.
func eraseAVX2(v *packer) {
	v.wide.narrow = narrow{}
	clear(v.wide.stream[streamSpill:])
}

// aim sets up the next steps that all lanes can take alike, at most steps, and
// returns their number.
func (v *packer) aim(texts *[narrowSize][]byte, offsets *[narrowSize]int, steps int) (n int) {
	w := &v.wide.narrow
	w.stage = [narrowSize][narrowStep]byte{}
	n = max(min(steps-1, narrowCall), 1)
	for i, o := range offsets {
		bits := [2]uint64{narrowBit, narrowBit}
		text, stage := texts[i], &w.stage[i]
		v.texts[i], v.strides[i] = &stage[0], narrowStep
		switch {
		case steps == 1: // what is left of the text, and the lengths
			bits[0] = 0
			if o >= 0 {
				bits[0] = narrowBit
				copy(stage[:], text[o:])
			}
			binary.LittleEndian.PutUint64(stage[24:], uint64(len(text)))
		case o <= -narrowStep: // not begun
			bits = [2]uint64{}
			v.texts[i], v.strides[i] = &w.zeros[0], 0
			n = min(n, -o/narrowStep)
		case o < 0: // begins with the second block
			bits[0] = 0
			copy(stage[16:], text)
			n = 1
		default:
			v.texts[i] = &text[o]
		}
		w.rows[narrowHigh][i], w.rows[narrowHigh+1][i] = bits[0], bits[1]
	}
	return n
}

// tag returns the tag of lane i: h mod p, plus s.
func (w *narrow) tag(i int, s0, s1 uint64) (low, high uint64) {
	const mask = 1<<26 - 1
	var h [5]uint64
	for j := range h {
		h[j] = w.rows[narrowH+j][i]
	}
	for range 2 { // the first carry out of limb 4 may make limb 0 overflow
		for j := range 4 {
			h[j+1] += h[j] >> 26
			h[j] &= mask
		}
		h[0] += 5 * (h[4] >> 26)
		h[4] &= mask
	}
	h[1] += h[0] >> 26
	h[0] &= mask
	p := poly{
		h0: h[0] + h[1]<<26 + h[2]<<52, h1: h[2]>>12 + h[3]<<14 + h[4]<<40, h2: h[4] >> 24,
		s0: s0, s1: s1,
	}
	tag := p.tag()
	return binary.LittleEndian.Uint64(tag[:8]), binary.LittleEndian.Uint64(tag[8:])
}
