//go:build !purego

package aead

import (
	"unsafe"

	"golang.org/x/sys/cpu"

	"github.com/warrenvpn/warren/internal/impl"
)

//go:generate go -C _asm run ./avx512 -pkg aead -out ../avx512_asm_amd64.s -stubs ../avx512_asm_amd64.go

// The kernel for AVX-512 with IFMA: 32 blocks of ChaCha20 in the registers, and
// Poly1305 for eight messages.
var avx512 = impl.Implementation[kernel]{
	Name:  "avx512",
	Needs: "AVX-512 (F, VL, BW, DQ, IFMA) and BMI2",
	Usable: cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ &&
		cpu.X86.HasAVX512IFMA && cpu.X86.HasBMI2,
	Value: kernel{seal: engineAVX512.seal, open: engineAVX512.open},
}

var engineAVX512 = &engine{
	rounds:       roundsAVX512,
	spend:        xorLanesAVX512,
	authenticate: authenticateAVX512,
	erase:        eraseAVX512,
	leave:        leaveAVX512,
}

// Rows of wide.poly.
const (
	rowOffset = 0  // where a lane reads next, relative to its text
	rowLength = 1  // of its text
	rowEnds   = 2  // all ones if the last block is in this lane
	rowStride = 3  // from step to step, in lane 0
	rowTag    = 4  // two: low, high
	rowLast   = 32 // from here on there is something only if messages have several lanes
	polyRows  = 52
)

// leaveAVX512 leaves a lone short message: the rounds take as long for one lane
// as for sixteen.
func leaveAVX512(messages [][]byte) int {
	if len(messages) == 1 && len(messages[0]) <= 640+Overhead {
		return 1
	}
	return 0
}

func roundsAVX512(v *packer, k *Key) {
	if v.lanes <= laneCount/2 {
		chacha16AVX512(&k.k, v.first(), v.n, &v.wide.stream)
	} else {
		chacha32AVX512(&k.k, v.first(), v.n, &v.wide.stream)
	}
}

// authenticateAVX512 computes the tags of a group of messages.
//
// All lanes end with the same step, so a step is ragged if a text shorter than
// the others has not begun, or begins in it. Few messages have several lanes
// each, which take turns by 64 bytes.
func authenticateAVX512(v *packer, messages [][]byte, first int) {
	p, keys := &v.wide.poly, &v.wide.keys[first/groupSize%groupCount]
	chunks := 1 // of four blocks, in the longest
	for _, m := range messages {
		chunks = max(chunks, (len(m)-Overhead+15)/16/4+1)
	}
	split := 0
	if chunks > 8 {
		split = [groupSize + 1]int{0, 3, 2, 1, 1, 0, 0, 0, 0}[len(messages)]
	}
	steps := (chunks + 1<<split - 1) >> split
	stride := 64 << split
	p[rowStride][0] = uint64(stride)
	least := 0
	for i := range groupSize {
		n := min(i>>split, len(messages)-1) // lanes too many do the same again
		m := messages[n]
		length := max(len(m)-Overhead, 0)
		turn := i & (1<<split - 1)
		offset := (length+15)/16*16 + 16 - stride*steps + 64*turn
		least = min(least, offset)
		p[rowOffset][i] = uint64(offset)
		p[rowLength][i] = uint64(length)
		p[rowEnds][i] = 0
		if turn == 1<<split-1 {
			p[rowEnds][i] = ^uint64(0)
		}
		if v.texts[i] = unsafe.SliceData(m); length == 0 {
			v.texts[i] = &v.wide.stream[0] // not read, but it must be there
		}
	}
	if split > 0 {
		v.split = true
		keys.spread(split)
	}
	ragged := min((stride-1-least)/stride, steps-1)
	whole := steps - 1 - ragged
	for {
		a := min(ragged, callSteps)
		ragged -= a
		b := 0
		if ragged == 0 {
			b = min(whole, callSteps-a)
			whole -= b
		}
		ends := ragged+whole == 0
		poly1305AVX512(p, (*[4][8]uint64)(keys), &v.texts, split, a, b, ends)
		if ends {
			break
		}
		keys = nil
	}
	for i := range messages {
		v.wide.tags[0][i], v.wide.tags[1][i] = p[rowTag][i<<split], p[rowTag+1][i<<split]
	}
}

// spread gives the key of a message to all of its lanes.
func (o *oneTimeKeys) spread(split int) {
	for i := range o {
		for lane := groupSize - 1; lane >= 0; lane-- {
			o[i][lane] = o[i][lane>>split]
		}
	}
}

// eraseAVX512 overwrites the memory of Poly1305 as far as it has been used.
func eraseAVX512(v *packer) {
	if v.split {
		clear(v.wide.poly[:])
	} else {
		clear(v.wide.poly[:rowLast])
	}
	v.split = false
}
