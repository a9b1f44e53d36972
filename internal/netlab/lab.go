//go:build linux

package netlab

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Lab is a set of hosts.
type Lab struct {
	path string // PATH inside

	mu    sync.Mutex // guards the fields below
	state state
	hosts []*Host
	done  bool
}

// New makes an empty lab, after it removed what earlier owners left behind
// when they died.
func New(o Options) (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("make namespaces: %w: needs root", os.ErrPermission)
	}
	if err := removeLeftovers(); err != nil {
		return nil, fmt.Errorf("remove an earlier lab: %w", err)
	}
	s, err := newState(o.Name)
	if err != nil {
		return nil, err
	}
	return &Lab{path: searchPath(o.Path), state: s}, nil
}

// searchPath returns PATH for the hosts: ours, completed by where a system has
// its administrator's programs.
func searchPath(first []string) string {
	dirs := append(first, os.Getenv("PATH"), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
	return strings.Join(dirs, string(os.PathListSeparator))
}

// Host adds a host.
func (l *Lab) Host(name string) (*Host, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done {
		return nil, fmt.Errorf("host %s: %w", name, os.ErrClosed)
	}
	h, err := startHost(name, l.path)
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	l.hosts = append(l.hosts, h)
	l.state.Hosts = append(l.state.Hosts, h.info)
	if err := l.state.save(); err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	return h, nil
}

// Close ends all processes of all hosts and removes everything the lab made.
// It may be called again, and after Keep, when it does nothing.
func (l *Lab) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done {
		return nil
	}
	l.done = true
	for _, h := range l.hosts {
		h.close()
	}
	return l.state.remove()
}

// Keep lets the lab live on when this process ends, until Remove.
func (l *Lab) Keep() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done {
		return os.ErrClosed
	}
	l.state.Kept = true
	if err := l.state.save(); err != nil {
		return err
	}
	for _, h := range l.hosts {
		if _, err := h.order.WriteString(keepOrder); err != nil {
			return fmt.Errorf("keep %s: %w", h.name, err)
		}
	}
	l.done = true
	for _, h := range l.hosts {
		h.release()
	}
	return nil
}

// ID returns the name by which Remove knows the lab.
func (l *Lab) ID() string { return l.state.id }

// Enter runs a program inside a host of a lab that was kept, on this terminal,
// and waits for it. Path is put in front of its PATH.
func Enter(host HostInfo, path []string, argv ...string) error {
	if !host.alive() {
		return fmt.Errorf("%s: its first process %d is gone", host.Name, host.PID)
	}
	pidfd, err := unix.PidfdOpen(host.PID, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	// Ctrl-C is for the program inside. Caught, not ignored: what is ignored
	// here would be ignored there too.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, os.Interrupt, unix.SIGQUIT)
	defer signal.Stop(caught)
	cmd := &exec.Cmd{
		Path: argv[0], Args: argv, Dir: runDir, Env: append(os.Environ(), "PATH="+searchPath(path)),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	if err := startIn(pidfd, searchPath(path), cmd); err != nil {
		return err
	}
	return cmd.Wait()
}
