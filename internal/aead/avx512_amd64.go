//go:build !purego

package aead

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/cpu"

	"github.com/warrenvpn/warren/internal/impl"
)

//go:generate go -C _asm run ./avx512 -pkg aead -out ../avx512_asm_amd64.s -stubs ../avx512_asm_amd64.go

// The kernel for AVX-512 with IFMA. ChaCha20 is computed for 32 blocks at once,
// whichever messages they belong to; Poly1305 for eight messages at once.

var avx512 = impl.Implementation[kernel]{
	Name:  "avx512",
	Needs: "AVX-512 (F, VL, BW, DQ, IFMA) and BMI2",
	Usable: cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ &&
		cpu.X86.HasAVX512IFMA && cpu.X86.HasBMI2,
	Value: kernel{seal: sealAVX512, open: openAVX512},
}

const (
	laneCount  = 32 // blocks of a call
	groupSize  = 8  // messages of a call
	openBatch  = 64 // messages whose one-time keys are made beforehand
	groupCount = openBatch / groupSize

	// callSteps bounds the time of one call, in which a goroutine cannot be
	// preempted: 64 steps of 512 bytes take about a microsecond.
	callSteps = 64
)

// segment is a number of consecutive blocks of one message. The generator knows
// its layout.
type segment struct {
	counter uint64
	block   uint32 // number of the first: 0 is for the one-time key, text begins with 1
	lanes   uint32 // number of blocks
	text    *byte  // of the first block but 0
	length  int    // of the text in these blocks
	oneTime *uint64
}

// wide holds secrets within a call and is erased at its end. It has no pointers,
// so that the allocator puts it where no vector lies on two cache lines.
type wide struct {
	stream [3456]byte              // 32 blocks, and what the rounds need
	keys   [groupCount]oneTimeKeys // of the groups that are not done
	poly   [polyRows][8]uint64     // of one group
}

// oneTimeKeys are those of eight messages, word by word.
type oneTimeKeys [4][groupSize]uint64

// Rows of wide.poly.
const (
	rowOffset = 0 // where a lane reads next, relative to its text
	rowLength = 1 // of its text
	rowEnds   = 2 // all ones if the last block is in this lane
	rowStride = 3 // from step to step, in lane 0
	rowTag    = 4 // two: low, high
	polyRows  = 52
)

// packer is what the kernel keeps in a Run.
type packer struct {
	wide     *wide
	segments [laneCount]segment // the lanes that are taken
	n, lanes int                // number of segments and of their lanes
	texts    [groupSize]*byte
}

// oneTime returns where the one-time key of message i goes.
func (w *wide) oneTime(i int) *uint64 { return &w.keys[i/groupSize%groupCount][0][i%groupSize] }

// tag returns the tag of message i of the group that was authenticated last.
func (w *wide) tag(i int) (low, high uint64) { return w.poly[rowTag][i], w.poly[rowTag+1][i] }

// sealAVX512 authenticates a group of messages as soon as all lanes of its last
// one have run, when its text is still in the first level cache.
func sealAVX512(k *Key, r *Run) {
	v := r.scratch.prepare()
	sealed, done := 0, 0 // messages of which all lanes have run; that have their tag
	for i, m := range r.Messages {
		if v.add(k, r.Counters[i], 0, m[:len(m)-Overhead], v.wide.oneTime(i)) {
			sealed = i
			if v.lanes == 0 {
				sealed = i + 1
			}
		}
		for ; sealed-done >= groupSize; done += groupSize {
			v.writeTags(r.Messages[done:][:groupSize], done)
		}
	}
	v.run(k)
	for ; done < len(r.Messages); done += groupSize {
		v.writeTags(r.Messages[done:min(done+groupSize, len(r.Messages))], done)
	}
	v.erase()
}

