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

// namespaceID returns the number by which the namespace of the calling thread
// knows another one, which it gets if it has none yet. It holds on to nothing:
// when the other one ends, the number is free again.
func namespaceID(other int) (int32, error) {
	r, err := newRTNL()
	if err != nil {
		return 0, err
	}
	defer r.close()
	body := appendAttr32(make([]byte, 4), unix.NETNSA_FD, uint32(other)) // struct rtgenmsg, padded
	find := func() (id int32, err error) {
		id = unix.NETNSA_NSID_NOT_ASSIGNED
		err = r.request(unix.RTM_GETNSID, 0, body, func(m message) {
			if m.typ == unix.RTM_NEWNSID {
				id = parseNSID(m.body)
			}
		})
		return id, err
	}
	id, err := find()
	if err == nil && id < 0 {
		const choose = 0xffffffff
		if err = r.request(unix.RTM_NEWNSID, 0, appendAttr32(body, unix.NETNSA_NSID, choose), nil); err == nil {
			id, err = find()
		}
	}
	if err == nil && id < 0 {
		err = unix.ENOENT
	}
	return id, err
}

// parseNSID reads the body of a RTM_NEWNSID or RTM_DELNSID.
func parseNSID(b []byte) int32 {
	id := int32(unix.NETNSA_NSID_NOT_ASSIGNED)
	if len(b) >= 4 {
		parseAttrs(b[4:], func(typ uint16, v []byte) {
			if typ == unix.NETNSA_NSID && len(v) >= 4 {
				id = int32(native.Uint32(v))
			}
		})
	}
	return id
}

// senderNSID returns the number of the namespace that a netlink message came
// from, as its ancillary data say; ownNamespace if they say nothing.
func senderNSID(oob []byte) int32 {
	if len(oob) == 0 {
		return ownNamespace
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return ownNamespace
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_NETLINK && m.Header.Type == unix.NETLINK_LISTEN_ALL_NSID && len(m.Data) >= 4 {
			return int32(native.Uint32(m.Data))
		}
	}
	return ownNamespace
}
