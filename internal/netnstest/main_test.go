//go:build linux && e2e

package netnstest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// warren is the binary under test.
var warren string

// long is true where the slow forms of tests are wanted.
var long = os.Getenv("WARREN_LONG") == "1"

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "netnstest-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	warren = filepath.Join(dir, "warren")
	build := exec.Command("go", "build", "-trimpath", "-o", warren, "../../cmd/warren")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binary under test: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
