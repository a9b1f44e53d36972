//go:build weekly

package aead

import (
	"slices"
	"testing"

	"github.com/warrenvpn/warren/internal/vectors/timing"
)

// A25: whether the first byte of a tag is wrong or the last one, refusing the
// message takes as long.
func TestTimingOfTheTag(t *testing.T) {
	key := [32]byte{1}
	k := New(&key)
	eachKernel(t, func(t *testing.T, kernel *kernel) {
		for _, messages := range []int{1, 4} {
			const size = 80
			r := newRun(messages, size)
			kernel.seal(k, r)
			forged := [2][][]byte{clone(r), clone(r)}
			for i := range messages {
				forged[0][i][size] ^= 1
				forged[1][i][size+Overhead-1] ^= 1
			}
			timing.Test(t, 1_000_000, func(class int) {
				for i, m := range r.Messages {
					timing.Choose(class, m, forged[0][i], forged[1][i])
				}
			}, func() { kernel.open(k, r) })
			if slices.Contains(r.OK, true) {
				t.Errorf("authentic are %v", r.OK)
			}
		}
	})
}

// A25: sealing takes as long with one key and text as with others.
func TestTimingOfSealing(t *testing.T) {
	rnd := seeded(t, 41)
	const size, others = 320, 64
	var texts [2][others][size]byte
	var keys [2][others][32]byte
	for i := range others {
		_, _ = rnd.Read(texts[1][i][:])
		_, _ = rnd.Read(keys[1][i][:])
	}
	eachKernel(t, func(t *testing.T, kernel *kernel) {
		for _, messages := range []int{1, 4} {
			r := newRun(messages, size)
			k, n := New(new([32]byte)), 0
			timing.Test(t, 300_000, func(class int) {
				n++
				// Not x/crypto's copy of the key, which is not ours to measure.
				timing.Choose(class, k.k[:], keys[0][n%others][:], keys[1][n%others][:])
				for _, m := range r.Messages {
					timing.Choose(class, m[:size], texts[0][n%others][:], texts[1][n%others][:])
				}
			}, func() { kernel.seal(k, r) })
		}
	})
}
