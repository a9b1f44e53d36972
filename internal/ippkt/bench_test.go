package ippkt

import (
	"fmt"
	"testing"
)

func BenchmarkSum(b *testing.B) {
	for _, n := range []int{20, 64, 576, 1380, 65535} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			src := make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				Sum(src)
			}
		})
	}
}

func BenchmarkCopySum(b *testing.B) {
	for _, n := range []int{20, 64, 576, 1380, 65535} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			src, dst := make([]byte, n), make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				CopySum(dst, src)
			}
		})
	}
}
