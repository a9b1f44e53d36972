package tun

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/packet"
)

// checkEvery is how often a link is looked at that cannot be listened to.
const checkEvery = 1 // seconds

// Events tells of the link's changes, first of all whether it is up. It is
// closed after LinkGone and by Close. The channel is the same at each call;
// the first call begins to watch.
//
// The watcher listens to rtnetlink inside the namespace of the interface and
// follows it into others. Where that is not allowed it polls: it still learns
// at once that the link went up, but only once a second that it went down or
// was renamed, and the MTU stays what it was.
func (d *Device) Events() <-chan packet.LinkEvent {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.started && !d.closed {
		d.started = true
		go (&watcher{d: d, events: -1}).run()
	}
	return d.events
}

// watcher reports the changes of one link. It belongs to its goroutine.
type watcher struct {
	d      *Device
	rtnl   *rtnl // in the namespace of the link; nil if that is out of reach
	events int   // netlink socket there, -1 if none
	sure   bool  // the namespace is known to be the right one
	index  int32
	known  bool // up was reported
	up     bool
	deaf   bool // waiting for room to write says nothing about the link
	// gateway is which GSO size was chosen last.
	gateway bool
}

// errGone means that the interface does not exist any more.
var errGone = errors.New("tun: interface is gone")

func (w *watcher) run() {
	defer close(w.d.stopped)
	defer close(w.d.events)
	defer w.detach()
	err := w.attach()
	for err == nil {
		err = w.step()
	}
	if errors.Is(err, errGone) {
		w.send(packet.LinkEvent{Kind: packet.LinkGone})
	}
}

// step waits for something to happen and deals with it.
func (w *watcher) step() error {
	q := w.d.queues[0]
	if !q.gate.enter() {
		return os.ErrClosed
	}
	fds := [3]unix.PollFd{
		{Fd: int32(w.d.wake), Events: unix.POLLIN},
		{Fd: int32(w.events), Events: unix.POLLIN}, // ignored if negative
		{Fd: -1, Events: unix.POLLOUT},
	}
	var timeout *unix.Timespec
	if !w.sure {
		timeout = &unix.Timespec{Sec: checkEvery}
		if w.known && !w.up && !w.deaf {
			fds[2].Fd = int32(q.fd) // [K] tun.c, tun_net_open wakes who waits to write
		}
	}
	n, err := unix.Ppoll(fds[:], timeout, nil)
	q.gate.leave()
	switch {
	case err == unix.EINTR:
		return nil
	case err != nil:
		return err
	case w.d.isClosing():
		return os.ErrClosed
	case fds[1].Revents != 0:
		return w.receive()
	case n == 0 && w.rtnl == nil:
		return w.attach() // may be possible by now
	}
	err = w.check()
	w.deaf = w.deaf || n > 0 && !w.up // a kernel before 5.1
	return err
}

// attach opens the sockets in the namespace that the link is in now, makes the
// link quiet there and reports its state.
func (w *watcher) attach() error {
	w.detach()
	if err := w.rename(); err != nil {
		return err
	}
	var l link
	err := w.d.inNamespace(func() (err error) {
		// First listen, then look: so nothing is missed between.
		w.events, err = openNetlink(unix.SOCK_NONBLOCK, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF)
		if err != nil {
			return err
		}
		if w.rtnl, err = newRTNL(); err != nil {
			return err
		}
		if l, err = w.rtnl.linkByName(w.d.Name()); err != nil {
			return err
		}
		if l.kind != "tun" {
			return unix.ENODEV // somebody else's, in a namespace that is not ours
		}
		w.rtnl.setQuiet(l.index)
		return nil
	})
	if err != nil {
		w.detach()
		return w.check()
	}
	w.index, w.sure = l.index, w.knowsNamespace()
	if l.up {
		w.rtnl.removeStray(l.index)
	}
	w.gateway = w.rtnl.forwarding()
	w.d.tuneGSO(w.rtnl, l.index)
	return w.report(l)
}

// knowsNamespace reports whether the kernel tells us where the link is.
func (w *watcher) knowsNamespace() bool {
	fd, err := w.d.namespace()
	if err == nil {
		unix.Close(fd)
	}
	return err == nil
}

