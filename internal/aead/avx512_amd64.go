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

	streamHalf    = 1024        // end of the key stream of half of the lanes
	streamCounter = 2048 + 1024 // block numbers and counters
	streamSize    = streamCounter + 6*64
	smallest      = -1 // of a lone message, in bytes
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
	stream [streamSize]byte        // 32 blocks, and what the rounds need
	keys   [groupCount]oneTimeKeys // of the groups that are not done
	poly   [polyRows][8]uint64     // of one group
}

// oneTimeKeys are those of eight messages, word by word.
type oneTimeKeys [4][groupSize]uint64

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

// packer is what the kernel keeps in a Run.
type packer struct {
	wide     *wide
	segments [laneCount]segment // the lanes that are taken
	n, lanes int                // number of segments and of their lanes
	texts    [groupSize]*byte

	most  int  // segments that have been in use, so much has to be erased
	both  bool // halves of the lanes, likewise
	split bool // a message had several lanes of Poly1305, likewise
}

// piece is what of a message is not in lanes yet.
type piece struct {
	counter uint64
	block   uint32 // 1, or 0 if the one-time key is wanted as well
	text    []byte
	oneTime *uint64
}

func (p *piece) blocks() int {
	n := (len(p.text) + 63) / 64
	if p.block == 0 {
		n++
	}
	return n
}

// oneTime returns where the one-time key of message i goes.
func (w *wide) oneTime(i int) *uint64 { return &w.keys[i/groupSize%groupCount][0][i%groupSize] }

// tag returns the tag of message i of the group that was authenticated last.
func (w *wide) tag(i int) (low, high uint64) { return w.poly[rowTag][i], w.poly[rowTag+1][i] }

