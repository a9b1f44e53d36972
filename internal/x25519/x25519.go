package x25519

import (
	"crypto/subtle"
	"errors"
)

// Size is the length in bytes of a scalar, of a point and of a product.
const Size = 32

// MaxProducts is how many products one call of Multiply can be asked for.
const MaxProducts = 4

// ErrLowOrder means that a product is zero: its point is of low order, and the
// product is known to everybody. RFC 7748, section 6.1.
var ErrLowOrder = errors.New("x25519: point of low order")

// Product is one multiplication. Scalars are clamped when they are used. The
// result may be in the memory of a factor, of this product or of another.
type Product struct {
	Scalar *[Size]byte
	Point  *[Size]byte // a u-coordinate; nil is the base point
	Result *[Size]byte
}

// Multiply sets the results of up to MaxProducts products. If one of them is
// zero it returns ErrLowOrder and writes nothing.
//
// hot path
func Multiply(products ...Product) error {
	var results [MaxProducts][Size]byte
	ok := multiplyAll(&results, products)
	err := error(nil)
	for i := range products {
		if !ok[i] {
			err = ErrLowOrder
		}
	}
	if err == nil {
		for i := range products {
			*products[i].Result = results[i]
		}
	}
	wipe(&results)
	return err
}

// MultiplyEach is Multiply for products that have nothing to do with each other:
// it sets the results that are not zero, and tells which.
//
// hot path
func MultiplyEach(products ...Product) (ok [MaxProducts]bool) {
	var results [MaxProducts][Size]byte
	ok = multiplyAll(&results, products)
	for i := range products {
		if ok[i] {
			*products[i].Result = results[i]
		}
	}
	wipe(&results)
	return ok
}

// multiplyAll sets results and tells which are not zero.
func multiplyAll(results *[MaxProducts][Size]byte, products []Product) (ok [MaxProducts]bool) {
	if len(products) > MaxProducts {
		panic("x25519: too many products in one call")
	}
	kernels.Get().multiply(results, products)
	for i := range products {
		var zero [Size]byte
		ok[i] = subtle.ConstantTimeCompare(results[i][:], zero[:]) == 0
	}
	return ok
}

// Base sets result to the product of scalar and the base point: the public key
// of a private key. It may overwrite its scalar.
//
// hot path
func Base(result, scalar *[Size]byte) { kernels.Get().base(result, scalar) }

// wipe overwrites what held secrets. It is not inlined, so that the compiler
// cannot find the stores useless when the memory is about to go out of scope.
//
//go:noinline
func wipe[T any](memory *T) { *memory = *new(T) }
