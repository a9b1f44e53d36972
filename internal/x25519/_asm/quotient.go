package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// Where things are in a fraction: eight quotients at once.
const (
	numerator   = 0
	denominator = numerator + limbs*vector // wide
	kept        = denominator + limbs*vector
)

// quotient defines a function that divides eight pairs of field elements: with
// 0 for x / 0.
//
//	func quotient(f *fraction)
func quotient() {
	TEXT("quotient", NOSPLIT|NOFRAME, "func(f *uint64)")
	Doc("quotient divides the numerators of f by its denominators; the results are tight.")
	f := Load(Param("f"), GP64())
	n := GP64()
	load()
	place := func(i int) int { return kept + i*limbs*vector }
	save := func(i int) { spill(f, place(i), a) }
	times := func(i int) {
		reload(f, place(i), b)
		separate(nil)
		carry()
	}
	loops := 0
	squares := func(count int) {
		loops++
		label := "square" + string(rune('a'+loops-1))
		MOVQ(U32(uint32(count)), n)
		Label(label)
		square()
		carry()
		DECQ(n)
		JNZ(LabelRef(label))
	}
	// 1 / z = z^(p-2), p - 2 = 2^255 - 21. The names are exponents.
	const (
		e1 = iota
		e11
		x // the running 2^n - 1
	)
	reload(f, denominator, low[:limbs])
	carry()
	save(e1)
	squares(1)
	save(x) // 2
	squares(2)
	times(e1) // 9
	save(e11)
	reload(f, place(x), b)
	separate(nil)
	carry() // 11
	reload(f, place(e11), b)
	spill(f, place(e11), a)
	spill(f, place(x), b) // 9
	squares(1)
	times(x) // 2^5 - 1
	step := func(count int) {
		save(x)
		squares(count)
		times(x)
	}
	step(5) // 2^10 - 1
	save(3)
	step(10) // 2^20 - 1
	step(20) // 2^40 - 1
	squares(10)
	times(3) // 2^50 - 1
	save(3)
	step(50)  // 2^100 - 1
	step(100) // 2^200 - 1
	squares(50)
	times(3) // 2^250 - 1
	squares(5)
	times(e11) // 2^255 - 21
	for k := range limbs {
		VMOVDQA64(a[k], b[k])
	}
	reload(f, numerator, low[:limbs])
	carry()
	separate(nil)
	carry()
	spill(f, numerator, a)
	erase()
	RET()
}
