//go:build !purego

package aead

import (
	"encoding/binary"
	"unsafe"
)

// What the kernels of this architecture share: ChaCha20 is computed for up to 32
// blocks at once, whichever messages they belong to; Poly1305 for several
// messages at once.

const (
	laneCount  = 32 // blocks of a call
	groupSize  = 8  // messages that are authenticated together
	openBatch  = 64 // messages whose one-time keys are made beforehand
	groupCount = openBatch / groupSize

	// callSteps bounds the time of one call, in which a goroutine cannot be
	// preempted: 64 steps of 8 times 64 bytes take about a microsecond.
	callSteps = 64

	streamHalf    = 1024               // end of the key stream of half of the lanes
	streamSpill   = 2 * streamHalf     // state within the rounds
	streamCounter = streamSpill + 1024 // block numbers and counters
	streamSize    = streamCounter + 6*64
)

// engine is what differs between kernels.
type engine struct {
	rounds func(v *packer, k *Key)                               // makes the key stream of the lanes that are taken
	spend  func(segments *byte, n int, stream *[streamSize]byte) // spends it on one-time keys and texts

	// authenticate computes the tags of at most groupSize messages, of which the
	// first is message first of the run, into wide.tags.
	authenticate func(v *packer, messages [][]byte, first int)

	erase func(v *packer) // overwrites what authenticate keeps

	// leave returns how many of the messages, from the last, x/crypto is faster
	// for.
	leave func(messages [][]byte) int
}

// segment is a number of consecutive blocks of one message. The generators know
// its layout.
type segment struct {
	counter uint64
	block   uint32 // number of the first: 0 is for the one-time key, text begins with 1
	lanes   uint32 // number of blocks
	text    *byte  // of the first block but 0
	length  int    // of the text in these blocks
	oneTime *oneTimeKey
}

// wide holds secrets within a call and is erased at its end. It has no pointers,
// so that the allocator puts it where no vector lies on two cache lines.
type wide struct {
	stream [streamSize]byte        // 32 blocks, and what the rounds need
	keys   [groupCount]oneTimeKeys // of the groups that are not done
	tags   [2][groupSize]uint64    // of one group: low, high
	poly   [polyRows][8]uint64     // of one group, for AVX-512
	narrow narrow                  // of half a group, for AVX2
}

// oneTimeKeys are those of eight messages, word by word.
type oneTimeKeys [4][groupSize]uint64

// oneTimeKey is where the key of one message is: its words are groupSize apart.
type oneTimeKey [3*groupSize + 1]uint64

// packer is what the kernel keeps in a Run.
type packer struct {
	engine   *engine
	wide     *wide
	segments [laneCount]segment // the lanes that are taken
	n, lanes int                // number of segments and of their lanes
	texts    [groupSize]*byte   // for Poly1305
	strides  [narrowSize]int

	most  int  // segments that have been in use, so much has to be erased
	both  bool // halves of the lanes, likewise
	split bool // a message has had several lanes of Poly1305, likewise
}

// piece is what of a message is not in lanes yet.
type piece struct {
	counter uint64
	block   uint32 // 1, or 0 if the one-time key is wanted as well
	text    []byte
	oneTime *oneTimeKey
}

func (p *piece) blocks() int {
	n := (len(p.text) + 63) / 64
	if p.block == 0 {
		n++
	}
	return n
}

// oneTime returns where the one-time key of message i goes.
func (w *wide) oneTime(i int) *oneTimeKey {
	// Invariant: the last word of every message's key is within its group.
	return (*oneTimeKey)(unsafe.Pointer(&w.keys[i/groupSize%groupCount][0][i%groupSize]))
}

// tag returns the tag of message i of the group that was authenticated last.
func (w *wide) tag(i int) (low, high uint64) { return w.tags[0][i], w.tags[1][i] }

func (e *engine) seal(k *Key, r *Run) {
	n := len(r.Messages) - e.leave(r.Messages)
	if n > 0 {
		r.scratch.prepare(e).seal(k, r, n)
	}
	k.sealEach(r, n)
}

func (e *engine) open(k *Key, r *Run) {
	n := len(r.Messages) - e.leave(r.Messages)
	if n > 0 {
		v := r.scratch.prepare(e)
		for base := 0; base < n; base += openBatch {
			v.openBatch(k, r, base, min(base+openBatch, n))
		}
		v.erase(n)
	}
	k.openEach(r, n)
}

// seal seals the first n messages. It authenticates a group as soon as all lanes
// of its last message have run, when its text is still in the first level cache.
func (v *packer) seal(k *Key, r *Run, n int) {
	sealed, done := 0, 0 // messages of which all lanes have run; that have their tag
	for i, m := range r.Messages[:n] {
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
	for ; done < n; done += groupSize {
		v.writeTags(r.Messages[done:min(done+groupSize, n)], done)
	}
	v.erase(n)
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
		v.takeKeys()
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
	v.engine.authenticate(v, r.Messages[first:end], first)
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
func (s *scratch) prepare(e *engine) *packer {
	if s.packer == nil {
		s.packer = &packer{wide: new(wide)}
	}
	s.packer.engine = e
	// A call that panicked may have left lanes taken: what is in them would be
	// sealed or opened once more.
	s.packer.n, s.packer.lanes = 0, 0
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
	v.both = v.both || v.lanes > laneCount/2
	v.engine.rounds(v, k)
}

// takeKeys writes the one-time keys, while the key stream of texts is kept.
func (v *packer) takeKeys() {
	at := 0
	for i := range v.segments[:v.n] {
		s := &v.segments[i]
		if s.block == 0 {
			for word := range 4 {
				s.oneTime[word*groupSize] = binary.LittleEndian.Uint64(v.wide.stream[at+8*word:])
			}
		}
		at += 64 * int(s.lanes)
	}
}

// spend uses the key stream up.
func (v *packer) spend() {
	v.engine.spend(v.first(), v.n, &v.wide.stream)
	v.n, v.lanes = 0, 0
}

// first returns the segments as assembly takes them.
func (v *packer) first() *byte { return (*byte)(unsafe.Pointer(&v.segments)) }

// writeTags authenticates a group of sealed texts, the first of which is
// message first of the run.
func (v *packer) writeTags(messages [][]byte, first int) {
	v.engine.authenticate(v, messages, first)
	for i, m := range messages {
		low, high := v.wide.tag(i)
		tag := m[len(m)-Overhead:]
		binary.LittleEndian.PutUint64(tag[:8], low)
		binary.LittleEndian.PutUint64(tag[8:], high)
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
	w.tags = [2][groupSize]uint64{}
	v.engine.erase(v)
	clear(v.segments[:v.most])
	clear(v.texts[:])
	v.most, v.both = 0, false
}
