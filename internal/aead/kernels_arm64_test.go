//go:build !purego

package aead

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
)

func seededPCG(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %#x", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func fillRandom(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 8439 2.3.2 and A.1, each in every lane, with another block in the others.
func TestNEONGivesTheBlocksOfRFC8439(t *testing.T) {
	zero, ones := make([]byte, 32), make([]byte, 32)
	ones[31] = 1
	ff := make([]byte, 32)
	ff[1] = 0xff
	ascending := make([]byte, 32)
	for i := range ascending {
		ascending[i] = byte(i)
	}
	for _, v := range []struct {
		name  string
		key   []byte
		block uint32
		nonce string
		want  string
	}{
		{"2.3.2", ascending, 1, "000000090000004a00000000", "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e" +
			"d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"},
		{"A.1 1", zero, 0, "000000000000000000000000", "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7" +
			"da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"},
		{"A.1 2", zero, 1, "000000000000000000000000", "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed" +
			"29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"},
		{"A.1 3", ones, 1, "000000000000000000000000", "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a" +
			"8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"},
		{"A.1 4", ff, 2, "000000000000000000000000", "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca" +
			"13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"},
		{"A.1 5", zero, 0, "000000000000000000000002", "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7" +
			"8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d"},
	} {
		for lane := range laneCount {
			q := quad{block: [laneCount]uint32{7, 7, 7, 7}}
			q.block[lane] = v.block
			nonce := fromHex(t, v.nonce)
			for i := range q.nonce {
				q.nonce[i][lane] = binary.LittleEndian.Uint32(nonce[4*i:])
			}
			var there [chachaSize]byte
			if lane%2 == 1 {
				q.at[lane] = &there
			}
			xorQuad((*[32]byte)(v.key), &q)
			got := q.own[lane][:]
			if lane%2 == 1 {
				got = there[:]
			}
			if !bytes.Equal(got, fromHex(t, v.want)) {
				t.Errorf("%s in lane %d: got %x, want %s", v.name, lane, got, v.want)
			}
			if other := (lane + 1) % laneCount; bytes.Equal(q.own[other][:], make([]byte, chachaSize)) {
				t.Errorf("%s in lane %d: lane %d has no keystream", v.name, lane, other)
			}
		}
	}
}

// macByArithmetic is RFC 8439 2.5 and 2.8 with numbers of any size.
func macByArithmetic(key *keystream, text []byte) []byte {
	number := func(b []byte) *big.Int {
		reversed := make([]byte, len(b))
		for i := range b {
			reversed[len(b)-1-i] = b[i]
		}
		return new(big.Int).SetBytes(reversed)
	}
	padded := append([]byte{}, text...)
	padded = append(padded, make([]byte, -len(text)&15)...)
	padded = binary.LittleEndian.AppendUint64(padded, 0)
	padded = binary.LittleEndian.AppendUint64(padded, uint64(len(text)))
	r := number(key[:16])
	clamp, _ := new(big.Int).SetString("0ffffffc0ffffffc0ffffffc0fffffff", 16)
	r.And(r, clamp)
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))
	h := new(big.Int)
	for ; len(padded) > 0; padded = padded[16:] {
		h.Add(h, number(append(append([]byte{}, padded[:16]...), 1)))
		h.Mul(h, r).Mod(h, p)
	}
	h.Add(h, number(key[16:32]))
	tag := make([]byte, 40)
	h.FillBytes(tag)
	for i := range 16 {
		tag[i] = tag[39-i]
	}
	return tag[:16]
}

// checkMACs compares two accumulators that run side by side, and one alone.
func checkMACs(t *testing.T, keys [2]keystream, texts [2][]byte) {
	t.Helper()
	var w neonWork
	copy(w.kept[:], keys[:])
	var group [2][]byte
	for i := range group {
		group[i] = append(append([]byte{}, texts[i]...), make([]byte, Overhead)...)
	}
	for n := 1; n <= 2; n++ {
		w.tags = [groupSize]tag{}
		w.authenticate(group[:n])
		for i := range n {
			var got [Overhead]byte
			w.tags[i].put(got[:])
			if want := macByArithmetic(&keys[i], texts[i]); !bytes.Equal(got[:], want) {
				t.Fatalf("tag %d of %d: key %x, text %x: got %x, want %x", i, n, keys[i], texts[i], got, want)
			}
		}
	}
}

