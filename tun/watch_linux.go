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
// The watcher listens to the rtnetlink of the interface's namespace and follows
// it into others. It does so from our own namespace, and keeps nothing open in
// the other: a socket there would keep that from ending. Where none of this is
// allowed it polls: it still learns at once that the link went up, but only
// once a second that it went down or was renamed, and the MTU stays what it was.
func (d *Device) Events() <-chan packet.LinkEvent {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.started && !d.closed {
		d.started = true
		go (&watcher{d: d, events: -1, buf: make([]byte, 64<<10)}).run()
	}
	return d.events
}

// watcher reports the changes of one link. It belongs to its goroutine.
type watcher struct {
	d      *Device
	events int   // netlink socket that hears of the link, -1 if there is none
	nsid   int32 // of the link's namespace, as told with each message
	buf    []byte
	sure   bool // the namespace is known to be the right one
	index  int32
	known  bool // up was reported
	up     bool
	deaf   bool // waiting for room to write says nothing about the link
	// gateway is which GSO size was chosen last.
	gateway bool
}

// ownNamespace is the number of the namespace that the netlink socket is in.
const ownNamespace = unix.NETNSA_NSID_NOT_ASSIGNED

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
	case n == 0 && w.events < 0:
		return w.attach() // may be possible by now
	}
	err = w.check()
	w.deaf = w.deaf || n > 0 && !w.up // a kernel before 5.1
	return err
}

// attach listens to the namespace that the link is in now, makes the link quiet
// there and reports its state.
func (w *watcher) attach() error {
	w.detach()
	if err := w.rename(); err != nil {
		return err
	}
	var l link
	// First listen, then look: so nothing is missed between.
	err := w.listen()
	if err == nil {
		err = w.ask(func(r *rtnl) (err error) {
			if l, err = r.linkByName(w.d.Name()); err != nil {
				return err
			}
			if l.kind != "tun" {
				return unix.ENODEV // somebody else's, in a namespace that is not ours
			}
			r.setQuiet(l.index)
			if l.up {
				r.removeStray(l.index)
			}
			w.gateway = r.forwarding()
			w.d.tuneGSO(r, l.index)
			return nil
		})
	}
	if err != nil {
		w.detach()
		return w.check()
	}
	w.index, w.sure = l.index, w.knowsNamespace()
	return w.report(l)
}

// watched are the groups of notifications about a link.
var watched = []int{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF}

// listen opens the socket for notifications: in our own namespace, if need be
// for those of all namespaces that it has a number for.
func (w *watcher) listen() error {
	w.nsid = ownNamespace
	target, err := w.d.namespace()
	if err == nil {
		defer unix.Close(target)
		if err := w.listenFromOutside(target); err == nil {
			return nil
		}
	}
	// It is ours; or its end cannot be waited for, and has to wait for ours.
	return w.d.inNamespace(func() (err error) {
		w.events, err = openNetlink(unix.SOCK_NONBLOCK, watched...)
		return err
	})
}

// listenFromOutside fails if target is our own namespace, or when the kernel
// does not let us hear what goes on in it.
func (w *watcher) listenFromOutside(target int) error {
	home, err := threadNamespace()
	if err != nil {
		return err
	}
	defer unix.Close(home)
	if sameFile(home, target) {
		return unix.EEXIST
	}
	id, err := namespaceID(target)
	if err != nil {
		return err
	}
	fd, err := openNetlink(unix.SOCK_NONBLOCK, append(watched[:len(watched):len(watched)], unix.RTNLGRP_NSID)...)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_LISTEN_ALL_NSID, 1); err != nil {
		unix.Close(fd)
		return os.NewSyscallError("netlink listen to all namespaces", err)
	}
	w.events, w.nsid = fd, id
	return nil
}

// ask calls f with a socket in the namespace of the link.
func (w *watcher) ask(f func(*rtnl) error) error {
	return w.d.inNamespace(func() error {
		r, err := newRTNL()
		if err != nil {
			return err
		}
		defer r.close()
		return f(r)
	})
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
	w.events, w.sure = -1, false
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
	var oob [64]byte
	n, oobn, _, _, err := unix.Recvmsg(w.events, w.buf, oob[:], 0)
	switch err {
	case nil:
	case unix.EAGAIN, unix.EINTR:
		return nil
	default:
		return w.attach() // ENOBUFS: some were lost
	}
	from := senderNSID(oob[:oobn])
	tune := false
	var result error
	parseMessages(w.buf[:n], func(m message) (again bool) {
		switch {
		case m.typ == unix.RTM_DELNSID && w.nsid != ownNamespace && parseNSID(m.body) == w.nsid:
			// The namespace has ended, and the link ends with it.
			w.detach()
			result = w.check()
			return false
		case from != w.nsid:
			return false // of another namespace
		case m.typ == unix.RTM_NEWNETCONF:
			_, _, forwards := parseNetconf(m.body)
			tune = tune || forwards
			return true
		}
		again, result = w.handle(m)
		return again && result == nil
	})
	if tune && result == nil && w.events >= 0 {
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
	_ = w.ask(func(r *rtnl) error {
		if on := r.forwarding(); on != w.gateway {
			w.gateway = on
			w.d.tuneGSO(r, w.index)
		}
		return nil
	})
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