// openAVX512 makes the one-time keys of many messages, which fill its lanes,
// then authenticates groups. What is authentic is decrypted when lanes are full.
func openAVX512(k *Key, r *Run) {
	v := r.scratch.prepare()
	for base := 0; base < len(r.Messages); base += openBatch {
		end := min(base+openBatch, len(r.Messages))
		for i := base; i < end; i++ {
			v.add(k, r.Counters[i], 0, nil, v.wide.oneTime(i))
		}
		v.run(k)
		for i := base; i < end; i += groupSize {
			v.openGroup(k, r, i, min(i+groupSize, end))
		}
		v.run(k)
	}
	v.erase()
}

// openGroup takes messages from first to end.
func (v *packer) openGroup(k *Key, r *Run, first, end int) {
	v.authenticate(r.Messages[first:end], first)
	for i, m := range r.Messages[first:end] {
		ok := false
		if n := len(m) - Overhead; n >= 0 {
			low, high := v.wide.tag(i)
			diff := (low ^ binary.LittleEndian.Uint64(m[n:])) | (high ^ binary.LittleEndian.Uint64(m[n+8:]))
			if ok = diff == 0; ok {
				v.add(k, r.Counters[first+i], 1, m[:n], nil)
			} else {
				clear(m[:n])
			}
		}
		r.OK[first+i] = ok
	}
}

// prepare returns the memory of the kernel, which the first call allocates.
func (s *scratch) prepare() *packer {
	if s.packer == nil {
		s.packer = &packer{wide: new(wide)}
	}
	return s.packer
}

// add takes lanes for a text, which begins with the given block: 1, or 0 if its
// one-time key is wanted as well. It runs lanes whenever all are taken, and tells
// whether that was so.
func (v *packer) add(k *Key, counter uint64, block uint32, text []byte, oneTime *uint64) (ran bool) {
	blocks := (len(text) + 63) / 64
	if block == 0 {
		blocks++
	}
	for blocks > 0 {
		take := min(blocks, laneCount-v.lanes)
		length := 64 * take
		if block == 0 {
			length -= 64
		}
		length = min(length, len(text))
		v.segments[v.n] = segment{
			counter: counter, block: block, lanes: uint32(take),
			text: unsafe.SliceData(text), length: length, oneTime: oneTime,
		}
		v.n++
		text = text[length:]
		block += uint32(take)
		blocks -= take
		if v.lanes += take; v.lanes == laneCount {
			v.run(k)
			ran = true
		}
	}
	return ran
}

// run computes the lanes that are taken.
func (v *packer) run(k *Key) {
	if v.lanes == 0 {
		return
	}
	segments, stream := (*byte)(unsafe.Pointer(&v.segments)), &v.wide.stream
	if v.lanes <= laneCount/2 {
		chacha16AVX512(&k.k, segments, v.n, stream)
	} else {
		chacha32AVX512(&k.k, segments, v.n, stream)
	}
	xorLanesAVX512(segments, v.n, stream)
	v.n, v.lanes = 0, 0
}

// writeTags authenticates a group of sealed texts, the first of which is
// message first of the run.
func (v *packer) writeTags(messages [][]byte, first int) {
	v.authenticate(messages, first)
	for i, m := range messages {
		low, high := v.wide.tag(i)
		tag := m[len(m)-Overhead:]
		binary.LittleEndian.PutUint64(tag[:8], low)
		binary.LittleEndian.PutUint64(tag[8:], high)
	}
}

// authenticate computes the tags of a group of messages, of which the first is
// message first of the run.
//
// All lanes end with the same step, so a step is ragged if a text shorter than
// the others has not begun, or begins in it. Few messages have several lanes
// each, which take turns by 64 bytes.
func (v *packer) authenticate(messages [][]byte, first int) {
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
		p[rowTag][i], p[rowTag+1][i] = p[rowTag][i<<split], p[rowTag+1][i<<split]
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

// erase overwrites all secrets, and forgets the messages.
func (v *packer) erase() {
	*v.wide = wide{}
	clear(v.segments[:])
	clear(v.texts[:])
}
