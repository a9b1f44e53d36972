package netpoll

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Waiter waits for any of a set of descriptors to be readable. One goroutine
// waits at a time.
type Waiter struct {
	file  *os.File // an epoll descriptor of its own, which the runtime watches
	raw   syscall.RawConn
	ready func(fd uintptr) bool
	found [1]unix.EpollEvent
}

// New returns a Waiter for fds, none of which it takes over. It is closed before
// they are.
func New(fds ...int) (*Waiter, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	for _, fd := range fds {
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
			unix.Close(ep)
			return nil, fmt.Errorf("watch descriptor %d: %w", fd, err)
		}
	}
	// Only a descriptor in this mode goes into the runtime's poller.
	if err := unix.SetNonblock(ep, true); err != nil {
		unix.Close(ep)
		return nil, fmt.Errorf("set epoll descriptor to non-blocking: %w", err)
	}
	w := &Waiter{file: os.NewFile(uintptr(ep), "epoll")}
	w.ready = w.isReady
	if w.raw, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, err
	}
	return w, nil
}

// Wait returns when a descriptor is readable, or may be. After Close it returns
// os.ErrClosed.
//
// hot path
func (w *Waiter) Wait() error {
	if w.raw.Read(w.ready) != nil {
		return os.ErrClosed // there is no other error
	}
	return nil
}

// isReady looks, once the runtime is prepared to be woken: what comes after is
// an event, so none is missed.
func (w *Waiter) isReady(fd uintptr) bool {
	// It does not block, so the runtime need not know.
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&w.found[0])), 1, 0, 0, 0)
	return n != 0 || errno != 0 && errno != unix.EINTR
}

// Close ends waiting.
func (w *Waiter) Close() error { return w.file.Close() }
