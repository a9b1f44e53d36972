package aead

import (
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// RFC 8439 2.5.2 and the vectors of A.3 that look for lost carries. They are of
// whole blocks, without the lengths that end a message.
func TestPoly1305RFC8439(t *testing.T) {
	const zeros, ones = "00000000000000000000000000000000", "ffffffffffffffffffffffffffffffff"
	for _, tc := range []struct{ name, r, s, text, tag string }{
		{"A.3 #7: 2^130-5 is reduced", "02000000000000000000000000000000", zeros, ones, "03000000000000000000000000000000"},
		{"A.3 #8: the sum with s overflows", "02000000000000000000000000000000", ones, "02000000000000000000000000000000", "03000000000000000000000000000000"},
		{"A.3 #9: carries between blocks", "01000000000000000000000000000000", zeros,
			ones + "f0ffffffffffffffffffffffffffffff" + "11000000000000000000000000000000", "05000000000000000000000000000000"},
		{"A.3 #10: the sum of blocks is 0", "01000000000000000000000000000000", zeros,
			ones + "fbfefefefefefefefefefefefefefefe" + "01010101010101010101010101010101", zeros},
		{"A.3 #11: just below 2^130-5", "02000000000000000000000000000000", zeros, "fdffffffffffffffffffffffffffffff", "faffffffffffffffffffffffffffffff"},
	} {
		p := newPoly((*[32]byte)(unhex(t, tc.r+tc.s)))
		for text := unhex(t, tc.text); len(text) > 0; text = text[16:] {
			p.block((*[16]byte)(text))
		}
		if got, want := p.tag(), [16]byte(unhex(t, tc.tag)); got != want {
			t.Errorf("%s: %x, want %x", tc.name, got, want)
		}
		if p != (poly{}) {
			t.Errorf("%s: something is left: %x", tc.name, p)
		}
	}
}

// number is the number that bytes from the lowest on are.
func number(little []byte) *big.Int {
	b := slices.Clone(little)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// clamped is r of RFC 8439 2.5.1.
func clamped(oneTime *[32]byte) *big.Int {
	return new(big.Int).And(number(oneTime[:16]), number([]byte{
		0xff, 0xff, 0xff, 0x0f, 0xfc, 0xff, 0xff, 0x0f, 0xfc, 0xff, 0xff, 0x0f, 0xfc, 0xff, 0xff, 0x0f,
	}))
}

// prime is 2^130 - 5.
var prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))

// poly1305Big is RFC 8439 2.5 and 2.8 in numbers of any size.
func poly1305Big(oneTime *[32]byte, text []byte) [16]byte {
	r, p := clamped(oneTime), prime
	h := new(big.Int)
	padded := append(append([]byte(nil), text...), make([]byte, -len(text)&15)...)
	lengths := make([]byte, 16)
	for i := range 8 {
		lengths[8+i] = byte(len(text) >> (8 * i))
	}
	for padded = append(padded, lengths...); len(padded) > 0; padded = padded[16:] {
		h.Add(h, number(append(append([]byte(nil), padded[:16]...), 1)))
		h.Mod(h.Mul(h, r), p)
	}
	h.Add(h, number(oneTime[16:]))
	var tag [16]byte
	for i := range tag {
		tag[i] = byte(new(big.Int).Rsh(h, uint(8*i)).Uint64())
	}
	return tag
}

// extremes are one-time keys and texts that make numbers as large as they get,
// and as small.
func extremes(t *testing.T, f func(name string, oneTime *[32]byte, byteAt func(i int) byte)) {
	rnd := seeded(t, 21)
	keys := map[string]func(i int) byte{
		"ones":   func(int) byte { return 0xff },
		"zeros":  func(int) byte { return 0 },
		"two":    func(i int) byte { return []byte{2, 0}[min(i, 1)] },
		"random": func(int) byte { return byte(rnd.Uint64()) },
		"r ones": func(i int) byte { return []byte{0xff, 0}[i/16] },
		"s ones": func(i int) byte { return []byte{4, 0xff}[i/16] },
	}
	texts := map[string]func(i int) byte{
		"ones":         func(int) byte { return 0xff },
		"zeros":        func(int) byte { return 0 },
		"random":       func(i int) byte { return byte(rnd.Uint64()) },
		"2^130-5":      func(i int) byte { return []byte{0xfb, 0xff}[min(i%16, 1)] },
		"minus little": func(i int) byte { return byte(0xf0 + i%16) },
	}
	for keyName, k := range keys {
		var oneTime [32]byte
		for i := range oneTime {
			oneTime[i] = k(i)
		}
		for textName, b := range texts {
			f("key "+keyName+", text "+textName, &oneTime, b)
		}
	}
}

