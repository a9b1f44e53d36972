//go:build linux && e2e

package kernel

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// built are our programs, as bytes: nothing of them stays on the disk.
var built struct{ warren, guest []byte }

// full is true where the long forms of tests are wanted: `make interop`.
var full = os.Getenv("INTEROP_ALL") != ""

func TestMain(m *testing.M) {
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func build() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "kernel-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, b := range []struct {
		dir, pkg string
		to       *[]byte
	}{
		{"../..", "./cmd/warren", &built.warren},
		{".", "./guest", &built.guest},
	} {
		file := filepath.Join(dir, "out")
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, b.pkg)
		cmd.Dir, cmd.Env = b.dir, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", b.pkg, err, out)
		}
		if *b.to, err = os.ReadFile(file); err != nil {
			return err
		}
	}
	return nil
}
