//go:build !linux

package nsid

import (
	"errors"
	"fmt"
	"runtime"
)

func unsupported() error {
	return fmt.Errorf("network namespaces on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Boot fails: only Linux is here yet.
func Boot() (string, error) { return "", unsupported() }

// Current fails: only Linux is here yet.
func Current() (ID, error) { return ID{}, unsupported() }

// PIDs fails: only Linux is here yet.
func PIDs() (uint64, error) { return 0, unsupported() }

// Exists is true: only Linux is here yet.
func Exists(ID) bool { return true }
