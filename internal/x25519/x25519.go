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
	if len(products) > MaxProducts {
		panic("x25519: too many products in one call")
	}
	var results [MaxProducts][Size]byte
	kernels.Get().multiply(&results, products)
	for i := range products {
		var zero [Size]byte
		if subtle.ConstantTimeCompare(results[i][:], zero[:]) == 1 {
			wipe(&results)
			return ErrLowOrder
		}
	}
	for i := range products {
		*products[i].Result = results[i]
	}
	wipe(&results)
	return nil
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
