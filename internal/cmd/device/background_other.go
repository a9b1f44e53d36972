//go:build !unix

package device

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

func spawn(*settings, []*os.File, *os.File) error {
	return fmt.Errorf("run in the background on %s: %w (use -f)", runtime.GOOS, errors.ErrUnsupported)
}

func tell(int, error) error { return nil }
