//go:build long

package tunnel

// go test -tags long -timeout 24h ./internal/tunnel
const (
	exhaustiveLength = 7
	settleEvery      = 1
	randomRuns       = 200_000
	impairedRuns     = 100_000
	scheduleRuns     = 1_000_000
)
