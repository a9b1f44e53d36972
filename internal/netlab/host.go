//go:build linux

package netlab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// namespaces are those a host has of its own.
const namespaces = unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS

const (
	hostsFile  = "/etc/hosts"
	localhosts = "127.0.0.1 localhost\n::1 localhost\n"
)

// Host is a host of a lab. All fields are fixed once it was made.
type Host struct {
	name  string
	path  string // PATH of its processes
	init  *exec.Cmd
	order *os.File // to the init; its end is the host's end
	pidfd int      // of the init: names all its namespaces
	netns *os.File
	info  HostInfo
}

// startHost starts the init of a host and waits until it is ready.
func startHost(name, path string) (_ *Host, err error) {
	orderR, orderW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer orderR.Close()
	replyR, replyW, err := os.Pipe()
	if err != nil {
		orderW.Close()
		return nil, err
	}
	defer replyR.Close()

	h := &Host{name: name, path: path, order: orderW, pidfd: -1}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	h.init = &exec.Cmd{
		Path:       "/proc/self/exe",
		Args:       []string{initName},
		Env:        []string{"GOMAXPROCS=1", "GOTRACEBACK=none"},
		Dir:        "/",
		ExtraFiles: []*os.File{orderR, replyW}, // orderFD, replyFD
		Stderr:     os.Stderr,
		// A session of its own: Ctrl-C is for the owner. No parent-death
		// signal: it follows the thread that forked, not the process; the end
		// of the pipe follows the process.
		SysProcAttr: &unix.SysProcAttr{Cloneflags: namespaces, Setsid: true},
	}
	err = h.init.Start()
	replyW.Close()
	if err != nil {
		h.init = nil
		return nil, fmt.Errorf("create namespaces: %w", err)
	}
	if err := h.instruct(); err != nil {
		return nil, err
	}
	if err := readReply(replyR); err != nil {
		return nil, err
	}
	return h, h.open()
}

// instruct sends the init its orders.
func (h *Host) instruct() error {
	spec, err := json.Marshal(initSpec{Name: h.name, Files: map[string]string{
		hostsFile:          localhosts,
		"/etc/resolv.conf": "# no name servers: names of the lab are in /etc/hosts\n",
	}})
	if err != nil {
		return err
	}
	_, err = h.order.Write(append(spec, '\n'))
	return err
}

// open takes hold of the namespaces of a running init.
func (h *Host) open() (err error) {
	pid := h.init.Process.Pid
	start, err := startTime(pid)
	if err != nil {
		return err
	}
	h.info = HostInfo{Name: h.name, PID: pid, Start: start}
	if h.pidfd, err = unix.PidfdOpen(pid, 0); err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	if h.netns, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", pid)); err != nil {
		return err
	}
	return h.defaults()
}

// defaults makes a fresh network namespace usable without delay.
func (h *Host) defaults() error {
	// Addresses work at once: nobody else can have them (RFC 4862, 5.4).
	for _, key := range []string{"all", "default"} {
		if err := h.Sysctl("net/ipv6/conf/"+key+"/accept_dad", "0"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return h.setUp("lo")
}

// closeDelay bounds how long close waits for a host to be gone entirely.
const closeDelay = time.Second

// close ends the host's processes.
func (h *Host) close() {
	h.release()
	if h.init == nil {
		return
	}
	// The end of the pipe suffices, unless the init hangs or was told to stay.
	// Its death kills all processes of the host.
	h.init.Process.Kill()
	gone := make(chan struct{})
	go func() {
		h.init.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(closeDelay):
		// The kernel keeps the init until its last process was waited for, and
		// that of a command is up to whoever started it.
	}
}

// release lets go of the namespaces without ending the host.
func (h *Host) release() {
	h.order.Close()
	if h.pidfd >= 0 {
		unix.Close(h.pidfd)
		h.pidfd = -1
	}
	if h.netns != nil {
		h.netns.Close()
	}
}

// Name returns the name of the host.
func (h *Host) Name() string { return h.name }

// PID returns the process id of the host's first process, for nsenter.
func (h *Host) PID() int { return h.info.PID }

// Do runs f inside the host's network and mount namespaces and returns its
// error. Sockets and files that f opens stay usable everywhere afterwards. f
// runs on a thread of its own: goroutines it starts are not inside the host.
func (h *Host) Do(f func() error) error {
	return inside(h.pidfd, unix.CLONE_NEWNET|unix.CLONE_NEWNS|unix.CLONE_NEWUTS, f)
}

// inside runs f on a thread that has entered namespaces of the process that
// pidfd names. The thread ends with f: it can never be anything else again.
func inside(pidfd int, flags int, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // without unlock: the thread ends with the goroutine
		// Threads share root and working directory; one that does so may
		// not enter another mount namespace.
		err := unix.Unshare(unix.CLONE_FS)
		if err == nil {
			err = unix.Setns(pidfd, flags)
		}
		if err != nil {
			result <- fmt.Errorf("enter namespaces: %w", err)
			return
		}
		defer func() {
			if p := recover(); p != nil {
				result <- fmt.Errorf("panic: %v", p)
			}
		}()
		result <- f()
	}()
	return <-result
}

// Command returns a command that will run in the host, with the environment of
// this process and the lab's PATH. Start it with Start, not by itself. When
// ctx ends, its process group is killed.
func (h *Host) Command(ctx context.Context, argv ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Err = nil // it is looked for inside
	cmd.Path = argv[0]
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "PATH="+h.path)
	// A group of its own, so that Ctrl-C does not race with the clean-up, and
	// so that what the command starts ends with it.
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	return cmd
}

