package aead

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/warrenvpn/warren/internal/vectors"
	"github.com/warrenvpn/warren/internal/vectors/wycheproof"
)

// Every test of this file runs for each kernel that this processor has.

// eachKernel runs f as a subtest for each kernel.
func eachKernel(t *testing.T, f func(*testing.T, *kernel)) {
	for _, k := range kernels.All() {
		t.Run(k.Name, func(t *testing.T) { f(t, &k.Value) })
	}
}

// seeded returns a source of randomness whose seed is printed if the test fails.
func seeded(t testing.TB, seed byte) *rand.ChaCha8 {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.NewChaCha8([32]byte{seed})
}

// reference seals text with the general AEAD of x/crypto, the nonce spelled out.
func reference(t testing.TB, key *[32]byte, counter uint64, text []byte) []byte {
	t.Helper()
	c, err := chacha20poly1305.New(key[:])
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, chacha20poly1305.NonceSize)
	binary.LittleEndian.PutUint64(nonce[4:], counter)
	return c.Seal(nil, nonce, text, nil)
}

// arena holds messages of a run with canaries around them.
type arena struct {
	buf   []byte
	start []int // of each message
	len   []int // of each message with its tag
	Run
}

const canary = 0xdb

// newArena lays out texts of the given lengths; the first message begins at a
// multiple of 64 plus align, gap bytes are between two.
func newArena(lengths []int, align, gap int) *arena {
	a := &arena{}
	at := 64 + align
	for _, n := range lengths {
		a.start, a.len = append(a.start, at), append(a.len, n+Overhead)
		at += n + Overhead + gap
	}
	a.buf = make([]byte, at+64)
	return a
}

// fill sets all messages and everything around them anew.
func (a *arena) fill(messages [][]byte, counters []uint64) {
	for i := range a.buf {
		a.buf[i] = canary
	}
	a.Reset()
	for i, at := range a.start {
		m := a.buf[at : at+a.len[i] : at+a.len[i]]
		copy(m, messages[i])
		a.Add(m, counters[i])
	}
	a.OK = append(a.OK, make([]bool, len(messages))...)
}

// check compares all messages, and that nothing around them was written.
func (a *arena) check(t *testing.T, what string, want [][]byte) {
	t.Helper()
	at := 0
	for i, w := range want {
		if gap := a.buf[at:a.start[i]]; !bytes.Equal(gap, bytes.Repeat([]byte{canary}, len(gap))) {
			t.Fatalf("%s: something in front of message %d of %v was written", what, i, a.len)
		}
		at = a.start[i] + a.len[i]
		if got := a.buf[a.start[i]:at][:len(w)]; !bytes.Equal(got, w) {
			t.Fatalf("%s: message %d of %v, counter %#x:\n got %x\nwant %x", what, i, a.len, a.Counters[i], got, w)
		}
	}
	if rest := a.buf[at:]; !bytes.Equal(rest, bytes.Repeat([]byte{canary}, len(rest))) {
		t.Fatalf("%s: something behind the last message of %v was written", what, a.len)
	}
}

// check seals and opens a run of messages with random texts, and compares with
// the reference. Of the messages that are opened, those in forged have a wrong
// tag.
func check(t *testing.T, k *kernel, rnd *rand.ChaCha8, a *arena, forged ...int) {
	t.Helper()
	var key [32]byte
	_, _ = rnd.Read(key[:])
	ours := New(&key)
	var texts, sealed, opened [][]byte
	var counters []uint64
	for _, n := range a.len {
		text := make([]byte, n-Overhead)
		_, _ = rnd.Read(text)
		// Counters around the ends of their halves are more likely than others.
		counter := rnd.Uint64() >> (rnd.Uint64() % 64)
		if rnd.Uint64()%4 == 0 {
			counter = ^counter
		}
		texts, counters = append(texts, text), append(counters, counter)
		sealed = append(sealed, reference(t, &key, counter, text))
		opened = append(opened, text)
	}
	a.fill(texts, counters)
	k.seal(ours, &a.Run)
	a.check(t, "seal", sealed)
	wantOK := slices.Repeat([]bool{true}, len(sealed))
	for _, i := range forged {
		sealed[i] = bytes.Clone(sealed[i])
		bit := rnd.Uint64() % uint64(8*len(sealed[i]))
		sealed[i][bit/8] ^= 1 << (bit % 8)
		wantOK[i], opened[i] = false, make([]byte, len(opened[i]))
	}
	a.fill(sealed, counters)
	for i := range a.OK {
		a.OK[i] = !wantOK[i]
	}
	k.open(ours, &a.Run)
	a.check(t, "open", opened)
	if !slices.Equal(a.OK, wantOK) {
		t.Fatalf("open: authentic are %v, want %v", a.OK, wantOK)
	}
}

