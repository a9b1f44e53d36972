// Command avx512 writes the kernels for AVX-512 (F, VL, BW, DQ and IFMA, and
// BMI2). They are called with the ABI of assembly: all registers are free but
// the stack pointer, and R14 and R15 are left alone as well.
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
	chachaLanes("chacha16AVX512", 16)
	chachaLanes("chacha32AVX512", 32)
	xorLanes()
	poly1305()
	Generate()
}

// z are the vector registers by number. They are given out by hand: there are
// just enough, and avo does not spill.
var z = [32]VecPhysical{
	Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
	Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
}

// at returns the memory at base + offset.
func at(base Register, offset int) Mem { return layout.At(base, offset) }

// global returns the read-only data of that name, which fill writes the first
// time.
func global(name string, fill func()) Mem { return layout.Global(name+"AVX512", fill) }

// Four vectors in quarters of 16 bytes are transposed in two steps; pairHalves
// is the first, and dealQuarters the second. out may be what in was.
func pairHalves(in, tmp [4]VecPhysical) {
	VSHUFI64X2(Imm(0x44), in[1], in[0], tmp[0])
	VSHUFI64X2(Imm(0xee), in[1], in[0], tmp[1])
	VSHUFI64X2(Imm(0x44), in[3], in[2], tmp[2])
	VSHUFI64X2(Imm(0xee), in[3], in[2], tmp[3])
}

func dealQuarters(tmp, out [4]VecPhysical) {
	VSHUFI64X2(Imm(0x88), tmp[2], tmp[0], out[0])
	VSHUFI64X2(Imm(0xdd), tmp[2], tmp[0], out[1])
	VSHUFI64X2(Imm(0x88), tmp[3], tmp[1], out[2])
	VSHUFI64X2(Imm(0xdd), tmp[3], tmp[1], out[3])
}
