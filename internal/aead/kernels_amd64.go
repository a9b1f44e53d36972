//go:build !purego

package aead

import "github.com/warrenvpn/warren/internal/impl"

func platformKernels() []impl.Implementation[kernel] {
	return []impl.Implementation[kernel]{avx512, avx2}
}
