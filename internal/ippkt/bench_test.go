package ippkt

import (
	"fmt"
	"testing"
)

func BenchmarkSum(b *testing.B) {
	eachLength(b, func(b *testing.B, _, src []byte) {
		for b.Loop() {
			Sum(src)
		}
	})
}

func BenchmarkCopySum(b *testing.B) {
	eachLength(b, func(b *testing.B, dst, src []byte) {
		for b.Loop() {
			CopySum(dst, src)
		}
	})
}

// eachLength runs f with every kernel on buffers of some lengths. Neither
// begins at a cache line, as payloads behind headers do not.
func eachLength(b *testing.B, f func(b *testing.B, dst, src []byte)) {
	for _, n := range []int{20, 40, 64, 576, 1400, 65000} {
		for _, name := range kernelNames() {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				use(b, name)
				dst, src := make([]byte, n+36)[36:], make([]byte, n+50)[50:]
				b.SetBytes(int64(n))
				f(b, dst, src)
			})
		}
	}
}