// sealAVX512 authenticates a group of messages as soon as all lanes of its last
// one have run, when its text is still in the first level cache.
func sealAVX512(k *Key, r *Run) {
	if tooSmall(r) {
		sealLibrary(k, r)
		return
	}
	v := r.scratch.prepare()
	sealed, done := 0, 0 // messages of which all lanes have run; that have their tag
	for i, m := range r.Messages {
		if v.add(k, piece{r.Counters[i], 0, m[:len(m)-Overhead], v.wide.oneTime(i)}) {
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
	v.erase(len(r.Messages))
}

func openAVX512(k *Key, r *Run) {
	if tooSmall(r) {
		openLibrary(k, r)
		return
	}
	v := r.scratch.prepare()
	for base := 0; base < len(r.Messages); base += openBatch {
		v.openBatch(k, r, base, min(base+openBatch, len(r.Messages)))
	}
	v.erase(len(r.Messages))
}

// openBatch opens messages from base to end. It makes all one-time keys, then
// authenticates groups. What is authentic is decrypted when lanes are full.
//
// Lanes that the keys leave free are for the texts that come first: their key
// stream is kept until they are authenticated. A small run needs the rounds
// once.
func (v *packer) openBatch(k *Key, r *Run, base, end int) {
	for i := base; i < end; i++ {
		v.add(k, piece{r.Counters[i], 0, nil, v.wide.oneTime(i)})
	}
	early, kept := base, v.lanes > 0 // texts before early are in lanes
	var cut piece                    // of the last of them
	if kept {
		for ; early < end && v.lanes < laneCount; early++ {
			cut = text(r, early)
			v.put(&cut)
		}
		v.rounds(k)
		takeKeysAVX512(v.first(), v.n, &v.wide.stream)
	}
	for i := base; i < end; i += groupSize {
		next := min(i+groupSize, end)
		v.verify(r, i, next)
		if next < early {
			continue
		}
		if kept {
			kept = false
			v.release(r, base)
			if r.OK[early-1] {
				v.add(k, cut)
			}
		}
		for j := max(i, early); j < next; j++ {
			if r.OK[j] {
				v.add(k, text(r, j))
			}
		}
	}
	v.run(k)
}

// text returns the text of message i as a piece.
func text(r *Run, i int) piece {
	m := r.Messages[i]
	return piece{r.Counters[i], 1, m[:max(len(m)-Overhead, 0)], nil}
}

// verify sets OK of messages from first to end, which are one group, and zeroes
// the texts of those that are not authentic.
func (v *packer) verify(r *Run, first, end int) {
	v.authenticate(r.Messages[first:end], first)
	for i, m := range r.Messages[first:end] {
		ok := false
		if n := len(m) - Overhead; n >= 0 {
			low, high := v.wide.tag(i)
			diff := (low ^ binary.LittleEndian.Uint64(m[n:])) | (high ^ binary.LittleEndian.Uint64(m[n+8:]))
			if ok = diff == 0; !ok {
				clear(m[:n])
			}
		}
		r.OK[first+i] = ok
	}
}

// release decrypts the texts in lanes that were kept, of messages from base on,
// as far as they are authentic.
func (v *packer) release(r *Run, base int) {
	i := base
	for j := range v.segments[:v.n] {
		s := &v.segments[j]
		if s.block == 0 {
			continue
		}
		for len(r.Messages[i]) <= Overhead {
			i++ // has no text, so no lane
		}
		if !r.OK[i] {
			s.length = 0
		}
		i++
	}
	v.spend()
}

// prepare returns the memory of the kernel, which the first call allocates.
func (s *scratch) prepare() *packer {
	if s.packer == nil {
		s.packer = &packer{wide: new(wide)}
	}
	return s.packer
}

// add takes lanes for a piece. It runs lanes whenever all are taken, and tells
// whether that was so.
func (v *packer) add(k *Key, p piece) (ran bool) {
	for p.blocks() > 0 {
		v.put(&p)
		if v.lanes == laneCount {
			v.run(k)
			ran = true
		}
	}
	return ran
}

// put takes lanes for as much of p as there are left, and cuts that off.
func (v *packer) put(p *piece) {
	take := min(p.blocks(), laneCount-v.lanes)
	if take == 0 {
		return
	}
	length := 64 * take
	if p.block == 0 {
		length -= 64
	}
	length = min(length, len(p.text))
	s := &v.segments[v.n]
	s.counter, s.block, s.lanes = p.counter, p.block, uint32(take)
	s.text, s.length, s.oneTime = unsafe.SliceData(p.text), length, p.oneTime
	v.n++
	v.lanes += take
	p.text = p.text[length:]
	p.block += uint32(take)
}

// run computes the lanes that are taken.
func (v *packer) run(k *Key) {
	if v.lanes > 0 {
		v.rounds(k)
		v.spend()
	}
}

// rounds makes the key stream of the lanes that are taken.
func (v *packer) rounds(k *Key) {
	v.most = max(v.most, v.n)
	if v.lanes <= laneCount/2 {
		chacha16AVX512(&k.k, v.first(), v.n, &v.wide.stream)
		return
	}
	v.both = true
	chacha32AVX512(&k.k, v.first(), v.n, &v.wide.stream)
}

// spend uses the key stream up.
func (v *packer) spend() {
	xorLanesAVX512(v.first(), v.n, &v.wide.stream)
	v.n, v.lanes = 0, 0
}

// first returns the segments as assembly takes them.
func (v *packer) first() *byte { return (*byte)(unsafe.Pointer(&v.segments)) }

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

// erase overwrites the secrets of a run of n messages, and forgets the messages.
func (v *packer) erase(n int) {
	w := v.wide
	if v.both {
		clear(w.stream[:])
	} else {
		clear(w.stream[:streamHalf])
		clear(w.stream[streamCounter:])
	}
	clear(w.keys[:min((n+groupSize-1)/groupSize, groupCount)])
	if v.split {
		clear(w.poly[:])
	} else {
		clear(w.poly[:rowLast])
	}
	clear(v.segments[:v.most])
	clear(v.texts[:])
	v.most, v.both, v.split = 0, false, false
}

// tooSmall tells whether x/crypto is faster: the rounds take as long for one lane
// as for sixteen.
func tooSmall(r *Run) bool {
	return len(r.Messages) == 1 && len(r.Messages[0]) <= smallest
}
