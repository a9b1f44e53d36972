package udp

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/packet"
)

// Limits of one segmented send. Newer kernels take 128 segments; the bytes are
// those of the largest datagram of each family.
const (
	maxSegments = 64
	maxBytes4   = 65535 - 20 - 8
	maxBytes6   = 65535 - 8
)

// patience is how often a full buffer is waited for during one Send, a
// millisecond at a time (B74: ENOBUFS comes with no event when it is over).
const patience = 20

var moment = unix.Timespec{Nsec: 1e6}

// piece is what one system call sends: a datagram, or several of one size.
type piece struct {
	buf     []byte
	segment int // 0: one datagram
	to      *packet.Endpoint
	tos     byte
	hops    uint8 // 0: the default
	source  bool  // ask for to.Local
}

// outbox is the memory of one Send. The headers of a slot point into the other
// arrays at the same place.
type outbox struct {
	p       *port
	f       *family // of the pieces collected
	n       int     // how many
	patient int     // waits left
	failed  error   // the first error
	waiting waiting

	pieces  [maxBatch]piece
	msgs    [maxBatch]message
	iovs    [maxBatch]unix.Iovec
	names   [maxBatch]sockaddr
	control [maxBatch][sendControlLen]byte
}

var outboxes = sync.Pool{New: func() any {
	o := new(outbox)
	for i := range o.msgs {
		h := &o.msgs[i].Msghdr
		h.Name = &o.names[i][0]
		h.Iov = &o.iovs[i]
		h.SetIovlen(1)
	}
	return o
}}

// Send sends runs in order: as few system calls and segmented datagrams as the
// kernel and the way to each endpoint allow.
//
// hot path
func (p *port) Send(runs []packet.Run) error {
	if !p.enter() {
		return errClosed
	}
	defer p.leave()
	o := outboxes.Get().(*outbox)
	o.p, o.patient, o.failed = p, patience, nil
	for i := range runs {
		o.run(&runs[i])
	}
	o.flush()
	err := o.failed
	o.p, o.f = nil, nil
	outboxes.Put(o)
	return err
}

// run collects the pieces of r.
func (o *outbox) run(r *packet.Run) {
	to := &r.To
	a := to.Remote.Addr()
	f := o.p.familyOf(a.Unmap())
	if f == nil || !a.IsValid() {
		o.note(to, unix.EAFNOSUPPORT)
		return
	}
	if f != o.f {
		o.flush()
		o.f = f
	}
	size := len(r.Buf)
	if r.Segment > 0 {
		size = min(size, r.Segment)
	}
	perSend := 1
	if size < len(r.Buf) && o.p.segment && !o.p.plain.has(to.Remote, size) {
		limit := maxBytes4
		if f.is6 {
			limit = maxBytes6
		}
		perSend = min(maxSegments, max(limit/size, 1))
	}
	source := to.Local.IsValid() && to.Local.Is4() == !f.is6 && o.p.sources.usable(to)
	for rest := r.Buf; len(rest) > 0; {
		n := min(len(rest), size*perSend)
		segment := 0
		if n > size {
			segment = size
		}
		o.add(piece{buf: rest[:n], segment: segment, to: to, tos: r.TOS, hops: r.HopLimit, source: source})
		rest = rest[n:]
	}
}

// add puts a piece into the next slot.
func (o *outbox) add(q piece) {
	if o.n == maxBatch {
		o.flush()
	}
	o.fill(o.n, q)
	o.n++
}

// fill writes the headers of slot i for q.
func (o *outbox) fill(i int, q piece) {
	o.pieces[i] = q
	a := q.to.Remote.Addr()
	var scope uint32
	if a.Is4In6() {
		a = a.Unmap() // E24
	} else if a.Zone() != "" {
		scope = o.p.scope(a.Zone())
	}
	h := &o.msgs[i].Msghdr
	h.Namelen = uint32(o.names[i].set(a, q.to.Remote.Port(), scope))
	o.iovs[i].Base = &q.buf[0]
	o.iovs[i].SetLen(len(q.buf))
	control := o.control[i][:0]
	if q.source {
		control = appendSource(control, q.to.Local)
	}
	if q.tos != 0 {
		control = appendTOS(control, o.f.is6, q.tos)
	}
	if q.hops != 0 {
		control = appendHopLimit(control, o.f.is6, q.hops)
	}
	if q.segment != 0 {
		control = appendSegment(control, q.segment)
	}
	h.Control = nil
	if len(control) > 0 {
		h.Control = &o.control[i][0]
	}
	h.SetControllen(len(control))
}

