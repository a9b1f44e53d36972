package udp

import (
	"encoding/binary"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// routes asks the kernel about routing, and hears of changes to it, in the
// network namespace in which it was opened.
type routes struct {
	events  int    // descriptor of what is reported: the follower's
	self    uint32 // its netlink address
	queries int    // descriptor for via
	mark    *atomic.Uint32

	// For via, whose caller has a lock.
	scratch []byte
	seq     uint32

	// Known to the follower alone.
	links map[int32]link

	mu        sync.Mutex // guards what follows
	addresses map[netip.Addr][]int32
	complete  bool // all addresses are in
}

// link is what matters of an interface.
type link struct {
	flags uint32
	name  string
}

// linkFlags are those whose change can move a route.
const linkFlags = unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP

// routeGroups are the groups of messages subscribed to, as bits.
const routeGroups = 1<<(unix.RTNLGRP_LINK-1) |
	1<<(unix.RTNLGRP_IPV4_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_IFADDR-1) |
	1<<(unix.RTNLGRP_IPV4_ROUTE-1) | 1<<(unix.RTNLGRP_IPV6_ROUTE-1) |
	1<<(unix.RTNLGRP_IPV4_RULE-1) | 1<<(unix.RTNLGRP_IPV6_RULE-1)

// settle is how long the follower lets a burst of changes go on before it looks
// at the rest: the first one counts at once.
var settle = unix.Timespec{Nsec: 10e6}

func openRoutes(sys *calls, mark *atomic.Uint32) (*routes, error) {
	events, err := sys.openFlow()
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	self, err := subscribe(events)
	if err != nil {
		_ = unix.Close(events)
		return nil, err
	}
	queries, err := sys.openFlow()
	if err != nil {
		_ = unix.Close(events)
		return nil, os.NewSyscallError("socket", err)
	}
	r := &routes{events: events, self: self, queries: queries, mark: mark, scratch: make([]byte, 4096)}
	r.restart()
	return r, nil
}

// subscribe binds a netlink socket to the groups and returns its address.
func subscribe(fd int) (uint32, error) {
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: routeGroups}); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	return sa.(*unix.SockaddrNetlink).Pid, nil
}

func (r *routes) close() { closeAll([]int{r.events, r.queries}) }

// follow calls changed after every change that can move a route, until the port
// is closed.
func (r *routes) follow(p *port, changed func()) {
	var w waiting
	buf := make([]byte, 32<<10)
	for p.wait(&w, r.events, unix.POLLIN, nil) == ready {
		if !r.drain(buf) {
			continue
		}
		changed()
		if p.wait(&w, -1, 0, &settle) == wasClosed {
			return
		}
	}
}

// restart forgets what is known and asks for all of it. Links come first: the
// kernel answers one such question at a time.
func (r *routes) restart() {
	r.links = make(map[int32]link)
	r.mu.Lock()
	r.addresses, r.complete = make(map[netip.Addr][]int32), false
	r.mu.Unlock()
	r.askAll(unix.RTM_GETLINK)
}

