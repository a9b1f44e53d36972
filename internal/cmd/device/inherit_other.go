//go:build unix && !linux

package device

import (
	"os"
	"strconv"
	"syscall"
)

// keepToOurselves keeps what the caller has open, a lock perhaps, from a program
// that is started and outlives it. What is passed on purpose is duplicated.
func keepToOurselves() {
	open, err := os.ReadDir("/dev/fd")
	if err != nil {
		return
	}
	for _, e := range open {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}
