//go:build race && !long

package tunnel

// The searching tests use one goroutine each, so the race detector only slows
// them down.
const (
	exhaustiveLength = 2
	settleEvery      = 16
	randomRuns       = 20
	impairedRuns     = 30
	scheduleRuns     = 30
)
