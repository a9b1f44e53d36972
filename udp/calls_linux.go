package udp

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// calls are the system calls of this package, as a table so that tests can make
// any of them fail. The memory behind the headers is kept by the caller.
type calls struct {
	socket   func(domain, kind, protocol int) (int, error)
	bind     func(fd int, address unix.Sockaddr) error
	setInt   func(fd, level, option, value int) error
	steer    func(fd int, program *unix.SockFprog) error
	receive  func(fd int, msgs []message) (int, unix.Errno)
	send     func(fd int, msgs []message) (int, unix.Errno)
	poll     func(fds []unix.PollFd, timeout *unix.Timespec) (int, unix.Errno)
	openFlow func() (int, error) // a netlink socket for routing
}

// kernel is the table of the real ones.
var kernel = calls{
	socket: unix.Socket,
	bind:   unix.Bind,
	setInt: unix.SetsockoptInt,
	steer: func(fd int, program *unix.SockFprog) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, program)
	},
	receive: receiveMessages,
	send:    sendMessages,
	poll:    poll,
	openFlow: func() (int, error) {
		return unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	},
}

// message is struct mmsghdr: a message header, and how many bytes it moved.
type message struct {
	unix.Msghdr
	n uint32
}

// None of the calls that move datagrams blocks, so the runtime is not told of
// them (RawSyscall). Told, it would take the processor away from a lane that
// sends for more than 20 us, and start a thread to have it used, which costs a
// fifth of the speed of one stream (docs/performance.md).

// receiveMessages receives up to len(msgs) datagrams without blocking.
//
// hot path
func receiveMessages(fd int, msgs []message) (int, unix.Errno) {
	first := unsafe.Pointer(&msgs[0]) // the array outlives the call: msgs is on the heap
	if len(msgs) == 1 {
		n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(first), unix.MSG_DONTWAIT)
		if errno != 0 {
			return 0, errno
		}
		msgs[0].n = uint32(n)
		return 1, 0
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(first), uintptr(len(msgs)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// sendMessages sends some of msgs, from the first on, without blocking. An error
// is that of the first.
//
// hot path
func sendMessages(fd int, msgs []message) (int, unix.Errno) {
	const flags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	first := unsafe.Pointer(&msgs[0])
	if len(msgs) == 1 {
		_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(first), flags)
		if errno != 0 {
			return 0, errno
		}
		return 1, 0
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(first), uintptr(len(msgs)), flags, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// poll waits for one of fds. A nil timeout is for ever.
func poll(fds []unix.PollFd, timeout *unix.Timespec) (int, unix.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)),
		uintptr(unsafe.Pointer(timeout)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