func TestPolyEqualsArithmetic(t *testing.T) {
	r := seededPCG(t)
	patterns := []func(b []byte){
		func(b []byte) { fillRandom(r, b) },
		func(b []byte) { clear(b) },
		func(b []byte) { copy(b, bytes.Repeat([]byte{0xff}, len(b))) },
		func(b []byte) { copy(b, append([]byte{1}, make([]byte, len(b))...)) },
		func(b []byte) { copy(b, append([]byte{0xfb}, bytes.Repeat([]byte{0xff}, len(b))...)) },
	}
	fill := func(b []byte) {
		for ; len(b) > 0; b = b[min(polySize, len(b)):] {
			patterns[r.IntN(len(patterns))](b[:min(polySize, len(b))])
		}
	}
	for n := range 400 {
		for range 4 {
			var keys [2]keystream
			texts := [2][]byte{make([]byte, n), make([]byte, r.IntN(400))}
			for i := range 2 {
				fill(keys[i][:32])
				fill(texts[i])
			}
			checkMACs(t, keys, texts)
		}
	}
}

// With r = 1, the fourth block brings h to 2^130 + 2^128 - 1, and five more
// carry through all of its words. Two blocks and the lengths later, h is 2^130
// and more again only if nothing was lost.
func TestPolyCarriesThroughAllWords(t *testing.T) {
	text := make([]byte, 6*polySize)
	copy(text, bytes.Repeat([]byte{0xff}, polySize))
	checkMACs(t, [2]keystream{{1}, {1}}, [2][]byte{text, text})
}

// With r = 1, h is the sum of the blocks, which ends just below and above p.
func TestPolyReducesAtTheEnd(t *testing.T) {
	for e := range 14 {
		// Two blocks of text and one of lengths, 32 2^64, each with 2^128: for
		// a sum of 2^130 + 6 - e, the first has 2^128 + 6 - e - 32 2^64.
		var texts [2][]byte
		texts[0] = make([]byte, 32)
		low := uint64(6 - e)
		high := ^uint64(31)
		if e > 6 {
			high-- // borrowed
		}
		binary.LittleEndian.PutUint64(texts[0][0:], low)
		binary.LittleEndian.PutUint64(texts[0][8:], high)
		texts[1] = bytes.Repeat([]byte{0xff}, 48)
		checkMACs(t, [2]keystream{{1}, {1}}, texts)
	}
}

// margins gives messages at offset, and reports whether anything was written
// around them.
type margins struct {
	memory []byte
	used   []bool
}

func newMargins(size int) *margins {
	return &margins{memory: bytes.Repeat([]byte{0xdb}, size), used: make([]bool, size)}
}

func (m *margins) message(offset, size int) []byte {
	for i := range size {
		m.used[offset+i] = true
	}
	return m.memory[offset : offset+size : offset+size]
}

func (m *margins) intact() bool {
	for i, b := range m.memory {
		if !m.used[i] && b != 0xdb {
			return false
		}
	}
	return true
}

// P02
func TestNEONEqualsLibraryForEveryLengthAndAlignment(t *testing.T) {
	r := seededPCG(t)
	var key [32]byte
	fillRandom(r, key[:])
	k := New(&key)
	for n := range 2201 {
		for _, offset := range []int{0, 1, 2, 4, 7, 8, 15, 16, 33} {
			a := newMargins(offset + n + Overhead + 32)
			m := a.message(offset, n+Overhead)
			fillRandom(r, m[:n])
			plain := bytes.Clone(m[:n])
			want := bytes.Clone(m)
			counters := []uint64{r.Uint64()}
			sealNEON(k, &Run{Messages: [][]byte{m}, Counters: counters})
			sealLibrary(k, &Run{Messages: [][]byte{want}, Counters: counters})
			if !bytes.Equal(m, want) {
				t.Fatalf("length %d at %d: sealed bytes differ", n, offset)
			}
			run := Run{Messages: [][]byte{m}, Counters: counters, OK: make([]bool, 1)}
			openNEON(k, &run)
			if !run.OK[0] || !bytes.Equal(m[:n], plain) {
				t.Fatalf("length %d at %d: does not open again", n, offset)
			}
			if !a.intact() {
				t.Fatalf("length %d at %d: wrote outside of the message", n, offset)
			}
		}
	}
}

// lengths are shapes of runs by name: the length of the text of message i of n.
var lengths = map[string]func(r *rand.Rand, i, n int) int{
	"empty":     func(_ *rand.Rand, _, _ int) int { return 0 },
	"equal 80":  func(_ *rand.Rand, _, _ int) int { return 80 },
	"equal 448": func(_ *rand.Rand, _, _ int) int { return 448 },
	"last short": func(_ *rand.Rand, i, n int) int {
		if i == n-1 {
			return 37
		}
		return 1420
	},
	"mixed":  func(r *rand.Rand, _, _ int) int { return []int{0, 16, 64, 80, 576, 1420}[r.IntN(6)] },
	"ragged": func(r *rand.Rand, _, _ int) int { return r.IntN(700) },
}