// P02
func TestRFC8439(t *testing.T) {
	// The vector of the cipher has additional data; what is sealed here has
	// none, so the key stream is compared, and the tag with the reference.
	v := vectors.ChaCha20Poly1305()
	eachKernel(t, func(t *testing.T, k *kernel) {
		// RFC 8439 A.1, vectors 1 to 3, and A.4, vector 1: key 0, nonce 0. The
		// key stream is what sealing zeros gives.
		m := make([]byte, 64+Overhead)
		k.seal(New(new([32]byte)), &Run{Messages: [][]byte{m}, Counters: []uint64{0}})
		want := unhex(t, "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"+
			"29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f")
		if !bytes.Equal(m[:64], want) {
			t.Errorf("block 1 of the zero key = %x, want %x", m[:64], want)
		}
		key := (*[32]byte)(v.Key)
		got := make([]byte, len(v.Plaintext)+Overhead)
		copy(got, v.Plaintext)
		counter := binary.LittleEndian.Uint64(v.Nonce[4:])
		k.seal(New(key), &Run{Messages: [][]byte{got}, Counters: []uint64{counter}})
		if want := reference(t, key, counter, v.Plaintext); !bytes.Equal(got, want) {
			t.Errorf("sealed %x, want %x", got, want)
		}
	})
}

// P02: no vector has a nonce of four zero bytes and no additional data, so keys,
// texts and the rest of the nonce are taken from them and what comes out is
// compared with the reference, which passes them all as they are (package noise).
func TestWycheproof(t *testing.T) {
	tests := wycheproof.ChaCha20Poly1305s()
	if len(tests) < 300 {
		t.Fatalf("only %d tests found", len(tests))
	}
	eachKernel(t, func(t *testing.T, k *kernel) {
		for _, v := range tests {
			if len(v.IV) != chacha20poly1305.NonceSize {
				continue // the type of a counter excludes it
			}
			key, counter := New(v.Key.Array()), binary.LittleEndian.Uint64(v.IV[4:])
			sealed := reference(t, v.Key.Array(), counter, v.Msg)
			r := Run{Messages: [][]byte{bytes.Clone(sealed)}, Counters: []uint64{counter}, OK: []bool{false}}
			k.open(key, &r)
			if got := r.Messages[0][:len(v.Msg)]; !r.OK[0] || !bytes.Equal(got, v.Msg) {
				t.Errorf("test %d (%s): opened %x, %v; want %x", v.ID, v.Comment, got, r.OK[0], v.Msg)
			}
			k.seal(key, &r)
			if !bytes.Equal(r.Messages[0], sealed) {
				t.Errorf("test %d (%s): sealed %x, want %x", v.ID, v.Comment, r.Messages[0], sealed)
			}
		}
	})
}

// P02: every length, alone, and beside others of that length.
func TestEveryLengthEqualsReference(t *testing.T) {
	rnd := seeded(t, 1)
	eachKernel(t, func(t *testing.T, k *kernel) {
		for n := 0; n <= 2200; n++ {
			check(t, k, rnd, newArena([]int{n}, n%67, 0))
			if n%7 == 0 || n < 200 {
				check(t, k, rnd, newArena([]int{n, n, n}, n%61, n%3), n%3)
			}
			if n%16 == 0 {
				check(t, k, rnd, newArena(slices.Repeat([]int{n + n/16%16}, 9), n%59, 1), 8)
			}
		}
	})
}

func TestEveryAlignment(t *testing.T) {
	rnd := seeded(t, 2)
	eachKernel(t, func(t *testing.T, k *kernel) {
		for align := range 64 {
			for _, n := range []int{1, 63, 80, 200, 1420} {
				check(t, k, rnd, newArena([]int{n, n}, align, align/2), 0)
			}
		}
	})
}

// Runs of every number of messages: equal, the last shorter, mixed, ragged.
func TestRunsEqualReference(t *testing.T) {
	rnd := seeded(t, 3)
	below := func(n int) int { return int(rnd.Uint64() % uint64(n)) }
	eachKernel(t, func(t *testing.T, k *kernel) {
		for n := 1; n <= 70; n++ {
			for _, lengths := range [][]int{
				slices.Repeat([]int{80}, n),
				slices.Repeat([]int{1420}, n),
				append(slices.Repeat([]int{1420}, n-1), below(1420)),
				mixed(n, func(int) int { return []int{0, 16, 32, 1420, 80}[below(5)] }),
				mixed(n, func(int) int { return below(300) }),
				mixed(n, func(i int) int { return i }),
				mixed(n, func(int) int { return below(20) * 16 }),
			} {
				check(t, k, rnd, newArena(lengths, below(64), below(3)), below(n))
			}
		}
		// A few of the longest that a datagram can hold, and longer.
		check(t, k, rnd, newArena([]int{65_535, 40, 20_000}, 1, 0), 1)
		check(t, k, rnd, newArena(slices.Repeat([]int{9_001}, 10), 1, 5), 0, 9)
		check(t, k, rnd, newArena(slices.Repeat([]int{300_000}, 3), 0, 0), 2)
	})
}

