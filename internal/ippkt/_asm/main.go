// Command _asm writes the assembly of package ippkt for amd64: the Internet
// checksum of RFC 1071 with AVX2.
//
// Every vector is added twice, so that no carry has to be caught: whole, lanes
// of 64 bits modulo 2^64, and the upper halves of its lanes, which never
// overflow. The first sum less 2^32 times the second is the sum of the lower
// halves. Modulo 2^16 - 1, where 2^32 is 1, both halves count the same.
//
//	Y0  - Y3   vectors just loaded; scratch
//	Y4  - Y7   their upper halves
//	Y8  - Y11  sums of whole lanes
//	Y12 - Y15  sums of upper halves
//	SI next byte to read, DI to write, CX bytes left
//	AX last byte; result
//	BX masks
//	DX bytes left but for the last of an odd number
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	vector = 32 // bytes
	round  = 4  // vectors
)

var y = []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}

var loaded, halves, wholeSums, halfSums = y[0:4], y[4:8], y[8:12], y[12:16]

func main() {
	ConstraintExpr("!purego")
	sum("sumAVX2", false)
	sum("copySumAVX2", true)
	Generate()
}

// sum makes a function that sums and, if copies is set, copies.
func sum(name string, copies bool) {
	if copies {
		TEXT(name, NOSPLIT, "func(dst, src *byte, n int) uint64")
		Doc(fmt.Sprintf("%s copies n bytes, at least %d, and returns their unfolded sum.", name, vector))
		Load(Param("dst"), RDI)
		Load(Param("src"), RSI)
	} else {
		TEXT(name, NOSPLIT, "func(src *byte, n int) uint64")
		Doc(fmt.Sprintf("%s returns the unfolded sum of n bytes, at least %d.", name, vector))
		Load(Param("src"), RSI)
	}
	Pragma("noescape")
	Load(Param("n"), RCX)
	for _, v := range y[8:] {
		VPXOR(v, v, v)
	}
	loop("rounds", round, copies)
	loop("vectors", 1, copies)
	rest(copies)
	total()
	VMOVQ(X8, RAX)
	VZEROUPPER()
	Store(RAX, ReturnIndex(0))
	RET()
}

// loop takes n vectors at a time, as long as there are so many.
func loop(label string, n int, copies bool) {
	size := n * vector
	SUBQ(I32(size), RCX)
	JLT(LabelRef(label + "_done"))
	Label(label)
	for i := range n {
		VMOVDQU(Mem{Base: RSI, Disp: i * vector}, loaded[i])
	}
	if copies {
		for i := range n {
			VMOVDQU(loaded[i], Mem{Base: RDI, Disp: i * vector})
		}
	}
	for i := range n {
		add(i)
	}
	ADDQ(I32(size), RSI)
	if copies {
		ADDQ(I32(size), RDI)
	}
	SUBQ(I32(size), RCX)
	JGE(LabelRef(label))
	Label(label + "_done")
	ADDQ(I32(size), RCX)
}

// add adds a loaded vector to the sums.
func add(i int) {
	VPSRLQ(Imm(32), loaded[i], halves[i])
	VPADDQ(loaded[i], wholeSums[i], wholeSums[i])
	VPADDQ(halves[i], halfSums[i], halfSums[i])
}

// rest takes less than a vector, without a branch: the last vector that ends at
// an even offset, of which bytes that were summed before are masked, and the
// last byte, which counts if n is odd.
func rest(copies bool) {
	MOVQ(RCX, RDX)
	ANDQ(I8(-2), RDX)
	VMOVDQU(Mem{Base: RSI, Index: RDX, Scale: 1, Disp: -vector}, loaded[0])
	MOVBLZX(Mem{Base: RSI, Index: RCX, Scale: 1, Disp: -1}, EAX)
	if copies {
		VMOVDQU(loaded[0], Mem{Base: RDI, Index: RDX, Scale: 1, Disp: -vector})
		MOVB(AL, Mem{Base: RDI, Index: RCX, Scale: 1, Disp: -1})
	}
	LEAQ(lastBytes(), RBX)
	VPAND(Mem{Base: RBX, Index: RDX, Scale: 1}, loaded[0], loaded[0])
	add(0)
	ANDL(Imm(1), ECX)
	NEGL(ECX)
	ANDL(ECX, EAX)
	VMOVD(EAX, X1)
	VPADDQ(Y1, wholeSums[1], wholeSums[1])
}

var mask Mem

// lastBytes is memory whose vector at offset n masks all but the last n bytes.
func lastBytes() Mem {
	if mask.Base == nil {
		mask = GLOBL("lastBytes", NOPTR|RODATA)
		for i := range vector / 8 {
			DATA(8*i, U64(0))
		}
		for i := range vector / 8 {
			DATA(vector+8*i, U64(1<<64-1))
		}
	}
	return mask
}

// total adds all sums up in the lowest lane of Y8.
func total() {
	for _, sums := range [][]VecPhysical{wholeSums, halfSums} {
		VPADDQ(sums[1], sums[0], sums[0])
		VPADDQ(sums[3], sums[2], sums[2])
		VPADDQ(sums[2], sums[0], sums[0])
	}
	VPSLLQ(Imm(32), Y12, Y0)
	VPSUBQ(Y0, Y8, Y8)
	VPADDQ(Y12, Y8, Y8)
	VEXTRACTI128(Imm(1), Y8, X0)
	VPADDQ(X0, X8, X8)
	VPSRLDQ(Imm(8), X8, X0)
	VPADDQ(X0, X8, X8)
}
