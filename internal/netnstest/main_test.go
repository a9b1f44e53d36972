//go:build linux && e2e

package netnstest

import (
	"os"
	"testing"

	"github.com/warrenvpn/warren/internal/testbin"
)

// warren is the binary under test.
var warren string

// long is true where the slow forms of tests are wanted.
var long = os.Getenv("WARREN_LONG") == "1"

func TestMain(m *testing.M) {
	os.Exit(testbin.Main(m, testbin.Program{Path: &warren, What: testbin.Warren}))
}
