package device

import (
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// keepToOurselves keeps what the caller has open, a lock perhaps, from a program
// that is started and outlives it. What is passed on purpose is duplicated.
func keepToOurselves() {
	const first = 3 // after stdin, stdout and stderr
	if unix.CloseRange(first, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	// Linux before 5.11.
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range open {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= first {
			unix.CloseOnExec(fd)
		}
	}
}
