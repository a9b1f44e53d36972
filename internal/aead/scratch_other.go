//go:build !amd64 || purego

package aead

// scratch is memory that kernels use within a call: here they need none.
type scratch struct{}
