// Command avx2 writes the kernels for AVX2. They are called with the ABI of
// assembly: all registers are free but the stack pointer, and R14 and R15 are
// left alone as well.
//
// Run it by `go generate` in the package.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/warrenvpn/warren/internal/aead/_asm/layout"
)

func main() {
	ConstraintExpr("!purego")
	chacha()
	xorLanes()
	poly1305()
	Generate()
}

// y are the vector registers by number. They are given out by hand: avo does not
// spill.
var y = [16]VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}

// at returns the memory at base + offset.
func at(base Register, offset int) Mem { return layout.At(base, offset) }

// global returns the read-only data of that name, which fill writes the first
// time.
func global(name string, fill func()) Mem { return layout.Global(name+"AVX2", fill) }
