package blake2s

import "encoding/binary"

const (
	// Size is the length of a hash and of an HMAC in bytes.
	Size = 32
	// MACSize is the length of a MAC in bytes.
	MACSize = 16
	// BlockSize is how many bytes are compressed at once.
	BlockSize = 64
)

// iv is the initialisation vector. RFC 7693, section 2.6
var iv = [8]uint32{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}

// state is a hash being computed: RFC 7693, section 3.3.
type state struct {
	h     [8]uint32
	t     uint64 // bytes compressed
	n     int    // bytes in block: the last block has to be known for the last
	block [BlockSize]byte
}

// begin makes s the state before the first byte, for a result of a length and
// with a key of a length.
func (s *state) begin(size, keyLength int) {
	s.h = iv
	s.h[0] ^= 0x01010000 ^ uint32(keyLength)<<8 ^ uint32(size)
	s.t, s.n = 0, 0
}

// resume makes s the state h after one block.
func (s *state) resume(h *[8]uint32) {
	s.h = *h
	s.t, s.n = BlockSize, 0
}

func (s *state) write(b []byte) {
	for len(b) > 0 {
		if s.n == BlockSize {
			s.t += BlockSize
			compress(&s.h, &s.block, s.t, false)
			s.n = 0
		}
		c := copy(s.block[s.n:], b)
		s.n += c
		b = b[c:]
	}
}

// finish compresses the last block.
func (s *state) finish() {
	clear(s.block[s.n:])
	s.t += uint64(s.n)
	compress(&s.h, &s.block, s.t, true)
}

// firstBlock sets h to the state after s.block as the first of several.
func (s *state) firstBlock(h *[8]uint32) {
	compress(&s.h, &s.block, BlockSize, false)
	*h = s.h
}

// Sum returns the hash of a followed by b: HASH.
func Sum(a, b []byte) (sum [Size]byte) {
	var s state
	s.begin(Size, 0)
	s.write(a)
	s.write(b)
	s.finish()
	put(sum[:], &s.h)
	return sum
}

// MAC is a key for BLAKE2s with a result of MACSize bytes: MAC.
type MAC struct{ h [8]uint32 }

// NewMAC returns the key k, of 1 to Size bytes.
func NewMAC(k []byte) (m MAC) {
	if len(k) == 0 || len(k) > Size {
		panic("blake2s: key of a wrong length")
	}
	var s state
	s.begin(MACSize, len(k))
	copy(s.block[:], k)
	s.firstBlock(&m.h)
	wipe(&s)
	return m
}

// Sum returns the MAC of data.
func (m *MAC) Sum(data []byte) (sum [MACSize]byte) {
	var s state
	if len(data) == 0 {
		panic("blake2s: nothing to authenticate") // the key block would be the last
	}
	s.resume(&m.h)
	s.write(data)
	s.finish()
	put(sum[:], &s.h)
	return sum
}

// Clear overwrites the key.
//
//go:noinline
func (m *MAC) Clear() { *m = MAC{} }

// HMAC is a key for HMAC-BLAKE2s (RFC 2104): its two pads, compressed.
type HMAC struct{ inner, outer [8]uint32 }

// SetKey makes k the key.
func (m *HMAC) SetKey(k *[Size]byte) {
	var s state
	s.pad(k, innerPad)
	s.firstBlock(&m.inner)
	s.pad(k, outerPad)
	s.firstBlock(&m.outer)
	wipe(&s)
}

// The pads of RFC 2104, eight bytes of them.
const (
	innerPad = 0x3636363636363636
	outerPad = 0x5c5c5c5c5c5c5c5c
)

// pad makes s the beginning of a hash whose first block is k with a pad.
func (s *state) pad(k *[Size]byte, pad uint64) {
	s.begin(Size, 0)
	for i := 0; i < BlockSize; i += 8 {
		w := pad
		if i < Size {
			w ^= binary.LittleEndian.Uint64(k[i:])
		}
		binary.LittleEndian.PutUint64(s.block[i:], w)
	}
}

// Sum sets sum to the HMAC of a followed by b, of which one at least is not
// empty: for nothing there is Nothing. sum may be in the memory of a or b.
func (m *HMAC) Sum(sum *[Size]byte, a, b []byte) {
	if len(a)+len(b) == 0 {
		panic("blake2s: nothing to authenticate") // the pad would be the last block
	}
	var s state
	s.resume(&m.inner)
	s.write(a)
	s.write(b)
	s.finish()
	m.again(sum, &s)
	wipe(&s)
}

// Nothing sets sum to the HMAC of an empty message under k, which m is the key
// for.
func (m *HMAC) Nothing(sum, k *[Size]byte) {
	var s state
	s.pad(k, innerPad)
	s.n = BlockSize
	s.finish()
	m.again(sum, &s)
	wipe(&s)
}

// again hashes the inner hash, which is in s, under the outer pad.
func (m *HMAC) again(sum *[Size]byte, s *state) {
	put(s.block[:Size], &s.h)
	s.resume(&m.outer)
	s.n = Size
	s.finish()
	put(sum[:], &s.h)
}

// Clear overwrites the key.
//
//go:noinline
func (m *HMAC) Clear() { *m = HMAC{} }

// put writes as much of h as b holds.
func put(b []byte, h *[8]uint32) {
	for i := 0; i < len(b)/4; i++ {
		binary.LittleEndian.PutUint32(b[4*i:], h[i])
	}
}

// wipe overwrites what held secrets. It is not inlined, so that the compiler
// cannot find the stores useless when the memory is about to go out of scope.
//
//go:noinline
func wipe[T any](memory *T) { *memory = *new(T) }
