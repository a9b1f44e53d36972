//go:build weekly

package key

import (
	"math/rand/v2"
	"testing"

	"github.com/warrenvpn/warren/internal/vectors/timing"
)

// A25, B104: the text of one key is read and written in the time of others'.
func TestTimingOfText(t *testing.T) {
	const seed, others = 1, 64
	r := rand.NewChaCha8([32]byte{seed})
	var keys [2][others][Size]byte
	var texts [2][others][textLen]byte
	for class := range keys {
		for i := range others {
			if class == 1 {
				_, _ = r.Read(keys[class][i][:])
			}
			copy(texts[class][i][:], encodeBase64(keys[class][i]))
		}
	}
	var k [Size]byte
	var text [textLen]byte
	var s string
	n, wrong := 0, 0
	t.Run("read", func(t *testing.T) {
		timing.Test(t, 1_000_000, func(class int) {
			n++
			timing.Choose(class, text[:], texts[0][n%others][:], texts[1][n%others][:])
			s = string(text[:])
		}, func() {
			if _, err := decodeBase64(s); err != nil {
				wrong++
			}
		})
	})
	t.Run("written", func(t *testing.T) {
		timing.Test(t, 1_000_000, func(class int) {
			n++
			timing.Choose(class, k[:], keys[0][n%others][:], keys[1][n%others][:])
		}, func() {
			if len(encodeBase64(k)) != textLen {
				wrong++
			}
		})
	})
	if wrong != 0 {
		t.Errorf("%d times wrong", wrong)
	}
}
