package tun

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/netpoll"
	"github.com/warrenvpn/warren/internal/offload"
	"github.com/warrenvpn/warren/packet"
)

const (
	headroom = 16   // bytes in front of a packet, of which the virtio header takes the last ten
	enough   = 8192 // after a packet of this size a read does not wait for more
	retries  = 3    // of a write for which the kernel had no memory
)

// Passing errors of Read.
var (
	errTruncated = errors.New("tun: packet larger than the buffer")
	errOffload   = errors.New("tun: packet with an unknown offload")
)

// queue is one queue of a TUN.
type queue struct {
	dev  *Device
	fd   int // used between gate.enter and gate.leave only
	gate gate
	reader
	// spare is the memory for a write. Who writes takes it; a second writer at
	// the same time makes some of its own.
	spare atomic.Pointer[writer]
}

// reader is what Read keeps. It belongs to the goroutine that reads until the
// gate is shut.
type reader struct {
	waiter *netpoll.Waiter // made by the first Read that has to wait
	again  func() bool     // tryFill, as the waiter takes it
	batch  []packet.Super  // of the present Read
	n      int             // what fill returned
	err    error
	empty  bool // the last fill ended for want of packets
}

func newQueue(d *Device, fd int) *queue {
	q := &queue{dev: d, fd: fd, gate: newGate()}
	q.again = q.tryFill
	return q
}

// Read fills batch as package device asks. A large packet ends it: what comes
// after is better read when that one is on its way.
//
// hot path
func (q *queue) Read(batch []packet.Super) (int, error) {
	if !q.gate.enter() {
		return 0, os.ErrClosed
	}
	defer q.gate.leave()
	q.batch = batch
	if q.empty || !q.tryFill() { // a queue that was empty is when it is looked at again
		if err := q.wait(); err != nil {
			return 0, err
		}
	}
	q.batch = nil
	return q.n, q.err
}

// tryFill fills the batch and reports whether that is a result for Read: some
// packets, or an error.
//
// hot path
func (q *queue) tryFill() bool {
	if q.dev.isClosing() { // asked each time: the event may have been before the wait
		q.n, q.err = 0, os.ErrClosed
		return true
	}
	q.n, q.err = q.fill(q.batch)
	return q.n > 0 || q.err != nil
}

// fill reads packets until there is a large one, there are none, or the batch is
// full. No packets and no error: there are none.
//
// hot path
func (q *queue) fill(batch []packet.Super) (int, error) {
	q.empty = false
	for n := 0; n < len(batch); {
		err := q.readOne(&batch[n])
		switch {
		case err == nil:
			n++
			if batch[n-1].N >= enough {
				return n, nil
			}
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			q.empty = true
			return n, nil
		case n > 0:
			return n, nil // an error comes again
		case err == unix.EBADFD, err == unix.EBADF: // [K] tun.c: the interface was deleted
			return 0, os.ErrClosed
		default:
			return 0, err
		}
	}
	return len(batch), nil
}

// readOne reads one packet without blocking. The virtio header comes to lie in
// the headroom.
//
// hot path
func (q *queue) readOne(s *packet.Super) error {
	if !q.dev.vnet {
		n, err := read(q.fd, s.Buf[headroom:])
		if err != nil {
			return err
		}
		s.Off, s.N, s.Offload = headroom, n, packet.Offload{}
		if n > len(s.Buf)-headroom {
			return errTruncated
		}
		return nil
	}
	n, err := read(q.fd, s.Buf[headroom-virtioSize:])
	if err != nil {
		return err
	}
	if n < virtioSize || n > len(s.Buf)-headroom+virtioSize {
		return errTruncated
	}
	o, ok := parseVirtio(s.Buf[headroom-virtioSize : headroom])
	if !ok {
		return errOffload
	}
	s.Off, s.N, s.Offload = headroom, n-virtioSize, o
	return nil
}

// read and writev do not block, so the runtime is not told of them (RawSyscall):
// it would take the processor away from the lane meanwhile, and wake threads to
// have it used (docs/performance.md).

