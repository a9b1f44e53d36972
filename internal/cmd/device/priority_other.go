//go:build !linux

package device

import (
	"errors"
	"fmt"
	"runtime"
)

func setPriority(int, bool) error {
	return fmt.Errorf("set priority on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
