package wg

import (
	"os"
	"testing"
)

// asTool makes the test binary behave as the command, for tests that compare
// processes.
const asTool = "WARREN_TEST_AS_WG"

func TestMain(m *testing.M) {
	if os.Getenv(asTool) != "" {
		os.Exit(Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}
