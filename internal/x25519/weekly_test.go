//go:build weekly

package x25519

import (
	"math/rand/v2"
	"testing"

	"github.com/warrenvpn/warren/internal/vectors/timing"
)

// P03, weekly tier.
func TestIteratedMillion(t *testing.T) { iterate(t, 1_000_000) }

// A25: one scalar, with as few bits as there can be, takes as long as others.
func TestTimingOfScalars(t *testing.T) {
	const seed, others = 6, 64
	r := rand.NewChaCha8([32]byte{seed})
	var scalars [2][others][Size]byte
	for i := range others {
		_, _ = r.Read(scalars[1][i][:])
	}
	point := basePoint
	point[1] = 1
	eachKernel(t, func(t *testing.T) {
		for products := 1; products <= MaxProducts; products++ {
			var scalar, result [Size]byte
			list := make([]Product, products)
			for i := range list {
				list[i] = Product{Scalar: &scalar, Point: &point, Result: &result}
			}
			n := 0
			timing.Test(t, 20_000, func(class int) {
				n++
				timing.Choose(class, scalar[:], scalars[0][n%others][:], scalars[1][n%others][:])
			}, func() {
				if Multiply(list...) != nil {
					t.Error("no product")
				}
			})
		}
		var scalar, result [Size]byte
		n := 0
		timing.Test(t, 50_000, func(class int) {
			n++
			timing.Choose(class, scalar[:], scalars[0][n%others][:], scalars[1][n%others][:])
		}, func() { Base(&result, &scalar) })
	})
}
