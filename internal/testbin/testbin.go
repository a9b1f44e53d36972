// Package testbin builds programs for tests that run them. It is imported by
// tests only.
package testbin

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Warren is the package of the program itself.
const Warren = "github.com/warrenvpn/warren/cmd/warren"

// A Program is one to build.
type Program struct {
	Path  *string  // where its path is written to
	Dir   string   // where go runs: empty for here
	Flags []string // of go build
	What  string   // its package
}

// Main builds programs, runs the tests, and takes the programs away. It returns
// the exit code for TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(testbin.Main(m, testbin.Program{Path: &warren, What: testbin.Warren})) }
//
// Everybody may run the programs, also a test that gives up being root.
func Main(m *testing.M, programs ...Program) int {
	dir, err := os.MkdirTemp("", "testbin-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for _, p := range programs {
		*p.Path = filepath.Join(dir, filepath.Base(p.What))
		if err := p.build(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func (p *Program) build() error {
	cmd := exec.Command("go", append(append([]string{"build", "-trimpath", "-o", *p.Path}, p.Flags...), p.What)...)
	cmd.Dir = p.Dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build a program under test: %s: %w\n%s", cmd, err, out)
	}
	return nil
}