// flush sends what was collected.
func (o *outbox) flush() {
	for i := 0; i < o.n; {
		sent, errno := o.p.sys.send(o.f.data[0], o.msgs[i:o.n])
		if errno != 0 { // of the first: the rest was not tried (B66)
			sent = 1
			o.repair(i, errno)
		}
		i += sent
	}
	for i := range o.n { // borrowed memory is given back
		o.pieces[i] = piece{}
		o.iovs[i].Base = nil
	}
	o.n = 0
}

// repair sends the piece in slot i, which failed with errno, in the ways that
// are left.
func (o *outbox) repair(i int, errno unix.Errno) {
	q := o.pieces[i]
	if isBusy(errno) || errno == unix.EINTR {
		if errno = o.try(i, q); errno == 0 {
			return
		}
	}
	if q.source && isSourceError(errno) && o.withoutSource(i, q) {
		return
	}
	if q.segment == 0 {
		o.note(q.to, errno)
		return
	}
	o.single(i, q, errno)
}

// withoutSource sends a piece from an address that the kernel chooses: the one
// asked for may be gone (K24, K25). If that helps, it was.
func (o *outbox) withoutSource(i int, q piece) bool {
	q.source = false
	if o.try(i, q) != 0 {
		return false
	}
	o.p.sources.advance()
	return true
}

// single sends the messages of a piece one by one: whatever kept them from
// leaving together may not concern each of them (B14, B15, B16).
func (o *outbox) single(i int, q piece, errno unix.Errno) {
	sent := false
	for rest := q.buf; len(rest) > 0; {
		n := min(len(rest), q.segment)
		one := q
		one.buf, one.segment = rest[:n], 0
		rest = rest[n:]
		e := o.try(i, one)
		if e != 0 && one.source && isSourceError(e) && o.withoutSource(i, one) {
			e, q.source = 0, false
		}
		if e == 0 {
			sent = true
			continue
		}
		o.note(q.to, e)
		if isHopeless(e) {
			break
		}
	}
	if sent && !isBusy(errno) {
		o.p.plain.learn(q.to.Remote, q.segment)
	}
}

// try sends one piece from slot i, waiting for room for as long as this Send
// has patience.
func (o *outbox) try(i int, q piece) unix.Errno {
	o.fill(i, q)
	for {
		_, errno := o.p.sys.send(o.f.data[0], o.msgs[i:i+1])
		switch {
		case errno == unix.EINTR:
		case isBusy(errno) && o.patient > 0:
			o.patient--
			if o.waitForRoom(errno) == wasClosed {
				return errno
			}
		default:
			return errno
		}
	}
}

// waitForRoom waits a moment, or until the socket can be written to if that is
// an event: a queue further down that was full is none.
func (o *outbox) waitForRoom(errno unix.Errno) outcome {
	if errno == unix.EAGAIN && o.patient%2 == 1 {
		return o.p.wait(&o.waiting, o.f.data[0], unix.POLLOUT, &moment)
	}
	return o.p.wait(&o.waiting, -1, 0, &moment)
}

// note keeps the first error.
func (o *outbox) note(to *packet.Endpoint, errno unix.Errno) {
	if o.failed == nil {
		o.failed = fmt.Errorf("send to %v: %w", to.Remote, errno)
	}
}

func isBusy(errno unix.Errno) bool {
	return errno == unix.EAGAIN || errno == unix.ENOBUFS || errno == unix.ENOMEM
}

// isHopeless reports whether what follows to the same endpoint cannot leave
// either.
func isHopeless(errno unix.Errno) bool {
	switch errno {
	case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ENETDOWN, unix.EAFNOSUPPORT, unix.EADDRNOTAVAIL:
		return true
	}
	return isBusy(errno)
}
