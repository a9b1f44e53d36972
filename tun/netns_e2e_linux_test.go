//go:build linux && e2e

package tun

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// netns is a network namespace of a test.
type netns struct {
	t  testing.TB
	fd int
}

// newNetns makes a namespace with its loopback up.
func newNetns(t testing.TB) *netns {
	t.Helper()
	n := &netns{t: t}
	onThread(t, func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		fd, err := threadNamespace()
		n.fd = fd
		return err
	})
	t.Cleanup(func() { unix.Close(n.fd) })
	n.ip("link", "set", "lo", "up")
	return n
}

// onThread calls f on a thread of its own and takes it back to its namespace.
func onThread(t testing.TB, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := threadNamespace()
		if err == nil {
			err = f()
			if back := unix.Setns(home, unix.CLONE_NEWNET); back == nil {
				runtime.UnlockOSThread()
			}
			unix.Close(home)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// do calls f inside the namespace.
func (n *netns) do(f func() error) {
	n.t.Helper()
	onThread(n.t, func() error {
		if err := unix.Setns(n.fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("setns: %w", err)
		}
		return f()
	})
}

// ip runs ip(8) inside the namespace and returns what it prints.
func (n *netns) ip(args ...string) string {
	n.t.Helper()
	var out []byte
	n.do(func() (err error) {
		out, err = exec.Command("ip", args...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return err
	})
	return string(out)
}

// path names the namespace for ip(8).
func (n *netns) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.fd) }

// write writes to a file of /proc/sys/net as seen inside the namespace.
func (n *netns) write(file, value string) {
	n.t.Helper()
	n.do(func() error { return os.WriteFile(file, []byte(value), 0) })
}

func (n *netns) read(file string) string {
	n.t.Helper()
	var b []byte
	n.do(func() (err error) { b, err = os.ReadFile(file); return err })
	return strings.TrimSpace(string(b))
}

// create makes a TUN inside the namespace, closed with the test.
func (n *netns) create(name string, c Config) *Device {
	n.t.Helper()
	var d *Device
	n.do(func() (err error) { d, err = Create(name, c); return err })
	n.t.Cleanup(func() { d.Close() })
	return d
}