// read reads one packet, with its virtio header where there is one. b is on the
// heap, as the vectors of writev are: the runtime does not see the kernel use it.
//
// hot path
func read(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// wait blocks until tryFill has a result.
func (q *queue) wait() error {
	if q.waiter == nil {
		w, err := netpoll.New(q.fd, q.dev.wake)
		if err != nil {
			return err
		}
		q.waiter = w
	}
	return q.waiter.Wait(q.again)
}

// writer is the memory that a write needs.
type writer struct {
	header [virtioSize]byte
	iov    []unix.Iovec
	joined []byte // a super-packet in one piece, to be cut; nil until needed
	cut    []byte
}

// Write hands one packet to the system, as package device asks.
//
// hot path
func (q *queue) Write(o packet.Offload, parts [][]byte) error {
	if !q.gate.enter() {
		return os.ErrClosed
	}
	defer q.gate.leave()
	w := q.spare.Swap(nil)
	if w == nil {
		w = new(writer)
	}
	err := q.write(w, o, parts)
	q.spare.Store(w)
	return err
}

// hot path
func (q *queue) write(w *writer, o packet.Offload, parts [][]byte) error {
	special := o.NeedsCsum || o.Kind != packet.Plain
	if special && (!o.NeedsCsum || q.dev.takes.Load()&(1<<o.Kind) == 0) {
		return q.writeCut(w, o, parts)
	}
	err := q.writev(w, o, parts)
	if special && err != nil {
		return q.refused(w, o, parts, err)
	}
	return err
}

// refused is called when the kernel did not take a packet with an offload. It
// may be the offload, which some kernels refuse though they know it; it may be
// a link that is down; or there is no memory for so much at once. Single
// packets tell.
func (q *queue) refused(w *writer, o packet.Offload, parts [][]byte, cause error) error {
	if cause == os.ErrClosed || cause == io.ErrShortWrite {
		return cause
	}
	if err := q.writeCut(w, o, parts); err != nil {
		return cause
	}
	if !isPassing(cause) {
		q.dev.takes.And(^uint32(1 << o.Kind))
	}
	return nil
}

// isPassing reports whether an error of a write is for want of memory.
func isPassing(err error) bool {
	switch err {
	case unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM, unix.ENOSPC:
		return true
	}
	return false
}

// writeCut cuts a packet with an offload and writes what comes out, one by one.
func (q *queue) writeCut(w *writer, o packet.Offload, parts [][]byte) error {
	if w.cut == nil {
		w.joined = make([]byte, 0, packet.MaxSuper)
		w.cut = make([]byte, 2*packet.MaxSuper)
	}
	w.joined = w.joined[:0]
	for _, p := range parts {
		w.joined = append(w.joined, p...)
	}
	var c offload.Cutter
	if err := c.Reset(w.joined, o, offload.Layout{}); err != nil {
		return err
	}
	var first error
	for !c.Done() {
		size, n, total := c.Next(w.cut)
		if n == 0 {
			return offload.ErrShortBuffer
		}
		for b := w.cut[:total]; len(b) > 0; b = b[min(size, len(b)):] {
			err := q.writev(w, packet.Offload{}, [][]byte{b[:min(size, len(b))]})
			if err != nil && !isPassing(err) {
				return err
			}
			if first == nil {
				first = err
			}
		}
	}
	return first
}

// writev writes one packet with the header that o asks for.
//
// hot path
func (q *queue) writev(w *writer, o packet.Offload, parts [][]byte) error {
	iov, size := w.iov[:0], 0
	if q.dev.vnet {
		var head []byte
		if len(parts) > 0 {
			head = parts[0]
		}
		putVirtio(&w.header, o, head)
		iov = append(iov, vector(w.header[:]))
		size = virtioSize
	}
	for _, p := range parts {
		if len(p) > 0 {
			iov = append(iov, vector(p))
			size += len(p)
		}
	}
	w.iov = iov
	if len(iov) == 0 {
		return unix.EINVAL
	}
	for try := 0; ; {
		// The vectors and what they point to stay reachable through w and parts.
		n, _, errno := unix.RawSyscall(unix.SYS_WRITEV, uintptr(q.fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
		switch {
		case errno == 0 && int(n) == size:
			return nil
		case errno == 0:
			return io.ErrShortWrite
		case errno == unix.EINTR:
			continue
		case errno == unix.EBADFD, errno == unix.EBADF:
			return os.ErrClosed
		case isPassing(errno) && try < retries:
			try++
			q.pause()
			continue
		}
		return errno
	}
}

// vector returns b, which is not empty, as what writev takes.
func vector(b []byte) unix.Iovec {
	v := unix.Iovec{Base: &b[0]}
	v.SetLen(len(b))
	return v
}

// pause waits until the queue takes packets again, or a moment.
func (q *queue) pause() {
	fds := [2]unix.PollFd{{Fd: int32(q.fd), Events: unix.POLLOUT}, {Fd: int32(q.dev.wake), Events: unix.POLLIN}}
	unix.Ppoll(fds[:], &unix.Timespec{Nsec: 1e6}, nil)
}
