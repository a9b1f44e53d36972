//go:build linux

package netlab

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// initName is argv[0] of a host's first process: this program again, in new
// namespaces.
const initName = "warren-lab-init"

// The descriptors an init inherits.
const (
	orderFD = 3 // reads: initSpec as one line of JSON, then orders
	replyFD = 4 // writes: one line, readyReply or what went wrong
)

const (
	readyReply = "ready"
	keepOrder  = "keep\n"
)

// runDir is the private file system of a host; labFiles holds its private
// versions of files of the machine.
const (
	runDir   = "/run"
	labFiles = "/run/.lab"
)

// initSpec is what an init is told.
type initSpec struct {
	Name  string            // host name
	Files map[string]string // private files: path and contents
}

// A program that links this package becomes a host's init when it is started
// with initName. This cannot wait for main: main belongs to the program, and a
// test binary has none to call.
func init() {
	if len(os.Args) == 1 && os.Args[0] == initName && os.Getpid() == 1 {
		os.Exit(runInit())
	}
}

// runInit sets up the namespaces this process was started in, reports, and
// then does what a first process must: it collects dead children and, by
// exiting when the owner is gone, ends every process of the host.
func runInit() int {
	orders := bufio.NewReader(os.NewFile(orderFD, "orders"))
	reply := os.NewFile(replyFD, "reply")
	if err := setUpInit(orders); err != nil {
		fmt.Fprintln(reply, err)
		return 1
	}
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	go collect(children)
	fmt.Fprintln(reply, readyReply)
	reply.Close()

	order, err := orders.ReadString('\n')
	if err == nil && order == keepOrder {
		// From now on it belongs to nobody: it must not hold on to the owner's
		// terminal, or to a pipe whose reader waits for the end.
		if null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0); err == nil {
			_ = unix.Dup2(int(null.Fd()), unix.Stderr)
		}
		select {} // until it is killed
	}
	return 0
}

func setUpInit(orders *bufio.Reader) error {
	line, err := orders.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read orders: %w", err)
	}
	var spec initSpec
	if err := json.Unmarshal(line, &spec); err != nil {
		return fmt.Errorf("read orders: %w", err)
	}
	if err := unix.Sethostname([]byte(spec.Name)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	return mountPrivate(spec.Files)
}

// collect reaps children that were left to this process.
func collect(died <-chan os.Signal) {
	for range died {
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if pid <= 0 || err != nil {
				break
			}
		}
	}
}

// mountPrivate makes the host's own view of the file system.
func mountPrivate(files map[string]string) error {
	// Nothing mounted from here on may reach the machine.
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	// /sys shows the interfaces of the namespace it was mounted in. Programs
	// here ask netlink, so a machine that forbids this still works.
	_ = mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if err := mount("run", runDir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return err
	}
	if old, err := filepath.EvalSymlinks("/var/run"); err == nil && old != runDir {
		if err := mount(runDir, old, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(runDir, "wireguard"), 0o755); err != nil {
		return err
	}
	for path, text := range files {
		if err := mountFile(path, text); err != nil {
			return fmt.Errorf("private %s: %w", path, err)
		}
	}
	return nil
}

// mountFile puts a file of our own over path.
func mountFile(path, text string) error {
	own := filepath.Join(labFiles, path)
	if err := os.MkdirAll(filepath.Dir(own), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(own, []byte(text), 0o644); err != nil {
		return err
	}
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		// Commonly /etc/resolv.conf is a link into /run, now empty.
		target, err = danglingTarget(path)
	}
	if errors.Is(err, fs.ErrNotExist) && path != hostsFile {
		return nil // a machine without this file: no program here needs it
	}
	if err != nil {
		return err
	}
	return mount(own, target, "", unix.MS_BIND, "")
}

// danglingTarget creates what the link at path points to, provided that it
// lies in the private file system.
func danglingTarget(path string) (string, error) {
	link, err := os.Readlink(path)
	if err != nil {
		return "", err // there is no such file at all
	}
	if !filepath.IsAbs(link) {
		link = filepath.Join(filepath.Dir(path), link)
	}
	if link = strings.TrimPrefix(link, "/var"); !strings.HasPrefix(link, runDir+"/") {
		return "", fmt.Errorf("points to %s, which does not exist", link)
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return "", err
	}
	return link, os.WriteFile(link, nil, 0o644)
}

func mount(source, target, fstype string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	return nil
}

// readReply returns nil when an init reported that it is ready.
func readReply(r io.Reader) error {
	line, err := bufio.NewReader(r).ReadString('\n')
	line = strings.TrimSpace(line)
	switch {
	case line == readyReply:
		return nil
	case line != "":
		return errors.New(line)
	}
	return fmt.Errorf("the first process ended: %w", err)
}
