//go:build nocipher

package aead

import "slices"

// benchmark is set by the linker where the program that measures the limit
// without a cipher is built:
//
//	go build -tags nocipher -ldflags "-X github.com/warrenvpn/warren/internal/aead.benchmark=limit" ./limit
//
// The tag alone, which a user may have for something else, gives a program that
// does not start.
var benchmark string

// What moves packets is measured without the time that the cipher takes: nothing
// is encrypted, and whatever arrives counts as authentic.
func init() {
	if benchmark != "limit" {
		panic("aead: built with the tag nocipher, which takes the encryption away and is for a benchmark alone")
	}
	// All of the set is changed: there is no name by which the cipher could
	// come back.
	for _, i := range slices.Backward(kernels.All()) {
		if err := kernels.Use(i.Name); err != nil {
			panic(err)
		}
		*kernels.Get() = kernel{seal: sealNothing, open: openNothing}
	}
}

func sealNothing(_ *Key, r *Run) {
	for _, m := range r.Messages {
		clear(m[len(m)-Overhead:])
	}
}

func openNothing(_ *Key, r *Run) {
	for i, m := range r.Messages {
		r.OK[i] = len(m) >= Overhead
	}
}