func (w *watcher) detach() {
	if w.events >= 0 {
		unix.Close(w.events)
	}
	if w.rtnl != nil {
		w.rtnl.close()
	}
	w.events, w.rtnl, w.sure = -1, nil, false
}

// rename finds out the name of the link, and whether there still is one.
func (w *watcher) rename() error {
	q := w.d.queues[0]
	if !q.gate.enter() {
		return os.ErrClosed
	}
	defer q.gate.leave()
	name, _, err := identify(q.fd)
	switch {
	case errors.Is(err, unix.EBADFD):
		return errGone
	case err == nil && name != w.d.Name():
		w.d.name.Store(&name)
	}
	return nil
}

// check looks at a link that cannot be listened to.
func (w *watcher) check() error {
	if err := w.rename(); err != nil {
		return err
	}
	q := w.d.queues[0]
	if !q.gate.enter() {
		return os.ErrClosed
	}
	defer q.gate.leave()
	// [K] tun.c, tun_sock_writeable: there is room to write while the link is up.
	fds := [1]unix.PollFd{{Fd: int32(q.fd), Events: unix.POLLOUT}}
	if _, err := unix.Ppoll(fds[:], &unix.Timespec{}, nil); err != nil {
		return nil
	}
	up := fds[0].Revents&unix.POLLOUT != 0
	if up {
		// Older kernels always have room, but refuse an empty packet with EIO
		// instead of EINVAL while the link is down.
		_, _, errno := unix.Syscall(unix.SYS_WRITE, uintptr(q.fd), 0, 0)
		up = errno != unix.EIO
	}
	return w.reportUp(up)
}

// receive reads one datagram of notifications.
func (w *watcher) receive() error {
	n, _, err := unix.Recvfrom(w.events, w.rtnl.buf, 0)
	switch err {
	case nil:
	case unix.EAGAIN, unix.EINTR:
		return nil
	default:
		return w.attach() // ENOBUFS: some were lost
	}
	tune := false
	var result error
	// A copy, because what handle asks for is answered into the same memory.
	parseMessages(append([]byte(nil), w.rtnl.buf[:n]...), func(m message) bool {
		if m.typ == unix.RTM_NEWNETCONF {
			_, _, forwards := parseNetconf(m.body)
			tune = tune || forwards
			return true
		}
		var again bool
		again, result = w.handle(m)
		return again && result == nil
	})
	if tune && result == nil && w.rtnl != nil {
		w.retune()
	}
	return result
}

// handle deals with one notification. It returns false if the rest of them is
// about a namespace that the link has left.
func (w *watcher) handle(m message) (again bool, err error) {
	if m.typ != unix.RTM_NEWLINK && m.typ != unix.RTM_DELLINK {
		return true, nil
	}
	l, ok := parseLink(m.body)
	if !ok || l.index != w.index {
		return true, nil
	}
	if m.typ == unix.RTM_DELLINK {
		// Deleted, or moved to another namespace, which took it down.
		if err := w.rename(); err != nil {
			return false, err
		}
		if err := w.reportUp(false); err != nil {
			return false, err
		}
		return false, w.attach()
	}
	if l.name != "" && l.name != w.d.Name() {
		w.d.name.Store(&l.name)
	}
	return true, w.report(l)
}

// retune chooses the size of super-packets again when forwarding was switched.
func (w *watcher) retune() {
	if on := w.rtnl.forwarding(); on != w.gateway {
		w.gateway = on
		w.d.tuneGSO(w.rtnl, w.index)
	}
}

// report sends what is new about the link.
func (w *watcher) report(l link) error {
	mtu := int64(l.mtu)
	changed := l.mtu > 0 && w.d.mtu.Swap(mtu) != mtu
	if err := w.reportUp(l.up); err != nil {
		return err
	}
	if changed {
		return w.send(packet.LinkEvent{Kind: packet.MTUChanged, MTU: l.mtu})
	}
	return nil
}

func (w *watcher) reportUp(up bool) error {
	if w.known && w.up == up {
		return nil
	}
	w.known, w.up = true, up
	if up {
		return w.send(packet.LinkEvent{Kind: packet.LinkUp})
	}
	return w.send(packet.LinkEvent{Kind: packet.LinkDown})
}

func (w *watcher) send(ev packet.LinkEvent) error {
	select {
	case w.d.events <- ev:
		return nil
	case <-w.d.closing:
		return os.ErrClosed
	}
}
