//go:build !purego

package aead

import (
	"crypto/subtle"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/warrenvpn/warren/internal/impl"
)

func platformKernels() []impl.Implementation[kernel] {
	// Every arm64 that Go runs on has NEON.
	return []impl.Implementation[kernel]{{Name: "neon", Needs: "NEON", Usable: true, Value: kernel{seal: sealNEON, open: openNEON}}}
}

const (
	chachaSize = 64 // of a block
	laneCount  = 4  // blocks in one call of the assembly

	// groupSize is how many messages are worked on together: a multiple of
	// laneCount, so that their Poly1305 keys leave no lane empty, and so few
	// that messages are still in the nearest cache when they are authenticated.
	groupSize = 8
)

// keystream is that of one block.
type keystream [chachaSize]byte

// quad is the argument of the assembly, which knows the offsets: four blocks,
// and for each the words 12 to 15 of the state in RFC 8439 2.3.
type quad struct {
	block [laneCount]uint32
	nonce [3][laneCount]uint32

	at  [laneCount]*[chachaSize]byte // text; nil for the block in own
	own [laneCount]keystream         // zeros, to which keystream is added
}

// set puts the beginning of text into all four lanes.
//
// hot path
func (q *quad) set(text []byte, counter uint64, block uint32) {
	low, high := uint32(counter), uint32(counter>>32)
	q.block = [laneCount]uint32{block, block + 1, block + 2, block + 3}
	q.nonce[1] = [laneCount]uint32{low, low, low, low}
	q.nonce[2] = [laneCount]uint32{high, high, high, high}
	q.at = [laneCount]*[chachaSize]byte{
		(*[chachaSize]byte)(text[0*chachaSize:]),
		(*[chachaSize]byte)(text[1*chachaSize:]),
		(*[chachaSize]byte)(text[2*chachaSize:]),
		(*[chachaSize]byte)(text[3*chachaSize:]),
	}
}

// xorQuad adds keystream to the four blocks of q.
//
//go:noescape
func xorQuad(key *[chacha20poly1305.KeySize]byte, q *quad)

// neonWork is what one call works with: it collects blocks of any messages
// until all lanes have one. It lies on the stack, which is why nothing in it
// points into itself, and is erased.
type neonWork struct {
	quad quad
	n    int               // lanes taken
	rest [laneCount][]byte // text that an own block is added to, less than a block
	keep [laneCount]int    // of an own block without that, its place in kept

	kept [keptCount]keystream // block 0 of each message, and from ahead on what its name says
	tags [groupSize]tag
}

// Places in neonWork.kept.
const (
	ahead     = groupSize // the first blocks of text of one message
	keptCount = ahead + laneCount - 1
)

// sealNEON encrypts groupSize messages at a time and then authenticates them.
//
// hot path
func sealNEON(k *Key, r *Run) {
	var w neonWork
	for from := 0; from < len(r.Messages); from += groupSize {
		group := r.Messages[from:min(from+groupSize, len(r.Messages))]
		counters := r.Counters[from:][:len(group)]
		for i, m := range group {
			w.addKept(k, i, counters[i], 0)
			w.addText(k, m[:len(m)-Overhead], counters[i], 1)
		}
		w.flush(k)
		w.authenticate(group)
		for i, m := range group {
			w.tags[i].put(m[len(m)-Overhead:])
		}
	}
	w.erase()
}

// openNEON authenticates groupSize messages at a time and then decrypts those
// that are authentic.
//
// hot path
func openNEON(k *Key, r *Run) {
	var w neonWork
	for from := 0; from < len(r.Messages); {
		var group [groupSize][]byte
		var index [groupSize]int
		n := 0
		for ; from < len(r.Messages) && n < groupSize; from++ {
			r.OK[from] = false
			if m := r.Messages[from]; len(m) >= Overhead {
				group[n], index[n] = m, from
				n++
			}
		}
		w.open(k, r, group[:n], index[:n])
	}
	w.erase()
}