func mixed(n int, length func(i int) int) (lengths []int) {
	for i := range n {
		lengths = append(lengths, length(i))
	}
	return lengths
}

// A run that is used again, for fewer and for more messages, remembers nothing.
func TestRunIsUsedAgain(t *testing.T) {
	rnd := seeded(t, 4)
	eachKernel(t, func(t *testing.T, k *kernel) {
		var kept Run
		for _, n := range []int{3, 70, 1, 33, 9, 0, 2} {
			a := newArena(slices.Repeat([]int{100 + n}, n), n, 1)
			a.Run = kept
			check(t, k, rnd, a)
			kept = a.Run
		}
	})
}

// Every bit of the tag counts, and so do those of the text; whoever is beside a
// forged message is not harmed by it.
func TestWrongTagZeroesTheTextAlone(t *testing.T) {
	rnd := seeded(t, 5)
	key := [32]byte{5}
	eachKernel(t, func(t *testing.T, k *kernel) {
		for _, n := range []int{0, 1, 80, 1420} {
			for bit := range 8 * (n + Overhead) {
				if bit < 8*n && bit%13 != 0 {
					continue // of the text a sample, of the tag all
				}
				a := newArena([]int{n, n, n, n, n}, 3, 1)
				var sealed, want [][]byte
				counters := []uint64{1, 2, 3, 4, 5}
				for i := range 5 {
					text := make([]byte, n)
					_, _ = rnd.Read(text)
					sealed = append(sealed, reference(t, &key, counters[i], text))
					want = append(want, text)
				}
				bad := bit % 5
				sealed[bad][bit/8] ^= 1 << (bit % 8)
				want[bad] = make([]byte, n)
				a.fill(sealed, counters)
				k.open(New(&key), &a.Run)
				a.check(t, fmt.Sprintf("bit %d", bit), want)
				for i, ok := range a.OK {
					if ok != (i != bad) {
						t.Fatalf("length %d, bit %d of message %d is wrong: authentic are %v", n, bit, bad, a.OK)
					}
				}
			}
		}
	})
}

func TestAllForged(t *testing.T) {
	rnd := seeded(t, 6)
	all := mixed(40, func(i int) int { return i })
	eachKernel(t, func(t *testing.T, k *kernel) {
		check(t, k, rnd, newArena(slices.Repeat([]int{500}, 40), 0, 0), all...)
		check(t, k, rnd, newArena(mixed(40, func(i int) int { return i * 40 }), 0, 0), all...)
	})
}

func TestMessagesWithoutRoomForATag(t *testing.T) {
	key := [32]byte{7}
	eachKernel(t, func(t *testing.T, k *kernel) {
		ours := New(&key)
		for short := range Overhead {
			long := reference(t, &key, 9, []byte("text"))
			tiny := bytes.Repeat([]byte{canary}, short)
			r := Run{
				Messages: [][]byte{bytes.Clone(long), tiny, nil, bytes.Clone(long)},
				Counters: []uint64{9, 9, 9, 9}, OK: []bool{false, true, true, false},
			}
			k.open(ours, &r)
			if want := []bool{true, false, false, true}; !slices.Equal(r.OK, want) {
				t.Errorf("beside %d bytes: authentic are %v, want %v", short, r.OK, want)
			}
			if !bytes.Equal(tiny, bytes.Repeat([]byte{canary}, short)) {
				t.Errorf("%d bytes, which have no tag, were written to", short)
			}
			if string(r.Messages[3][:4]) != "text" {
				t.Errorf("beside %d bytes: opened %q", short, r.Messages[3][:4])
			}
		}
		none := Run{}
		k.seal(ours, &none)
		k.open(ours, &none)
	})
}

// The fuzzer chooses lengths, counters and what is forged.
func FuzzKernels(f *testing.F) {
	f.Add(uint64(1), []byte{0, 80, 1, 200, 255, 16, 17})
	f.Add(uint64(2), bytes.Repeat([]byte{90}, 45))
	f.Fuzz(func(t *testing.T, seed uint64, shape []byte) {
		rnd := rand.NewChaCha8([32]byte(binary.LittleEndian.AppendUint64(make([]byte, 24), seed)))
		var lengths, forged []int
		for i, b := range shape[:min(len(shape), 70)] {
			n := int(b)
			if seed>>(i%64)&1 != 0 {
				n = n*7 + i%7
			}
			if b%5 == 4 {
				forged = append(forged, i)
			}
			lengths = append(lengths, n)
		}
		for _, k := range kernels.All() {
			check(t, &k.Value, rnd, newArena(lengths, int(seed%64), int(seed>>8%3)), forged...)
		}
	})
}
