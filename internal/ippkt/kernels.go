package ippkt

import "github.com/warrenvpn/warren/internal/impl"

// kernel says what Sum and CopySum do with kernelLeast bytes or more. It is no
// function, since what is passed to a function value escapes: callers' buffers
// could not lie on the stack.
type kernel uint8

const (
	plain  kernel = iota // the code in Sum and CopySum themselves
	vector               // the methods sum and copySum, which differ by platform
)

// kernelLimit is more than any packet has. Longer buffers are left to plain
// code, which can be preempted.
const kernelLimit = 1 << 17

var kernels = impl.NewSet("checksum", append(platformKernels(),
	impl.Implementation[kernel]{Name: impl.Generic, Usable: true, Value: plain},
)...)
