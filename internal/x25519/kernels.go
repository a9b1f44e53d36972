package x25519

import "github.com/warrenvpn/warren/internal/impl"

// kernel is a way to multiply. It is not a struct of functions: pointers passed
// to a function that is not known when a call is compiled have to be to the
// heap, and what a handshake multiplies is on its stack.
type kernel int

const (
	plain kernel = iota
	wide         // the ladders of two products beside each other in each vector
)

var kernels = impl.NewSet("x25519",
	impl.Implementation[kernel]{Name: "avx512-ifma", Needs: "AVX-512 F, DQ and IFMA", Usable: wideUsable, Value: wide},
	impl.Implementation[kernel]{Name: impl.Generic, Usable: true, Value: plain},
)

// multiply sets results for products, no more than MaxProducts.
func (k kernel) multiply(results *[MaxProducts][Size]byte, products []Product) {
	if k == wide {
		multiplyWide(results, products)
		return
	}
	for i, p := range products {
		if p.Point == nil {
			base(&results[i], p.Scalar)
		} else {
			multiply(&results[i], p.Scalar, p.Point)
		}
	}
}

// base sets result to the product of scalar and the base point.
func (k kernel) base(result, scalar *[Size]byte) {
	base(result, scalar)
}
