//go:build !purego

package ippkt

import "github.com/warrenvpn/warren/internal/impl"

// kernelLeast is the length from which on kernels are used: about here they need
// fewer instructions than plain code, whose chain of carries is slow besides.
const kernelLeast = 256

func platformKernels() []impl.Implementation[kernel] {
	// Every arm64 that Go runs on has NEON.
	return []impl.Implementation[kernel]{{Name: "neon", Needs: "NEON", Usable: true, Value: vector}}
}

// hot path
func (k kernel) sum(b []byte) (s Partial, ok bool) {
	if k != vector {
		return 0, false
	}
	return Partial(sumNEON(&b[0], len(b))), true
}

// hot path
func (k kernel) copySum(dst, src []byte) (s Partial, ok bool) {
	if k != vector {
		return 0, false
	}
	return Partial(copySumNEON(&dst[0], &src[0], len(src))), true
}

// sumNEON returns the unfolded sum of n bytes, at least 16.
//
//go:noescape
func sumNEON(src *byte, n int) uint64

// copySumNEON copies n bytes, at least 16, and returns their unfolded sum.
//
//go:noescape
func copySumNEON(dst, src *byte, n int) uint64
