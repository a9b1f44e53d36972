//go:build !windows

package udp

import (
	"errors"
	"syscall"
)

// errInUse is how the system says that a port is taken.
const errInUse = syscall.EADDRINUSE

// isNoFamily reports whether err says that the host lacks an address family.
func isNoFamily(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EPROTONOSUPPORT) ||
		errors.Is(err, syscall.EADDRNOTAVAIL)
}
