//go:build !linux

package demo

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
)

func setHops(*net.IPConn, bool, int) error {
	return fmt.Errorf("on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func isTerminal(*os.File) bool { return false }
