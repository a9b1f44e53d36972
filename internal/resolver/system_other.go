//go:build !linux

package resolver

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

func supported() error {
	return fmt.Errorf("DNS: set the resolver on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func tryLock(*os.File) (bool, error)           { return false, supported() }
func mountPoint(string) (uint64, uint64, bool) { return 0, 0, false }
func dress(string, string)                     {}
func cannotReplace(error) bool                 { return false }
func cannotLink(error) bool                    { return false }
