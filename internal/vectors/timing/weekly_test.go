//go:build weekly

package timing

import (
	"crypto/subtle"
	"math"
	"testing"
)

// What does depend on its input is found: a comparison that stops at the first
// difference. Of one that does not, nothing is said.
func TestTimingOfTwoComparisons(t *testing.T) {
	var a, b [4096]byte
	equal := 0
	prepare := func(class int) {
		clear(b[:])
		b[class*(len(b)-1)] = 1
	}
	stopsEarly := func() {
		for i := range a {
			if a[i] != b[i] {
				return
			}
		}
		equal++
	}
	if v := Statistic(100_000, 0, prepare, stopsEarly); math.Abs(v) < 10*limit {
		t.Errorf("t = %.2f, want much more than %v", v, limit)
	}
	Test(t, 1_000_000, prepare, func() {
		equal += subtle.ConstantTimeCompare(a[:], b[:])
	})
	if equal != 0 {
		t.Errorf("%d comparisons found no difference", equal)
	}
}
