//go:build !linux

package device

import (
	"errors"
	"fmt"
	"runtime"
)

func setPriority(int, bool) error {
	return fmt.Errorf("%w on %s: %w", errPriority, runtime.GOOS, errors.ErrUnsupported)
}
