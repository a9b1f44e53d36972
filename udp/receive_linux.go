package udp

import (
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/netpoll"
	"github.com/warrenvpn/warren/packet"
)

var errClosed = net.ErrClosed

// maxBatch bounds the datagrams of one system call, in either direction.
const maxBatch = 64

// budget is how many bytes one Receive aims at, going by the size of the last
// datagram: one that is coalesced is work enough, and stays in the cache; small
// ones come in numbers.
const budget = 64 << 10

// receiver is a Receiver on Linux. Its memory belongs to the goroutine that
// calls Receive.
type receiver struct {
	p         *port
	fd        int
	handshake bool
	last      int // size of the last datagram
	failures  int // errors in a row
	waiting   waiting
	waiter    *netpoll.Waiter // nil if there could be none
	again     func() bool     // tryReceive, as the waiter takes it
	empty     bool            // the last receive took all there was
	want      int             // datagrams to ask for
	epoch     uint32          // of routing, before they were received
	n         int             // datagrams received
	errno     unix.Errno      // or why none were

	msgs    [maxBatch]message
	iovs    [maxBatch]unix.Iovec
	names   [maxBatch]sockaddr
	control [maxBatch][receiveControlLen]byte
}

func newReceiver(p *port, fd int, handshake bool) *receiver {
	r := &receiver{p: p, fd: fd, handshake: handshake}
	for i := range r.msgs {
		h := &r.msgs[i].Msghdr
		h.Name = &r.names[i][0]
		h.Iov = &r.iovs[i]
		h.SetIovlen(1)
		h.Control = &r.control[i][0]
	}
	if w, err := netpoll.New(fd, p.wake); err == nil {
		r.waiter = w
		r.again = r.tryReceive
	}
	return r
}

func (r *receiver) Handshake() bool { return r.handshake }

// Receive fills batch with at least one datagram.
//
// hot path
func (r *receiver) Receive(batch []packet.Datagram) (int, error) {
	if !r.p.enter() {
		return 0, errClosed
	}
	defer r.p.leave()
	if len(batch) == 0 {
		return 0, nil
	}
	for {
		r.want = r.prepare(batch)
		// A socket that was empty is when it is looked at again.
		if r.waiter != nil && r.empty || !r.tryReceive() {
			if err := r.wait(); err != nil {
				return 0, err
			}
		}
		if r.errno != 0 {
			if err := r.pause(r.errno); err != nil {
				return 0, err
			}
			continue
		}
		r.failures = 0
		if n := r.collect(batch, r.n); n > 0 {
			return n, nil
		}
		if r.p.isClosing() { // a flood of them must not keep the port open
			return 0, errClosed
		}
		// nothing but empty or cut ones
	}
}

// tryReceive receives what was prepared for and reports whether there was
// anything, or an error.
//
// hot path
func (r *receiver) tryReceive() bool {
	if r.p.isClosing() { // asked each time: the event may have been before the wait
		r.errno = unix.EBADF
		return true
	}
	r.epoch = r.p.sources.epoch.Load() // not before a wait: it may have been long
	r.n, r.errno = r.p.sys.receive(r.fd, r.msgs[:r.want])
	r.empty = r.errno == unix.EAGAIN || r.errno == 0 && r.n < r.want
	return r.errno != unix.EAGAIN
}

// wait blocks until tryReceive has a result.
func (r *receiver) wait() error {
	if r.waiter != nil {
		if r.waiter.Wait(r.again) != nil || r.p.isClosing() {
			return errClosed
		}
		return nil
	}
	for !r.tryReceive() {
		if r.p.wait(&r.waiting, r.fd, unix.POLLIN, nil) == wasClosed {
			return errClosed
		}
	}
	return nil
}

// prepare lends the memory of the batch to the kernel and returns how many
// datagrams to ask for.
func (r *receiver) prepare(batch []packet.Datagram) int {
	want := min(len(batch), maxBatch, max(1, budget/max(r.last, 1)))
	for i := range want {
		h := &r.msgs[i].Msghdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(receiveControlLen)
		r.iovs[i].Base = &batch[i].Buf[0]
		r.iovs[i].SetLen(len(batch[i].Buf))
	}
	return want
}

// collect describes the n datagrams received and returns how many are of use.
// Those are moved to the front, each with its memory.
func (r *receiver) collect(batch []packet.Datagram, n int) int {
	kept := 0
	for i := range n {
		d := &batch[i]
		if !r.describe(d, i) {
			continue
		}
		if kept != i {
			batch[kept], batch[i] = batch[i], batch[kept]
		}
		kept++
	}
	r.last = int(r.msgs[n-1].n)
	return kept
}

// describe sets what is known of the datagram in slot i, and reports whether
// there is a message in it.
func (r *receiver) describe(d *packet.Datagram, i int) bool {
	m := &r.msgs[i]
	size := int(m.n)
	c := parseControl(r.control[i][:min(int(m.Controllen), receiveControlLen)])
	segment := c.segment
	if segment <= 0 || segment > size {
		segment = size
	}
	if m.Flags&unix.MSG_TRUNC != 0 {
		// Larger than the memory: the messages in front of the cut are whole (B48).
		if segment == size {
			return false
		}
		size -= size % segment
	}
	if size == 0 {
		return false
	}
	remote, scope := r.names[i].addrPort()
	if scope != 0 && remote.Addr().IsLinkLocalUnicast() {
		remote = netip.AddrPortFrom(r.p.zoned(remote.Addr(), scope), remote.Port())
	}
	d.N, d.Segment, d.TOS = size, segment, c.tos
	d.From = packet.Endpoint{Remote: remote, Local: c.local, Epoch: r.epoch}
	return true
}

// pause waits for what errno tells to wait for. It returns an error when
// Receive should.
func (r *receiver) pause(errno unix.Errno) error {
	var outcome outcome
	switch errno {
	case unix.EINTR:
		return nil
	default:
		// An ICMP error left on the socket is read like this once, and means
		// nothing; a lasting error must not become a busy loop (E15).
		r.failures++
		if r.failures <= 8 {
			break
		}
		if r.failures%16 == 0 {
			return errno
		}
		outcome = r.p.wait(&r.waiting, -1, 0, &unix.Timespec{Nsec: 10e6})
	}
	if outcome == wasClosed || r.p.isClosing() {
		return errClosed
	}
	return nil
}
