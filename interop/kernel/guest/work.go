package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/interop/kernel/initramfs"
	"github.com/warrenvpn/warren/interop/kernel/order"
)

// worker does orders.
type worker struct {
	port    *port
	mu      sync.Mutex          // guards running
	running map[uint64]*process // by order
}

type process struct{ pid int }

func (w *worker) answer(a order.Answer) {
	if err := order.Send(w.port, a); err != nil {
		fmt.Println("guest: answer:", err)
	}
}

// obey does one order.
func (w *worker) obey(o *order.Order) order.Answer {
	a := order.Answer{ID: o.ID}
	var err error
	switch o.Kind {
	case order.Run:
		err = w.run(o, &a)
	case order.Write:
		err = os.MkdirAll(filepath.Dir(o.Path), 0o755)
		if err == nil {
			err = os.WriteFile(o.Path, o.Data, os.FileMode(o.Mode))
		}
		if err == nil {
			err = os.Chmod(o.Path, os.FileMode(o.Mode)) // whatever the umask
		}
	case order.Read:
		a.Stdout, err = os.ReadFile(o.Path)
	case order.Load:
		err = load(o.Argv...)
	default:
		err = fmt.Errorf("there is no order %q", o.Kind)
	}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

// run runs a command. A daemon that it left behind may hold on to its output:
// that is not waited for.
func (w *worker) run(o *order.Order, a *order.Answer) error {
	if len(o.Argv) == 0 {
		return errors.New("run: no command")
	}
	path := o.Path
	if path == "" {
		path = o.Argv[0]
	}
	path, err := exec.LookPath(path)
	if err != nil {
		return err
	}
	var stdout, stderr bytes.Buffer
	cmd := &exec.Cmd{
		Path: path, Args: o.Argv, Env: append(os.Environ(), o.Env...), Dir: "/",
		Stdin: bytes.NewReader(o.Data), Stdout: &stdout, Stderr: &stderr,
		WaitDelay:   100 * time.Millisecond,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	if o.UID != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: o.UID, Gid: o.UID}
	}
	// No orphan is collected between the start and the note of who it is.
	w.mu.Lock()
	if err = cmd.Start(); err == nil {
		w.running[o.ID] = &process{cmd.Process.Pid}
	}
	w.mu.Unlock()
	if err != nil {
		return err
	}
	err = cmd.Wait()
	w.mu.Lock()
	delete(w.running, o.ID)
	w.mu.Unlock()
	w.collect()
	a.Stdout, a.Stderr = stdout.Bytes(), stderr.Bytes()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if a.Status = status.ExitStatus(); status.Signaled() {
		a.Status = 128 + int(status.Signal())
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	return nil
}

// cancel kills the process group of an order.
func (w *worker) cancel(id uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.running[id]; p != nil {
		_ = unix.Kill(-p.pid, unix.SIGKILL)
	}
}

// collect waits for dead children that are nobody's order: daemons whose parent
// has left them to the first process, that is to its first thread.
func (w *worker) collect() {
	w.mu.Lock()
	defer w.mu.Unlock()
	ours := map[int]bool{}
	for _, p := range w.running {
		ours[p.pid] = true
	}
	children, _ := os.ReadFile("/proc/1/task/1/children")
	for _, c := range strings.Fields(string(children)) {
		if pid, err := strconv.Atoi(c); err == nil && !ours[pid] {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
	}
}

var loading sync.Mutex // held while modules are inserted

// load inserts modules, what they depend on first. What is not among the
// modules of the image is part of the kernel.
func load(names ...string) error {
	loading.Lock()
	defer loading.Unlock()
	text, err := os.ReadFile(initramfs.ModuleOrder)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	// Those that need come after those needed, so from the end.
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		words := strings.Fields(lines[i])
		for _, n := range words[1:] {
			wanted[n] = wanted[n] || wanted[words[0]]
		}
	}
	for _, l := range lines {
		if name := strings.Fields(l)[0]; wanted[name] {
			if err := insert(name); err != nil {
				return fmt.Errorf("module %s: %w", name, err)
			}
		}
	}
	return nil
}

func insert(name string) error {
	f, err := os.Open(filepath.Join(initramfs.ModuleDir, name+".ko"))
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	// There already, or for other hardware.
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
