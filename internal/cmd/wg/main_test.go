package wg

import (
	"os"
	"testing"
)

// asTool makes the test binary behave as the command, for tests that compare
// processes.
const asTool = "WARREN_TEST_AS_WG"

// isolate, where it is set, gives the tests control sockets of their own.
var isolate func()

func TestMain(m *testing.M) {
	if os.Getenv(asTool) != "" {
		os.Exit(Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
	}
	if isolate != nil {
		isolate()
	}
	os.Exit(m.Run())
}
