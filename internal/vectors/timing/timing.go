// Package timing finds out by measuring whether how long something takes depends
// on what it works on (A25): inputs of two classes take turns at random, and
// Welch's t-test tells whether their times have the same mean.
//
// What it says of a busy machine is worth little, so tests that use it are in the
// weekly tier:
//
//	go test -tags weekly -run Timing -p 1 ./key ./internal/...
package timing

import (
	"crypto/subtle"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
)

const (
	// limit is beyond what chance brings about: |t| of more than 4.5 comes once
	// in 150,000 times if there is no difference.
	limit = 4.5
	// runs are made, and one of them may be beyond the limit: that is a
	// neighbour on the machine. A dependence is there in all of them, in the
	// same direction.
	runs = 3
	// cut is the part of all times that is looked at, from the shortest on. The
	// others are interrupts.
	cut = 0.9
)

// Test fails t if times of f differ between the classes 0 and 1. Before each
// call, prepare brings the input of a class into the memory that f works on; all
// else has to be the same for both, even which memory it is brought from and by
// which stores: see Choose. samples is how many calls are measured.
func Test(t *testing.T, samples int, prepare func(class int), f func()) {
	t.Helper()
	var beyond [2]int // in each direction
	for run := range uint64(runs) {
		v := Statistic(samples, run, prepare, f)
		t.Logf("seed %d: t = %.2f of %d samples", run, v, samples)
		if v >= limit {
			beyond[0]++
		} else if v <= -limit {
			beyond[1]++
		}
	}
	if max(beyond[0], beyond[1]) > 1 {
		t.Errorf("how long it takes depends on what it works on: see t above, which should be less than %v", limit)
	}
}

// Choose sets to to the input of a class, reading both.
func Choose(class int, to []byte, inputs ...[]byte) {
	copy(to, inputs[0])
	subtle.ConstantTimeCopy(class, to, inputs[1])
}

// Statistic returns Welch's t of one run.
func Statistic(samples int, seed uint64, prepare func(class int), f func()) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := rand.New(rand.NewPCG(seed, 0))
	classes, times := make([]uint8, samples), make([]float64, samples)
	for i := range classes {
		classes[i] = uint8(r.Uint32() & 1)
	}
	runtime.GC()
	for i, class := range classes {
		prepare(int(class))
		begin := time.Now()
		f()
		times[i] = float64(time.Since(begin))
	}
	return welch(classes, times)
}

func welch(classes []uint8, times []float64) float64 {
	sorted := slices.Clone(times)
	slices.Sort(sorted)
	most := sorted[int(cut*float64(len(sorted)-1))]
	var n, sum, squares [2]float64
	for i, class := range classes {
		if v := times[i]; v <= most {
			n[class]++
			sum[class] += v
			squares[class] += v * v
		}
	}
	var mean, variance [2]float64
	for class := range mean {
		mean[class] = sum[class] / n[class]
		variance[class] = (squares[class] - n[class]*mean[class]*mean[class]) / (n[class] - 1) / n[class]
	}
	difference, spread := mean[0]-mean[1], math.Sqrt(variance[0]+variance[1])
	if difference == 0 {
		return 0
	}
	return difference / spread
}
