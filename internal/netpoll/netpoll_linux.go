package netpoll

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Waiter waits for any of a set of descriptors to be readable. One goroutine
// waits at a time.
type Waiter struct {
	file *os.File // an epoll descriptor of its own, which the runtime watches
	raw  syscall.RawConn
	done func() bool // of the present Wait
	ask  func(uintptr) bool
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
	w.ask = func(uintptr) bool { return w.done() }
	if w.raw, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, err
	}
	return w, nil
}

// Wait calls done until it returns true: at once, and again whenever there may
// be something to read. done reads without blocking: nobody asks the descriptors
// whether that will succeed, which saves a system call each time. After Close it
// returns os.ErrClosed.
//
// The runtime is prepared to be woken before done is called, so what comes
// afterwards is an event and none is missed. Its poller watches the epoll
// descriptor for edges; those are passed on for each arrival, also while events
// wait in it that nobody has fetched ([K] eventpoll.c, ep_poll_callback).
//
// hot path
func (w *Waiter) Wait(done func() bool) error {
	w.done = done
	if w.raw.Read(w.ask) != nil {
		return os.ErrClosed // there is no other error
	}
	return nil
}

// Close ends waiting.
func (w *Waiter) Close() error { return w.file.Close() }
