package udp

import (
	"errors"

	"golang.org/x/sys/windows"
)

// errInUse is how the system says that a port is taken.
const errInUse = windows.WSAEADDRINUSE

// isNoFamily reports whether err says that the host lacks an address family.
func isNoFamily(err error) bool {
	return errors.Is(err, windows.WSAEAFNOSUPPORT) || errors.Is(err, windows.WSAEPROTONOSUPPORT) ||
		errors.Is(err, windows.WSAEADDRNOTAVAIL)
}
