//go:build !purego

package x25519

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate sh -c "cd _asm && go run . -out ../ladder_amd64.s -pkg x25519"

// wideUsable: the processor has what the assembly needs, and the system saves
// its registers.
var wideUsable = cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512IFMA

// The memory of the assembly, which says what is where and why.
type (
	vector  [8]uint64
	element [limbs]vector // a limb in each vector, and eight elements

	pair struct {
		coordinates element
		constants   element
		scalars     [4]vector
		_           [3]element
	}

	fraction struct {
		numerator   element
		denominator element
		_           [4]element
	}

	// scratch is all memory of one call.
	scratch struct {
		pairs    [MaxProducts / 2]pair
		fraction fraction
	}
)

const (
	limbs    = 5
	limbBits = 51
	limbMask = 1<<limbBits - 1
)

// memory is room for scratch that begins where a cache line does: vectors that
// lie across two lines cost twice.
type memory [unsafe.Sizeof(scratch{})/8 + 7]uint64

// scratch returns the place. Invariant: memory has room for 56 bytes before it.
func (m *memory) scratch() *scratch {
	over := uintptr(unsafe.Pointer(m)) % 64 / 8
	return (*scratch)(unsafe.Pointer(&m[(8-over)%8]))
}

// multiplyWide sets results for up to MaxProducts products.
func multiplyWide(results *[MaxProducts][Size]byte, products []Product) {
	var m memory
	m.multiply(results, products)
}

func (m *memory) multiply(results *[MaxProducts][Size]byte, products []Product) {
	s := m.scratch()
	for i := range products {
		s.pairs[i/2].set(i%2*4, &products[i])
	}
	// A word of the scalars in each call, so that none is long: the scheduler
	// cannot interrupt assembly.
	steps := uint64(63) // there is no bit 255
	for word := 3; word >= 0; word-- {
		if len(products) > 2 {
			ladderTwo(&s.pairs[0], uint64(word), steps)
		} else {
			ladderOne(&s.pairs[0], uint64(word), steps)
		}
		steps = 64
	}
	for i := range products {
		s.fraction.set(i, &s.pairs[i/2], i%2*4)
	}
	quotient(&s.fraction)
	for i := range products {
		s.fraction.numerator.bytes(i, &results[i])
	}
	wipe(m)
}

// set begins the ladder of a product in four lanes.
func (p *pair) set(lane int, m *Product) {
	point := m.Point
	if point == nil {
		point = &basePoint
	}
	u := split(point)
	for i, l := range u {
		p.coordinates[i][lane+2] = l
		p.constants[i][lane+3] = l
	}
	p.coordinates[0][lane+0] = 1
	p.coordinates[0][lane+3] = 1
	p.constants[0][lane+1] = 486662 // the curve's, RFC 7748, section 4.1

	k := *m.Scalar
	clamp(&k)
	var w [5]uint64
	for i := range 4 {
		w[i] = binary.LittleEndian.Uint64(k[8*i:])
	}
	for i := range 4 {
		// Where a bit differs from the one above it, the points are swapped.
		swap := w[i] ^ (w[i]>>1 | w[i+1]<<63)
		if i == 3 {
			swap <<= 1 // there is no bit 255
		}
		p.swaps(lane, i, swap)
	}
	wipe(&k)
	wipe(&w)
}

// swaps sets the bits for the steps of a word: whether the points are swapped,
// in the lanes of one point, and ones in those of the other.
func (p *pair) swaps(lane, word int, bits uint64) {
	p.scalars[word][lane+0] = bits
	p.scalars[word][lane+1] = bits
	p.scalars[word][lane+2] = 1<<64 - 1
	p.scalars[word][lane+3] = 1<<64 - 1
}

// set puts x2 / z2 of a ladder into a lane.
func (f *fraction) set(lane int, p *pair, from int) {
	for i := range limbs {
		f.numerator[i][lane] = p.coordinates[i][from]
		f.denominator[i][lane] = p.coordinates[i][from+1]
	}
}

// split returns the limbs of a coordinate. RFC 7748, section 5, has the highest
// bit ignored and values from p on accepted.
func split(b *[Size]byte) [limbs]uint64 {
	var w [4]uint64
	for i := range w {
		w[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return [limbs]uint64{
		w[0] & limbMask,
		(w[0]>>51 | w[1]<<13) & limbMask,
		(w[1]>>38 | w[2]<<26) & limbMask,
		(w[2]>>25 | w[3]<<39) & limbMask,
		w[3] >> 12 & limbMask,
	}
}

// bytes writes the element in a lane, whose limbs are tight, as the number below
// p that it is.
func (e *element) bytes(lane int, b *[Size]byte) {
	var l [limbs]uint64
	q := uint64(19)
	for i := range l {
		l[i] = e[i][lane]
		q = (l[i] + q) >> limbBits
	}
	// q is how often p fits in.
	q *= 19
	for i := range l {
		l[i] += q
		q = l[i] >> limbBits
		l[i] &= limbMask
	}
	binary.LittleEndian.PutUint64(b[0:], l[0]|l[1]<<51)
	binary.LittleEndian.PutUint64(b[8:], l[1]>>13|l[2]<<38)
	binary.LittleEndian.PutUint64(b[16:], l[2]>>26|l[3]<<25)
	binary.LittleEndian.PutUint64(b[24:], l[3]>>39|l[4]<<12)
	wipe(&l)
}

// ladderOne makes steps of the ladders of one pair, with the highest bits in a
// word of their scalars.
//
//go:noescape
func ladderOne(p *pair, word, steps uint64)

// ladderTwo does the same for two pairs that follow each other in memory.
//
//go:noescape
func ladderTwo(p *pair, word, steps uint64)

// quotient divides the numerators by the denominators, and puts 0 for x / 0. The
// limbs of results are tight.
//
//go:noescape
func quotient(f *fraction)
