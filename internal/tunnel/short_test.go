//go:build !long && !race

package tunnel

// How far the searching tests go in an ordinary run; see long_test.go and
// race_test.go.
const (
	exhaustiveLength = 4
	settleEvery      = 16 // most of a run's time goes there
	randomRuns       = 300
	impairedRuns     = 500
	scheduleRuns     = 400
)
