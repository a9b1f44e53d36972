//go:build !purego

package ippkt

import (
	"golang.org/x/sys/cpu"

	"github.com/warrenvpn/warren/internal/impl"
)

//go:generate go -C _asm run . -pkg ippkt -out ../checksum_asm_amd64.s -stubs ../checksum_asm_amd64.go

// kernelLeast is the length from which on kernels are used: as soon as there is
// a vector, they are faster.
const kernelLeast = 32

func platformKernels() []impl.Implementation[kernel] {
	return []impl.Implementation[kernel]{{Name: "avx2", Needs: "AVX2", Usable: cpu.X86.HasAVX2, Value: vector}}
}

// hot path
func (k kernel) sum(b []byte) (s Partial, ok bool) {
	if k != vector {
		return 0, false
	}
	return Partial(sumAVX2(&b[0], len(b))), true
}

// hot path
func (k kernel) copySum(dst, src []byte) (s Partial, ok bool) {
	if k != vector {
		return 0, false
	}
	return Partial(copySumAVX2(&dst[0], &src[0], len(src))), true
}
