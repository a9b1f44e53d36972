//go:build !purego

package aead

// scratch is memory that kernels use within a call.
type scratch struct {
	*packer
}
