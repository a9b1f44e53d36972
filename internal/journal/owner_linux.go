package journal

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/warrenvpn/warren/internal/nsid"
)

// self describes this process.
func self() (Owner, error) {
	o := Owner{PID: os.Getpid()}
	var err error
	if o.Boot, err = nsid.Boot(); err != nil {
		return o, err
	}
	if o.PIDs, err = nsid.PIDs(); err != nil {
		return o, err
	}
	o.Start, err = startTime(o.PID)
	return o, err
}

// startTime returns when a process started, in clock ticks since boot: field 22
// of /proc/PID/stat, proc_pid_stat(5). A dead one has none.
func startTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field, the name in brackets, may hold blanks and brackets.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, b)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, fmt.Errorf("process %d: %w", pid, fs.ErrNotExist)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}
