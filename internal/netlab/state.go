//go:build linux

package netlab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// stateDir holds a directory per lab, named by its owner's process id and start
// time: the name alone says whether the owner lives.
const stateDir = "/run/warren-lab"

const stateFile = "state.json"

// state is what is known of a lab outside its owner.
type state struct {
	id    string
	Name  string     `json:"name"`
	Kept  bool       `json:"kept"`
	Hosts []HostInfo `json:"hosts"`
}

func newState(name string) (state, error) {
	start, err := startTime(os.Getpid())
	if err != nil {
		return state{}, err
	}
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return state{}, err
	}
	for n := 0; ; n++ {
		s := state{id: fmt.Sprintf("%d-%d-%d", os.Getpid(), start, n), Name: name}
		err := os.Mkdir(s.dir(), 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue // another lab of this process
		}
		if err != nil {
			return state{}, err
		}
		return s, s.save()
	}
}

func (s *state) dir() string { return filepath.Join(stateDir, s.id) }

// save writes the state so that a reader sees the old or the new one.
func (s *state) save() error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	file := filepath.Join(s.dir(), stateFile)
	if err := os.WriteFile(file+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func (s *state) remove() error {
	err := os.RemoveAll(s.dir())
	// The last one out; it fails while there are others.
	_ = unix.Rmdir(stateDir)
	return err
}

// ownerAlive tells from the name of the directory.
func (s *state) ownerAlive() bool {
	var pid int
	var start uint64
	if _, err := fmt.Sscanf(s.id, "%d-%d-", &pid, &start); err != nil {
		return false
	}
	now, err := startTime(pid)
	return err == nil && now == start
}

// states reads what is there. A directory without a readable state is that of
// a lab that died, or lives, before its first host.
func states() ([]state, error) {
	entries, err := os.ReadDir(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []state
	for _, e := range entries {
		s := state{}
		if b, err := os.ReadFile(filepath.Join(stateDir, e.Name(), stateFile)); err == nil {
			_ = json.Unmarshal(b, &s)
		}
		s.id = e.Name()
		all = append(all, s)
	}
	return all, nil
}

// List returns the labs on this machine, in order of ID.
func List() ([]Info, error) {
	all, err := states()
	if err != nil {
		return nil, err
	}
	var infos []Info
	for _, s := range all {
		infos = append(infos, Info{ID: s.id, Name: s.Name, Alive: s.ownerAlive(), Kept: s.Kept, Hosts: s.Hosts})
	}
	return infos, nil
}

// Remove ends the hosts of a lab and removes it. It is meant for a lab that was
// kept; one whose owner is alive loses its hosts under its hands.
func Remove(id string) error {
	all, err := states()
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.id == id {
			return s.end()
		}
	}
	return fmt.Errorf("lab %s: %w", id, fs.ErrNotExist)
}

// end kills what is left of the hosts and removes the state.
func (s *state) end() error {
	for _, h := range s.Hosts {
		if err := h.kill(); err != nil {
			return fmt.Errorf("end %s: %w", h.Name, err)
		}
	}
	return s.remove()
}

// removeLeftovers removes the labs whose owner died without being able to.
func removeLeftovers() error {
	all, err := states()
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range all {
		if !s.Kept && !s.ownerAlive() {
			errs = append(errs, s.end())
		}
	}
	return errors.Join(errs...)
}

// alive reports whether the init of a recorded host still runs.
func (h HostInfo) alive() bool {
	start, err := startTime(h.PID)
	if err != nil || start != h.Start {
		return false
	}
	argv0, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", h.PID))
	return err == nil && strings.TrimRight(string(argv0), "\x00") == initName
}

// kill ends the host if it is still there, and waits for its init to be gone.
func (h HostInfo) kill() error {
	fd, err := unix.PidfdOpen(h.PID, 0)
	if err != nil {
		return nil // no such process
	}
	defer unix.Close(fd)
	// The descriptor is held, so the answer cannot be about a later process.
	if !h.alive() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		return err
	}
	gone := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(gone, 5000)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return fmt.Errorf("process %d does not end", h.PID)
		default:
			return nil
		}
	}
}

// startTime returns when a process started, in clock ticks since boot: field 22
// of /proc/PID/stat, proc_pid_stat(5).
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
	if fields[0] == "Z" {
		return 0, fmt.Errorf("process %d: %w", pid, fs.ErrNotExist)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}