// askAll asks for a list, whose messages come with a number of their own: its
// type. Without an answer every change is taken for one that matters.
func (r *routes) askAll(kind uint16) {
	b := appendHeader(nil, kind, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, uint32(kind))
	b = append(b, make([]byte, unix.SizeofIfInfomsg)...) // struct ifaddrmsg is shorter
	finishMessage(b)
	_ = unix.Sendto(r.events, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// drain takes in what was reported, and tells whether a route may have moved.
func (r *routes) drain(buf []byte) bool {
	moved := false
	for {
		n, err := unix.Read(r.events, buf)
		switch {
		case err == unix.EINTR:
		case err == unix.ENOBUFS: // some were lost
			r.restart()
			moved = true
		case err != nil || n == 0:
			return moved
		default:
			eachMessage(buf[:n], func(m netlinkMessage) {
				moved = r.handle(m) || moved
			})
		}
	}
}

// handle takes in one message and tells whether a route may have moved.
func (r *routes) handle(m netlinkMessage) bool {
	listed := m.to == r.self // an answer to askAll: the state as it was
	switch m.kind {
	case unix.NLMSG_DONE, unix.NLMSG_ERROR:
		if listed {
			r.listEnded(m.seq)
		}
		return false
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		return r.linkChanged(m) && !listed
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		return r.addressChanged(m) && !listed
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return isForwarding(m.body)
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		return true
	}
	return false
}

func (r *routes) listEnded(seq uint32) {
	switch seq {
	case unix.RTM_GETLINK:
		r.askAll(unix.RTM_GETADDR)
	case unix.RTM_GETADDR:
		r.mu.Lock()
		r.complete = true
		r.mu.Unlock()
	}
}

// linkChanged reports whether the link is another than it was: drivers report
// much that is of no concern here.
func (r *routes) linkChanged(m netlinkMessage) bool {
	if len(m.body) < unix.SizeofIfInfomsg || m.body[0] != unix.AF_UNSPEC {
		return false
	}
	index := int32(binary.NativeEndian.Uint32(m.body[4:]))
	now := link{flags: binary.NativeEndian.Uint32(m.body[8:]) & linkFlags}
	eachAttribute(m.body[unix.SizeofIfInfomsg:], func(kind uint16, data []byte) {
		if kind == unix.IFLA_IFNAME {
			now.name = string(data)
		}
	})
	if m.kind == unix.RTM_DELLINK {
		delete(r.links, index)
		return true
	}
	was, known := r.links[index]
	r.links[index] = now
	return !known || was != now
}

// addressChanged reports whether an address came or went: the router of an IPv6
// network renews them all the time.
func (r *routes) addressChanged(m netlinkMessage) bool {
	a, index, usable := parseAddress(m.body)
	if !a.IsValid() {
		return false
	}
	usable = usable && m.kind == unix.RTM_NEWADDR
	r.mu.Lock()
	defer r.mu.Unlock()
	on := r.addresses[a]
	switch at := slices.Index(on, index); {
	case usable && at < 0:
		r.addresses[a] = append(on, index)
	case !usable && at >= 0:
		if on = slices.Delete(on, at, at+1); len(on) == 0 {
			delete(r.addresses, a)
		} else {
			r.addresses[a] = on
		}
	default:
		return m.kind == unix.RTM_DELADDR && !r.complete
	}
	return true
}

// parseAddress reads a struct ifaddrmsg and its attributes. An address that is
// still being checked for duplicates cannot be sent from.
func parseAddress(b []byte) (a netip.Addr, index int32, usable bool) {
	if len(b) < unix.SizeofIfAddrmsg {
		return a, 0, false
	}
	flags := uint32(b[2])
	index = int32(binary.NativeEndian.Uint32(b[4:]))
	var local netip.Addr // on a point-to-point link the other one is the peer's
	eachAttribute(b[unix.SizeofIfAddrmsg:], func(kind uint16, data []byte) {
		switch {
		case kind == unix.IFA_ADDRESS:
			a, _ = netip.AddrFromSlice(data)
		case kind == unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(data)
		case kind == unix.IFA_FLAGS && len(data) == 4:
			flags = binary.NativeEndian.Uint32(data)
		}
	})
	if local.IsValid() {
		a = local
	}
	return a, index, flags&unix.IFA_F_TENTATIVE == 0 || flags&unix.IFA_F_OPTIMISTIC != 0
}

// isForwarding reports whether a route, a struct rtmsg, can carry our packets
// or stop them. Those of our own addresses come with the addresses.
func isForwarding(b []byte) bool {
	if len(b) < unix.SizeofRtMsg || binary.NativeEndian.Uint32(b[8:])&unix.RTM_F_CLONED != 0 {
		return false
	}
	switch b[7] {
	case unix.RTN_LOCAL, unix.RTN_BROADCAST, unix.RTN_ANYCAST, unix.RTN_MULTICAST:
		return false
	}
	return true
}

// isOn reports whether the interface has the address.
func (r *routes) isOn(a netip.Addr, index int32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.addresses[a], index)
}

// exists reports whether the host has the address, as far as is known.
func (r *routes) exists(a netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.complete || len(r.addresses[a]) > 0
}

// via returns the interface through which packets from local to remote leave.
// It fails where there is no route or local is not an address of the host.
func (r *routes) via(remote, local netip.Addr) (int32, bool) {
	// The kernel itself looks at IPv4 sources only.
	if remote.Is4() != local.Is4() || remote.Is6() && !r.exists(local) {
		return 0, false
	}
	if remote.IsLinkLocalUnicast() {
		return 0, true // its zone says which, whatever the routes are
	}
	r.seq++
	b := appendHeader(r.scratch[:0], unix.RTM_GETROUTE, unix.NLM_F_REQUEST, r.seq)
	b = appendRoute(b, remote, local, r.mark.Load())
	finishMessage(b)
	if err := unix.Sendto(r.queries, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, false
	}
	// The kernel has answered by the time the question is sent.
	for {
		n, err := unix.Read(r.queries, r.scratch)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, false
		}
		if via, answered := outInterface(r.scratch[:n], r.seq); answered {
			return via, via != 0
		}
	}
}

// outInterface finds the interface in the answer to question seq: zero for a
// refusal.
func outInterface(b []byte, seq uint32) (via int32, answered bool) {
	eachMessage(b, func(m netlinkMessage) {
		if m.seq != seq {
			return
		}
		answered = true
		if m.kind != unix.RTM_NEWROUTE || len(m.body) < unix.SizeofRtMsg {
			return
		}
		eachAttribute(m.body[unix.SizeofRtMsg:], func(kind uint16, data []byte) {
			if kind == unix.RTA_OIF && len(data) == 4 {
				via = int32(binary.NativeEndian.Uint32(data))
			}
		})
	})
	return via, answered
}

// appendRoute appends a struct rtmsg and its attributes.
func appendRoute(b []byte, remote, local netip.Addr, mark uint32) []byte {
	family := byte(unix.AF_INET6)
	if remote.Is4() {
		family = unix.AF_INET
	}
	bits := byte(remote.BitLen())
	b = append(b, family, bits, bits, 0, 0, 0, 0, 0)
	b = append(b, 0, 0, 0, 0)
	b = appendAttribute(b, unix.RTA_DST, remote.AsSlice())
	b = appendAttribute(b, unix.RTA_SRC, local.AsSlice())
	return appendAttribute(b, unix.RTA_MARK, binary.NativeEndian.AppendUint32(nil, mark))
}
