package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/netlab"
)

// The processes of a contestant on a host are all but the host's own first one
// and the load generator: its process-id namespace has no others.

// eachProcess calls f with the directory below /proc of each.
func eachProcess(h *netlab.Host, f func(dir string) error) error {
	return h.Do(func() error {
		dirs, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return err
		}
		found := false
		for _, d := range dirs {
			name, err := os.ReadFile(d + "/comm")
			if err != nil || d == "/proc/1" || strings.TrimSpace(string(name)) == generator {
				continue
			}
			if err := f(d); err != nil {
				return err
			}
			found = true
		}
		if !found {
			return errors.New(h.Name() + ": the daemon is gone")
		}
		return nil
	})
}

// memoryOf returns a size from the status of the processes, added up, in bytes.
func memoryOf(h *netlab.Host, field string) (size float64, err error) {
	err = eachProcess(h, func(dir string) error {
		text, err := os.ReadFile(dir + "/status")
		if err != nil {
			return err
		}
		for l := range strings.Lines(string(text)) {
			var kilobytes float64
			if _, err := fmt.Sscanf(l, field+": %f kB", &kilobytes); err == nil {
				size += kilobytes * 1024
			}
		}
		return nil
	})
	return size, err
}

// forgetPeak makes the peak begin anew, proc_pid_clear_refs(5).
func forgetPeak(h *netlab.Host) error {
	return eachProcess(h, func(dir string) error { return os.WriteFile(dir+"/clear_refs", []byte("5"), 0) })
}

// processorTime returns what the processes have used so far, in seconds.
func processorTime(h *netlab.Host) (seconds float64, err error) {
	err = eachProcess(h, func(dir string) error {
		tasks, err := filepath.Glob(dir + "/task/[0-9]*/schedstat")
		if err != nil || len(tasks) == 0 {
			return errors.Join(err, fmt.Errorf("%s: the kernel keeps no schedstat", dir))
		}
		for _, t := range tasks {
			text, err := os.ReadFile(t)
			if err != nil {
				continue // the thread has ended
			}
			used, _, _ := strings.Cut(string(text), " ")
			nanoseconds, err := strconv.ParseFloat(used, 64)
			if err != nil {
				return fmt.Errorf("%s: %w", t, err)
			}
			seconds += nanoseconds / 1e9
		}
		return nil
	})
	return seconds, err
}

// peakOf returns the largest resident size that a process which has ended had,
// in bytes.
func peakOf(p *os.ProcessState) float64 {
	if usage, ok := p.SysUsage().(*syscall.Rusage); ok {
		return float64(usage.Maxrss) * 1024
	}
	return 0
}

// endsWithUs makes a process outside of any host end when the thread that started
// it does, however that ends.
func endsWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// namelessFile returns a temporary file that is gone when it is closed, whatever
// ends this process: one with a million peers is not to stay.
func namelessFile() (*os.File, error) {
	f, err := os.OpenFile(os.TempDir(), os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err == nil {
		return f, nil
	}
	// Not every file system has such files.
	if f, err = os.CreateTemp("", "warren-bench-*"); err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
