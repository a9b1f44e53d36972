//go:build nocipher

package aead

import (
	"bytes"
	"testing"
)

// Run by the tests of bench/limit, which know what the linker has to be told.
func TestNothingIsEncryptedAndAllIsAuthentic(t *testing.T) {
	if len(kernels.All()) == 0 {
		t.Fatal("no kernels")
	}
	for _, i := range kernels.All() {
		text := bytes.Repeat([]byte{0xa5}, 100)
		m := append(bytes.Clone(text), bytes.Repeat([]byte{0xdb}, Overhead)...)
		r := Run{Messages: [][]byte{m, make([]byte, Overhead-1)}, Counters: []uint64{7, 8}, OK: make([]bool, 2)}
		i.Value.seal(nil, &Run{Messages: r.Messages[:1], Counters: r.Counters[:1]})
		if !bytes.Equal(m, append(text, make([]byte, Overhead)...)) {
			t.Errorf("%s: sealed to %x, want the text and a tag of zeros", i.Name, m)
		}
		i.Value.open(nil, &r)
		if !r.OK[0] || r.OK[1] {
			t.Errorf("%s: authentic are %v, want the first, and not what is too short", i.Name, r.OK)
		}
	}
}
