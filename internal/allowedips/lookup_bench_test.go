package allowedips

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// BenchmarkLookup is the search for the peer of a packet: host routes, as most
// peers have them, in both families, in tables of several sizes. The addresses
// asked for are in random order, so that a large table is cold.
func BenchmarkLookup(b *testing.B) {
	const seed = 1
	for _, size := range []int{1, 1000, 100_000} {
		r := rand.New(rand.NewPCG(seed, seed))
		v4, v6 := make([]netip.Addr, size), make([]netip.Addr, size)
		e := New[int]().Edit()
		for i := range size {
			v4[i] = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			v6[i] = netip.AddrFrom16([16]byte{0xfd, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
			e.Insert(netip.PrefixFrom(v4[i], 32), i)
			e.Insert(netip.PrefixFrom(v6[i], 128), i)
		}
		table := e.Table()
		for _, f := range []struct {
			name  string
			addrs []netip.Addr
		}{{"IPv4", v4}, {"IPv6", v6}} {
			asked := make([]netip.Addr, 1<<14)
			for i := range asked {
				asked[i] = f.addrs[r.IntN(size)]
			}
			b.Run(fmt.Sprintf("%s/%d", f.name, size), func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					if _, ok := table.Lookup(asked[i&(len(asked)-1)]); !ok {
						b.Fatal("an address that is there was not found")
					}
				}
			})
		}
	}
}