// Start starts a command made by Command. Its Wait may be called anywhere.
func (h *Host) Start(cmd *exec.Cmd) error {
	return startIn(h.pidfd, h.path, cmd)
}

func startIn(pidfd int, path string, cmd *exec.Cmd) error {
	return inside(pidfd, namespaces, func() error {
		if !strings.Contains(cmd.Path, "/") {
			file, err := lookPath(cmd.Path, path)
			if err != nil {
				return err
			}
			cmd.Path = file
		}
		return cmd.Start()
	})
}

// lookPath finds a program in the file system of the calling thread.
func lookPath(name, path string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if i, err := os.Stat(file); err == nil && i.Mode().IsRegular() && i.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
}

// Run runs a command in the host and returns what it wrote to standard output,
// as Output does.
func (h *Host) Run(ctx context.Context, argv ...string) ([]byte, error) {
	return h.Output(h.Command(ctx, argv...))
}

// Output starts a command made by Command, waits for it, and returns what it
// wrote to standard output. An error carries what it wrote to standard error.
// Output returns when the command ends, even if a daemon that it started still
// holds its output open.
func (h *Host) Output(cmd *exec.Cmd) ([]byte, error) {
	out, err := memoryFile()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	errs, err := memoryFile()
	if err != nil {
		return nil, err
	}
	defer errs.Close()
	cmd.Stdout, cmd.Stderr = out, errs
	if err = h.Start(cmd); err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		err = fmt.Errorf("%s: %s: %w\n%s", h.name, strings.Join(cmd.Args, " "), err, bytes.TrimSpace(contents(errs)))
	}
	return contents(out), err
}

// memoryFile returns an unnamed file. A pipe in its place would end only with
// the last daemon that inherited it.
func memoryFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("output", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	return os.NewFile(uintptr(fd), "output"), nil
}

func contents(f *os.File) []byte {
	b, _ := io.ReadAll(io.NewSectionReader(f, 0, math.MaxInt64))
	return b
}

// WriteFile writes a file inside the host, with the directories above it. Under
// /run only the host sees it; elsewhere it would be the machine's, so it is
// refused.
func (h *Host) WriteFile(path string, data []byte, mode os.FileMode) error {
	if path = filepath.Clean(path); !strings.HasPrefix(path, runDir+"/") {
		return fmt.Errorf("write %s: only %s belongs to the host", path, runDir)
	}
	return h.Do(func() error {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, mode); err != nil {
			return err
		}
		return os.Chmod(path, mode) // whatever the umask
	})
}

// Symlink makes a link inside the host, below /run as WriteFile does.
func (h *Host) Symlink(target, path string) error {
	if path = filepath.Clean(path); !strings.HasPrefix(path, runDir+"/") {
		return fmt.Errorf("link %s: only %s belongs to the host", path, runDir)
	}
	return h.Do(func() error {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.Symlink(target, path)
	})
}

// SetNames makes the host's /etc/hosts hold these names.
func (h *Host) SetNames(names map[string][]netip.Addr) error {
	var b strings.Builder
	b.WriteString(localhosts)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		for _, a := range names[name] {
			fmt.Fprintf(&b, "%s %s\n", a, name)
		}
	}
	return h.WriteFile(filepath.Join(labFiles, hostsFile), []byte(b.String()), 0o644)
}

// Sysctl sets a kernel parameter of the host's network, named as a path below
// /proc/sys: net/ipv4/ip_forward.
func (h *Host) Sysctl(key, value string) error {
	if !strings.HasPrefix(key, "net/") {
		return fmt.Errorf("sysctl %s: not a parameter of a network namespace", key)
	}
	return h.Do(func() error {
		return os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0o644)
	})
}

// Forward makes the host a router for both address families.
func (h *Host) Forward() error {
	if err := h.Sysctl("net/ipv4/ip_forward", "1"); err != nil {
		return err
	}
	return h.Sysctl("net/ipv6/conf/all/forwarding", "1")
}
