package device

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/warrenvpn/warren/internal/tunnel"
)

type chacha struct{ *rand.ChaCha8 }

func seeded(seed byte) chacha { return chacha{rand.NewChaCha8([32]byte{seed})} }

// P18: 10^5 indices of handshakes that come and go look uniform in every byte.
// (Among many that live at once the low bits are more even than chance would
// have it: they name different slots.)
func TestIndicesAreUniform(t *testing.T) {
	tab := newIndexTable(seeded(1))
	p := new(peer)
	const n = 100_000
	var counts [4][256]int
	for range n {
		i := tab.reserve(p)
		tab.release(i)
		for b := range counts {
			counts[b][byte(i>>(8*b))]++
		}
	}
	for b := range counts {
		want, chi := float64(n)/256, 0.0
		for _, c := range counts[b] {
			chi += (float64(c) - want) * (float64(c) - want) / want
		}
		// 255 degrees of freedom: p within 0.001 and 0.999, by the normal
		// approximation of Wilson and Hilferty.
		z := (math.Cbrt(chi/255) - (1 - 2.0/(9*255))) / math.Sqrt(2.0/(9*255))
		if math.Abs(z) > 3.09 {
			t.Errorf("byte %d: chi-square %.1f, z = %.2f: not uniform", b, chi, z)
		}
	}
}

// P18: none of 2^20 indices lives twice.
func TestIndicesAreUnique(t *testing.T) {
	tab := newIndexTable(seeded(1))
	p := new(peer)
	seen := make(map[uint32]bool)
	for range 1 << 20 {
		i := tab.reserve(p)
		if seen[i] {
			t.Fatalf("index %#x lives twice", i)
		}
		seen[i] = true
	}
}

// B84: reserve, admit and release in random order against a map; a look-up of a
// released index, or of one that shares a slot, finds nothing.
func TestIndexTableEqualsMap(t *testing.T) {
	tab, r := newIndexTable(seeded(2)), rand.New(rand.NewPCG(2, 2))
	model := make(map[uint32]*indexEntry)
	var live []uint32
	for range 50_000 {
		switch k := r.IntN(4); {
		case k < 2 || len(live) == 0:
			p := new(peer)
			i := tab.reserve(p)
			model[i], live = &indexEntry{index: i, peer: p}, append(live, i)
		case k == 2:
			i := live[r.IntN(len(live))]
			s := &tunnel.Session{LocalIndex: i}
			tab.admit(model[i].peer, s)
			model[i].session = s
		default:
			at := r.IntN(len(live))
			i := live[at]
			tab.release(i)
			delete(model, i)
			live[at] = live[len(live)-1]
			live = live[:len(live)-1]
			if tab.lookup(i) != nil {
				t.Fatalf("released index %#x still found", i)
			}
		}
		if len(live) == 0 {
			continue
		}
		i := live[r.IntN(len(live))]
		if e, want := tab.lookup(i), model[i]; e == nil || e.peer != want.peer || e.session != want.session {
			t.Fatalf("lookup(%#x) = %+v, want %+v", i, e, want)
		}
		if e := tab.lookup(i ^ 1<<31); e != nil && e.index != i^1<<31 {
			t.Fatalf("lookup of another index found %#x", e.index)
		}
	}
	if tab.used != len(model) {
		t.Errorf("used = %d, want %d", tab.used, len(model))
	}
}