// P02
func TestNEONRunsEqualTheLibrarys(t *testing.T) {
	for name, length := range lengths {
		t.Run(name, func(t *testing.T) {
			r := seededPCG(t)
			for n := 1; n <= 70; n++ {
				var key [32]byte
				fillRandom(r, key[:])
				k := New(&key)
				var ours, theirs Run
				var plain [][]byte
				for i := range n {
					m := make([]byte, length(r, i, n)+Overhead)
					fillRandom(r, m)
					plain = append(plain, bytes.Clone(m[:len(m)-Overhead]))
					counter := r.Uint64()
					ours.Add(m, counter)
					theirs.Add(bytes.Clone(m), counter)
				}
				sealNEON(k, &ours)
				sealLibrary(k, &theirs)
				for i := range n {
					if !bytes.Equal(ours.Messages[i], theirs.Messages[i]) {
						t.Fatalf("message %d of %d, of %d bytes: sealed bytes differ", i, n, len(plain[i]))
					}
				}
				openSpoiled(t, r, k, &ours, plain)
			}
		})
	}
}

// openSpoiled opens a run of which every third message was changed or cut short.
func openSpoiled(t *testing.T, r *rand.Rand, k *Key, run *Run, plain [][]byte) {
	t.Helper()
	var want []bool
	var short [][]byte
	for i, m := range run.Messages {
		good := r.IntN(3) != 0
		if !good {
			if r.IntN(4) == 0 {
				run.Messages[i] = m[:r.IntN(Overhead)]
				short = append(short, run.Messages[i], bytes.Clone(run.Messages[i]))
			} else {
				m[r.IntN(len(m))] ^= 1 << r.IntN(8)
			}
		}
		want = append(want, good)
		run.OK = append(run.OK, !good)
	}
	openNEON(k, run)
	for i, m := range run.Messages {
		what := fmt.Sprintf("message %d of %d, of %d bytes", i, len(plain), len(m))
		if run.OK[i] != want[i] {
			t.Fatalf("%s: OK = %v, want %v", what, run.OK[i], want[i])
		}
		text := m[:max(0, len(m)-Overhead)]
		if want[i] && !bytes.Equal(text, plain[i]) {
			t.Fatalf("%s: opened text differs", what)
		}
		if !want[i] && !bytes.Equal(text, make([]byte, len(text))) {
			t.Fatalf("%s: the text of a forged message was left behind", what)
		}
	}
	for ; len(short) > 0; short = short[2:] {
		if !bytes.Equal(short[0], short[1]) {
			t.Fatalf("%d bytes, which have no tag, were written to", len(short[0]))
		}
	}
}

// P36
func TestNEONErasesItsWork(t *testing.T) {
	k := New(&[32]byte{1, 2, 3})
	var w neonWork
	text := make([]byte, 1000)
	for i := range groupSize {
		w.addKept(k, i, 5, 0)
	}
	w.addText(k, text, 5, 1)
	w.flush(k)
	w.authenticate([][]byte{text, text[1:], text[2:]})
	if w.quad.own != [laneCount]keystream{} {
		t.Error("keystream is still in the lanes")
	}
	if w.kept[0] == (keystream{}) || w.tags[2] == (tag{}) {
		t.Fatal("there was nothing to erase")
	}
	w.erase()
	if w.kept != [keptCount]keystream{} || w.tags != [groupSize]tag{} || w.quad != (quad{}) {
		t.Error("keys or tags are still there")
	}
}

func TestNEONDoesNotAllocate(t *testing.T) {
	k := New(&[32]byte{9})
	for _, size := range []int{0, 1, 80, 1420, 1433} {
		for _, n := range []int{1, 2, 9, 45} {
			run := Run{OK: make([]bool, n)}
			for i := range n {
				run.Add(make([]byte, size+Overhead), uint64(i))
			}
			allocations := testing.AllocsPerRun(20, func() {
				sealNEON(k, &run)
				openNEON(k, &run)
			})
			if allocations != 0 {
				t.Errorf("%d messages of %d bytes: %v allocations, want none", n, size, allocations)
			}
			if !run.OK[n-1] {
				t.Errorf("%d messages of %d bytes: did not open", n, size)
			}
		}
	}
}
