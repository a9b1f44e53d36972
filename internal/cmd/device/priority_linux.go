package device

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// slice is how long a thread of ours may run before others get their turn, if
// any wait. The kernel gives a thread that asks for little its turn sooner
// (Linux 6.12; older ones take no notice).
const slice = 500_000 // ns

// setPriority gives the whole process a nice value, and its threads short turns.
// alone says that the process has a session to itself: its group there gets the
// value too, without which it would only mean something among its own threads
// (sched(7), autogroup).
func setPriority(nice int, alone bool) error {
	if alone {
		// Not there where the kernel does without, and then not needed.
		_ = os.WriteFile("/proc/self/autogroup", strconv.AppendInt(nil, int64(nice), 10), 0)
	}
	// A thread has the values of the one that made it. One that is made while we
	// look is found by the next round.
	done := map[int]bool{}
	for again := true; again; {
		again = false
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("%w: %w", errPriority, err)
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil || done[id] {
				continue
			}
			if err := setThread(id, nice); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("%w: nice %d: %w", errPriority, nice, err)
			}
			done[id], again = true, true
		}
	}
	return nil
}

func setThread(id, nice int) error {
	return unix.SchedSetAttr(id, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: int32(nice), Runtime: slice,
	}, 0)
}
