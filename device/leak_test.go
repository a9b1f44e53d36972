package device

import (
	"testing"

	"go.uber.org/goleak"
)

// S10: no goroutine outlives the tests of this package.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
