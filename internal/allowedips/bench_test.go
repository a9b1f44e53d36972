package allowedips

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// peerPrefix is what the peer number i has: an IPv4 host for an even v, a
// network of IPv6 for an odd one. Neighbours are close together, as where
// addresses are handed out.
func peerPrefix(i int) (four, six netip.Prefix) {
	four = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
	six = netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 4: byte(i >> 16), 5: byte(i >> 8), 6: byte(i)}), 64)
	return four, six
}

func scattered(r *rand.Rand) (four, six netip.Prefix) {
	u := r.Uint32()
	four = netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(u>>24)&127 | 1, byte(u >> 16), byte(u >> 8), byte(u)}), 32)
	var b [16]byte
	for i := range 8 {
		b[i] = byte(r.Uint32())
	}
	return four, netip.PrefixFrom(netip.AddrFrom16(b), 64)
}

// BenchmarkChange adds and removes the two prefixes of one peer in a table of
// many. Neither time nor memory may grow with the table.
func BenchmarkChange(b *testing.B) {
	for _, kind := range []string{"dense", "scattered"} {
		for _, n := range []int{1_000, 100_000, 1_000_000} {
			r := rand.New(rand.NewPCG(1, 1))
			next := func(i int) (four, six netip.Prefix) {
				if kind == "dense" {
					return peerPrefix(i)
				}
				return scattered(r)
			}
			v := new(int)
			e := New[*int]().Edit()
			for i := range n {
				four, six := next(i)
				e.Insert(four, v)
				e.Insert(six, v)
			}
			t := e.Table()
			b.Run(fmt.Sprintf("%s/peers=%d", kind, n), func(b *testing.B) {
				b.ReportAllocs()
				i := n
				for b.Loop() {
					four, six := next(i)
					e := t.Edit()
					e.Insert(four, v)
					e.Insert(six, v)
					e = e.Table().Edit()
					e.Remove(four, v)
					e.Remove(six, v)
					e.Table()
				}
			})
		}
	}
}
