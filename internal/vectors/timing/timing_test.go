package timing

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The statistic of numbers for which it is known: 20 and 22 on average, each with
// a variance of 1 and 5000 samples, have t = -2 / sqrt(2 / 5000) = -100.
func TestWelch(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, 0))
	for _, tc := range []struct{ difference, want float64 }{{0, 0}, {2, -100}, {-2, 100}} {
		var classes []uint8
		var times []float64
		for i := range 10_000 {
			// Those above are few and are cut off.
			v := 20 + r.NormFloat64()
			if i%2 == 1 {
				v += tc.difference
			}
			classes, times = append(classes, uint8(i%2)), append(times, v)
		}
		// What is cut off brings the means nearer, and makes the variance less.
		if got := welch(classes, times); math.Abs(got-tc.want) > 15 || tc.want == 0 && math.Abs(got) > limit {
			t.Errorf("seed %d, means that differ by %v: t = %.1f, want about %v", seed, tc.difference, got, tc.want)
		}
	}
	if got := welch([]uint8{0, 1, 0, 1}, []float64{7, 7, 7, 7}); got != 0 {
		t.Errorf("equal times: t = %v, want 0", got)
	}
}