// open opens the messages of group, which are those of r at index.
//
// hot path
func (w *neonWork) open(k *Key, r *Run, group [][]byte, index []int) {
	for i, at := range index {
		w.addKept(k, i, r.Counters[at], 0)
	}
	// Lanes left over begin with the text of the last message.
	begun := 0
	for ; w.n > 0 && begun*chachaSize < len(group[len(group)-1])-Overhead; begun++ {
		w.addKept(k, ahead+begun, r.Counters[index[len(index)-1]], uint32(1+begun))
	}
	w.flush(k)
	w.authenticate(group)
	for i, m := range group {
		text, tag := m[:len(m)-Overhead], m[len(m)-Overhead:]
		if !w.tags[i].equals(tag) {
			clear(text)
			continue
		}
		r.OK[index[i]] = true
		first := uint32(1)
		if i == len(group)-1 {
			for j := range begun {
				text = text[subtle.XORBytes(text, text, w.kept[ahead+j][:]):]
				first++
			}
		}
		w.addText(k, text, r.Counters[index[i]], first)
	}
	w.flush(k)
}

// addText takes lanes for text, whose first block has the number block.
//
// hot path
func (w *neonWork) addText(k *Key, text []byte, counter uint64, block uint32) {
	for len(text) >= chachaSize {
		if w.n == 0 && len(text) >= laneCount*chachaSize {
			w.quad.set(text, counter, block)
			xorQuad(&k.k, &w.quad)
			text, block = text[laneCount*chachaSize:], block+laneCount
			continue
		}
		w.quad.at[w.n] = (*[chachaSize]byte)(text)
		w.add(k, counter, block)
		text, block = text[chachaSize:], block+1
	}
	if len(text) > 0 {
		w.quad.at[w.n], w.rest[w.n] = nil, text
		w.add(k, counter, block)
	}
}

// addKept takes a lane for a block of keystream to be kept.
//
// hot path
func (w *neonWork) addKept(k *Key, place int, counter uint64, block uint32) {
	w.quad.at[w.n], w.rest[w.n], w.keep[w.n] = nil, nil, place
	w.add(k, counter, block)
}

// add completes the next lane.
//
// hot path
func (w *neonWork) add(k *Key, counter uint64, block uint32) {
	w.quad.block[w.n] = block
	w.quad.nonce[1][w.n], w.quad.nonce[2][w.n] = uint32(counter), uint32(counter>>32)
	if w.n++; w.n == laneCount {
		w.flush(k)
	}
}

// flush works on the lanes that are taken.
//
// hot path
func (w *neonWork) flush(k *Key) {
	if w.n == 0 {
		return
	}
	clear(w.quad.at[w.n:])
	xorQuad(&k.k, &w.quad)
	for i, at := range &w.quad.at {
		if at != nil {
			continue
		}
		switch own := &w.quad.own[i]; {
		case i >= w.n: // of no use
		case len(w.rest[i]) > 0:
			subtle.XORBytes(w.rest[i], w.rest[i], own[:])
		default:
			w.kept[w.keep[i]] = *own
		}
		w.quad.own[i] = keystream{}
	}
	w.n = 0
}

// authenticate computes the tags of the ciphertexts of group.
//
// hot path
func (w *neonWork) authenticate(group [][]byte) {
	var p, q accumulator
	for i := 0; i < len(group); i += 2 {
		a := group[i][:len(group[i])-Overhead]
		p.reset(&w.kept[i])
		if i+1 == len(group) {
			w.tags[i] = p.finish(&w.kept[i], a, len(a))
			break
		}
		b := group[i+1][:len(group[i+1])-Overhead]
		q.reset(&w.kept[i+1])
		both := min(len(a), len(b)) &^ (polySize - 1)
		absorbBoth(&p, &q, a[:both], b[:both])
		w.tags[i] = p.finish(&w.kept[i], a[both:], len(a))
		w.tags[i+1] = q.finish(&w.kept[i+1], b[both:], len(b))
	}
}

// erase overwrites what is derived from the key.
//
//go:noinline
func (w *neonWork) erase() { *w = neonWork{} }
