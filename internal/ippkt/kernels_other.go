//go:build (!amd64 && !arm64) || purego

package ippkt

import "github.com/warrenvpn/warren/internal/impl"

// kernelLeast: there are no kernels.
const kernelLeast = kernelLimit

func platformKernels() []impl.Implementation[kernel] { return nil }

func (kernel) sum([]byte) (s Partial, ok bool) { return 0, false }

func (kernel) copySum(_, _ []byte) (s Partial, ok bool) { return 0, false }
