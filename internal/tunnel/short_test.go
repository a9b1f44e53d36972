//go:build !long

package tunnel

// How far the searching tests go in an ordinary run; see long_test.go.
const (
	exhaustiveLength = 3
	randomRuns       = 300
	impairedRuns     = 500
	scheduleRuns     = 1000
)
