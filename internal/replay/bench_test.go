package replay

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkAccept is what arrives: as it was sent, mixed up by the network,
// twice, and after gaps.
func BenchmarkAccept(b *testing.B) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, seed))
	for _, c := range []struct {
		name string
		next func(n uint64) uint64
	}{
		{"in order", func(n uint64) uint64 { return n }},
		{"mixed up", func(n uint64) uint64 { return n ^ r.Uint64N(64) }},
		{"twice", func(n uint64) uint64 { return n / 2 }},
		{"gaps of 1000", func(n uint64) uint64 { return n * 1000 }},
	} {
		var counters [4096]uint64
		for i := range counters {
			counters[i] = c.next(uint64(i))
		}
		b.Run(c.name, func(b *testing.B) {
			var w Window
			var base uint64
			for i := 0; b.Loop(); i++ {
				if i == len(counters) {
					i, base = 0, base+counters[len(counters)-1]+64
				}
				w.Accept(base + counters[i])
			}
		})
	}
}