func TestAuthenticateExtremes(t *testing.T) {
	extremes(t, func(name string, oneTime *[32]byte, byteAt func(int) byte) {
		for n := range 200 {
			text := make([]byte, n)
			for i := range text {
				text[i] = byteAt(i)
			}
			if got, want := authenticate(oneTime, text), poly1305Big(oneTime, text); got != want {
				t.Fatalf("%s, %d bytes: %x, want %x", name, n, got, want)
			}
		}
	})
}

// aimed writes a text, of whole blocks and at least two, for which the
// accumulator is target in the end, modulo p.
func aimed(rnd *rand.ChaCha8, oneTime *[32]byte, text []byte, target *big.Int) {
	r := clamped(oneTime)
	high := new(big.Int).Lsh(big.NewInt(1), 128)
	times := func(h *big.Int) { h.Mod(h.Mul(h, r), prime) }
	inverse := new(big.Int).ModInverse(r, prime)
	for range 1000 {
		_, _ = rnd.Read(text)
		before := new(big.Int)
		for i := 0; i < len(text)-16; i += 16 {
			before.Add(before, high)
			times(before.Add(before, number(text[i:i+16])))
		}
		// (before + high + m) r^2 + (high + lengths) r = target
		lengths := new(big.Int).Lsh(big.NewInt(int64(len(text))), 64)
		m := new(big.Int).Mul(target, inverse)
		m.Sub(m, lengths.Add(lengths, high))
		m.Mul(m, inverse)
		m.Sub(m, before)
		m.Mod(m.Sub(m, high), prime)
		if m.BitLen() <= 128 {
			var b [16]byte
			m.FillBytes(b[:])
			slices.Reverse(b[:])
			copy(text[len(text)-16:], b[:])
			return
		}
	}
	panic("no text leads there")
}

// oneTimes are one-time keys for aimed: r random, 2^66 + 1, and as large as it gets.
func oneTimes(rnd *rand.ChaCha8) (keys [3][32]byte) {
	for i := range keys {
		_, _ = rnd.Read(keys[i][:])
	}
	binary.LittleEndian.PutUint64(keys[1][0:], 1)
	binary.LittleEndian.PutUint64(keys[1][8:], 4)
	for i := range 16 {
		keys[2][i] = 0xff
	}
	return keys
}

// targets are accumulators that a kernel has p more of, or that are reached by a
// carry through many ones: what a random text gives once in 2^44 times, or never.
func targets() (all []*big.Int) {
	for _, weight := range []uint{0, 26, 44, 52, 64, 78, 88, 104, 128} { // of limbs of some kernel
		high := new(big.Int).Lsh(big.NewInt(1), weight)
		if weight == 0 {
			high.SetInt64(0)
		}
		for n := int64(-3); n < 50; n++ {
			all = append(all, new(big.Int).Add(high, big.NewInt(n)))
		}
	}
	return all
}

func TestAuthenticateAroundThePrime(t *testing.T) {
	rnd := seeded(t, 22)
	for _, oneTime := range oneTimes(rnd) {
		for _, target := range targets() {
			for _, n := range []int{32, 48, 64, 80, 160} {
				text := make([]byte, n)
				aimed(rnd, &oneTime, text, target)
				if got, want := authenticate(&oneTime, text), poly1305Big(&oneTime, text); got != want {
					t.Fatalf("key %x, h = %x, %d bytes: %x, want %x", oneTime, target, n, got, want)
				}
			}
		}
	}
}
