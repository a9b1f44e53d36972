package tun

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespace opens the network namespace that the interface is in, which may not
// be the one it was made in.
func (d *Device) namespace() (fd int, err error) {
	if d.blind {
		return -1, unix.EACCES
	}
	q := d.queues[0]
	if !q.gate.enter() {
		return -1, os.ErrClosed
	}
	defer q.gate.leave()
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(q.fd), unix.TUNGETDEVNETNS, 0)
	if errno != 0 {
		return -1, errno
	}
	unix.CloseOnExec(int(n))
	return int(n), nil
}

// threadNamespace opens the network namespace of the calling thread.
func threadNamespace() (int, error) {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		return fd, nil
	}
	// Without /proc, a socket knows it too.
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, fmt.Errorf("own network namespace: %w", err)
	}
	defer unix.Close(s)
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCGSKNS, 0)
	if errno != 0 {
		return -1, fmt.Errorf("own network namespace: %w", errno)
	}
	unix.CloseOnExec(int(n))
	return int(n), nil
}

// sameFile reports whether two descriptors are of the same namespace.
func sameFile(a, b int) bool {
	var x, y unix.Stat_t
	return unix.Fstat(a, &x) == nil && unix.Fstat(b, &y) == nil && x.Dev == y.Dev && x.Ino == y.Ino
}

// inNamespace calls f on a thread in the namespace of the interface. To enter
// another one than ours takes CAP_SYS_ADMIN. Where the kernel does not say
// which one it is, f is called in ours, and has to see for itself whether the
// interface is there.
func (d *Device) inNamespace(f func() error) error {
	target, err := d.namespace()
	switch err {
	case nil:
		defer unix.Close(target)
	case unix.EPERM, unix.ENOTTY, unix.EINVAL:
		return f() // privileges were dropped, or the kernel is older than 5.5
	default:
		return err
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := threadNamespace()
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		defer unix.Close(home)
		if !sameFile(home, target) {
			if err := unix.Setns(target, unix.CLONE_NEWNET); err != nil {
				runtime.UnlockOSThread()
				done <- fmt.Errorf("enter network namespace of the link: %w", err)
				return
			}
		}
		err = f()
		// If there were no way back, the thread would have to end with the goroutine.
		if sameFile(home, target) || unix.Setns(home, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}
