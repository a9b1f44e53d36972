package tun

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// The few questions and wishes that a TUN has for the kernel's rtnetlink. They
// are written out here because the socket has to be made in the namespace of
// the link and waited for together with an eventfd.

// Names that x/sys lacks: [K] if_link.h, netconf.h, inetdevice.h.
const (
	iflaGSOIPv4MaxSize = 63
	iflaInetConf       = 1
	iflaInet6AddrGen   = 8
	addrGenNone        = 1
	devconfRedirects   = 6 // IPV4_DEVCONF_SEND_REDIRECTS

	netconfIfindex    = 1
	netconfForwarding = 2

	attrTypeMask = 0x3fff // without NLA_F_NESTED and NLA_F_NET_BYTEORDER

	ifaProto    = 11
	ifaProtoLL  = 3 // IFAPROT_KERNEL_LL
	sizeIfinfo  = 16
	sizeIfaddr  = 8
	sizeNetconf = 4 // one byte and padding
)

var native = binary.NativeEndian

// message is one rtnetlink message without its header.
type message struct {
	typ  uint16
	seq  uint32
	body []byte
}

// parseMessages calls f for each complete message in b, until it returns false.
func parseMessages(b []byte, f func(message) bool) {
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(native.Uint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return
		}
		m := message{typ: native.Uint16(b[4:]), seq: native.Uint32(b[8:]), body: b[unix.SizeofNlMsghdr:size]}
		if !f(m) {
			return
		}
		b = b[min(align4(size), len(b)):]
	}
}

// parseAttrs calls f for each complete attribute in b.
func parseAttrs(b []byte, f func(typ uint16, value []byte)) {
	for len(b) >= unix.SizeofNlAttr {
		size := int(native.Uint16(b))
		if size < unix.SizeofNlAttr || size > len(b) {
			return
		}
		f(native.Uint16(b[2:])&attrTypeMask, b[unix.SizeofNlAttr:size])
		b = b[min(align4(size), len(b)):]
	}
}

func align4(n int) int { return (n + 3) &^ 3 }

// appendAttr appends an attribute.
func appendAttr(b []byte, typ uint16, value []byte) []byte {
	b = native.AppendUint16(b, uint16(unix.SizeofNlAttr+len(value)))
	b = native.AppendUint16(b, typ)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func appendAttr32(b []byte, typ uint16, value uint32) []byte {
	return appendAttr(b, typ, native.AppendUint32(nil, value))
}

// nested returns one attribute inside another.
func nested(outer, inner uint16, value []byte) []byte {
	return appendAttr(nil, outer|unix.NLA_F_NESTED, appendAttr(nil, inner|unix.NLA_F_NESTED, value))
}

// link is what a RTM_NEWLINK or RTM_DELLINK says.
type link struct {
	index int32
	name  string
	kind  string
	mtu   int
	up    bool
}

// parseLink reads the body of a link message of the interface layer itself:
// bridges and address families send messages of the same type.
func parseLink(b []byte) (l link, ok bool) {
	if len(b) < sizeIfinfo || b[0] != unix.AF_UNSPEC {
		return l, false
	}
	l.index = int32(native.Uint32(b[4:]))
	l.up = native.Uint32(b[8:])&unix.IFF_UP != 0
	parseAttrs(b[sizeIfinfo:], func(typ uint16, v []byte) {
		switch {
		case typ == unix.IFLA_IFNAME:
			l.name = cString(v)
		case typ == unix.IFLA_MTU && len(v) >= 4:
			l.mtu = int(native.Uint32(v))
		case typ == unix.IFLA_LINKINFO:
			parseAttrs(v, func(typ uint16, v []byte) {
				if typ == unix.IFLA_INFO_KIND {
					l.kind = cString(v)
				}
			})
		}
	})
	return l, true
}

func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// rtnl is a netlink socket for requests. It belongs to one goroutine.
type rtnl struct {
	fd  int
	buf []byte
}

var lastSeq atomic.Uint32

// openNetlink opens a rtnetlink socket in the namespace of the calling thread,
// subscribed to groups.
func openNetlink(flags int, groups ...int) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|flags, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, os.NewSyscallError("netlink socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("netlink bind", err)
	}
	for i, g := range groups {
		// The first group is what the socket is for; kernels may lack others.
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g); err != nil && i == 0 {
			unix.Close(fd)
			return -1, os.NewSyscallError("netlink membership", err)
		}
	}
	return fd, nil
}

func newRTNL() (*rtnl, error) {
	fd, err := openNetlink(0)
	if err != nil {
		return nil, err
	}
	// The kernel answers before the request returns; this is for kernels that do not.
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2})
	return &rtnl{fd: fd, buf: make([]byte, 64<<10)}, nil
}

func (r *rtnl) close() { unix.Close(r.fd) }

// request sends a message and calls f, which may be nil, for each answer.
func (r *rtnl) request(typ, flags uint16, body []byte, f func(message)) error {
	seq := lastSeq.Add(1)
	b := native.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = native.AppendUint16(b, typ)
	b = native.AppendUint16(b, flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	b = native.AppendUint32(b, seq)
	b = native.AppendUint32(b, 0)
	b = append(b, body...)
	if err := unix.Sendto(r.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("netlink send", err)
	}
	for {
		n, _, err := unix.Recvfrom(r.fd, r.buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("netlink receive", err)
		}
		if done, err := answer(r.buf[:n], seq, f); done {
			return err
		}
	}
}

// answer goes through one datagram of answers and reports whether it is the last.
func answer(b []byte, seq uint32, f func(message)) (done bool, err error) {
	parseMessages(b, func(m message) bool {
		switch {
		case m.seq != seq:
		case m.typ == unix.NLMSG_DONE:
			done = true
		case m.typ == unix.NLMSG_ERROR && len(m.body) >= 4:
			done = true
			if code := int32(native.Uint32(m.body)); code != 0 {
				err = unix.Errno(-code)
			}
		case f != nil:
			f(m)
		}
		return !done
	})
	return done, err
}

func ifinfo(index int32, family byte) []byte {
	b := make([]byte, sizeIfinfo)
	b[0] = family
	native.PutUint32(b[4:], uint32(index))
	return b
}

// linkByName asks for the link of a name.
func (r *rtnl) linkByName(name string) (l link, err error) {
	body := appendAttr(ifinfo(0, unix.AF_UNSPEC), unix.IFLA_IFNAME, append([]byte(name), 0))
	found := false
	err = r.request(unix.RTM_GETLINK, 0, body, func(m message) {
		if m.typ == unix.RTM_NEWLINK {
			l, found = parseLink(m.body)
		}
	})
	if err == nil && !found {
		err = unix.ENODEV
	}
	if err != nil {
		return l, fmt.Errorf("link %s: %w", name, err)
	}
	return l, nil
}

// set changes attributes of a link.
func (r *rtnl) set(index int32, attrs []byte) error {
	return r.request(unix.RTM_NEWLINK, 0, append(ifinfo(index, unix.AF_UNSPEC), attrs...), nil)
}

// setQuiet keeps the kernel from giving the link an IPv6 address of its own and
// from sending ICMP redirects about it, like a WireGuard link of the kernel.
// What the system does not have or allow is left.
func (r *rtnl) setQuiet(index int32) {
	r.set(index, nested(unix.IFLA_AF_SPEC, unix.AF_INET6, appendAttr(nil, iflaInet6AddrGen, []byte{addrGenNone})))
	r.set(index, nested(unix.IFLA_AF_SPEC, unix.AF_INET,
		appendAttr(nil, iflaInetConf|unix.NLA_F_NESTED, appendAttr32(nil, devconfRedirects, 0))))
	// The kernel sends redirects if either switch is on.
	os.WriteFile("/proc/sys/net/ipv4/conf/all/send_redirects", []byte("0"), 0)
}

// setGSOMaxSize bounds the super-packets of the system on a link.
func (r *rtnl) setGSOMaxSize(index int32, size int) error {
	err := r.set(index, appendAttr32(nil, unix.IFLA_GSO_MAX_SIZE, uint32(size)))
	// Newer kernels have a second limit, which the first one sets too, mostly.
	r.set(index, appendAttr32(nil, iflaGSOIPv4MaxSize, uint32(size)))
	return err
}

// forwarding reports whether any interface of the namespace forwards what it
// receives.
func (r *rtnl) forwarding() bool {
	found := false
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		r.request(unix.RTM_GETNETCONF, unix.NLM_F_DUMP, []byte{family, 0, 0, 0}, func(m message) {
			if index, on, ok := parseNetconf(m.body); m.typ == unix.RTM_NEWNETCONF && ok && index > 0 && on {
				found = true
			}
		})
	}
	return found
}

// parseNetconf reads the body of a RTM_NEWNETCONF that speaks of forwarding.
func parseNetconf(b []byte) (index int32, forwarding, ok bool) {
	if len(b) < sizeNetconf {
		return 0, false, false
	}
	parseAttrs(b[sizeNetconf:], func(typ uint16, v []byte) {
		switch {
		case typ == netconfIfindex && len(v) >= 4:
			index = int32(native.Uint32(v))
		case typ == netconfForwarding && len(v) >= 4:
			forwarding, ok = native.Uint32(v) != 0, true
		}
	})
	return index, forwarding, ok
}

// removeStray deletes the link-local addresses that the kernel itself gave to a
// link before setQuiet came. Others are somebody's configuration.
func (r *rtnl) removeStray(index int32) {
	var stray [][]byte
	r.request(unix.RTM_GETADDR, unix.NLM_F_DUMP, []byte{unix.AF_INET6, 0, 0, 0, 0, 0, 0, 0}, func(m message) {
		if m.typ != unix.RTM_NEWADDR || len(m.body) < sizeIfaddr || int32(native.Uint32(m.body[4:])) != index {
			return
		}
		var address []byte
		byKernel := false
		parseAttrs(m.body[sizeIfaddr:], func(typ uint16, v []byte) {
			switch {
			case typ == unix.IFA_ADDRESS:
				address = v
			case typ == ifaProto && len(v) == 1:
				byKernel = v[0] == ifaProtoLL
			}
		})
		if byKernel {
			body := append([]byte(nil), m.body[:sizeIfaddr]...)
			stray = append(stray, appendAttr(body, unix.IFA_ADDRESS, address))
		}
	})
	for _, body := range stray {
		r.request(unix.RTM_DELADDR, 0, body, nil)
	}
}

// configure makes a new interface what Config says, before anybody brings it up.
func (d *Device) configure() error {
	r, err := newRTNL()
	if err != nil {
		return err
	}
	defer r.close()
	l, err := r.linkByName(d.Name())
	if err != nil {
		return err
	}
	r.setQuiet(l.index)
	if d.config.MTU > 0 {
		if err := r.set(l.index, appendAttr32(nil, unix.IFLA_MTU, uint32(d.config.MTU))); err != nil {
			return fmt.Errorf("set MTU %d: %w", d.config.MTU, err)
		}
		l.mtu = d.config.MTU
	}
	if d.config.TxQueueLen > 0 {
		r.set(l.index, appendAttr32(nil, unix.IFLA_TXQLEN, uint32(d.config.TxQueueLen)))
	}
	d.tuneGSO(r, l.index)
	d.mtu.Store(int64(l.mtu))
	return nil
}

// tuneGSO sets the size of super-packets as Config.GSOMaxSize has it. Failure
// costs speed and nothing else.
func (d *Device) tuneGSO(r *rtnl, index int32) {
	size := d.config.GSOMaxSize
	switch {
	case size < 0 || d.takes.Load()&^1 == 0:
		return
	case size == 0 && r.forwarding():
		size = GSOSizeGateway
	case size == 0:
		size = GSOSizeHost
	}
	r.setGSOMaxSize(index, size)
}

// adopt learns about an interface that was handed over. It may be in a
// namespace that we may not look into; then the MTU is what Config says.
func (d *Device) adopt() error {
	d.mtu.Store(1500)
	if d.config.MTU > 0 {
		d.mtu.Store(int64(d.config.MTU))
	}
	return d.inNamespace(func() error {
		r, err := newRTNL()
		if err != nil {
			return nil
		}
		defer r.close()
		l, err := r.linkByName(d.Name())
		if err != nil {
			return nil
		}
		if d.config.MTU > 0 && d.config.MTU != l.mtu {
			if err := r.set(l.index, appendAttr32(nil, unix.IFLA_MTU, uint32(d.config.MTU))); err == nil {
				l.mtu = d.config.MTU
			} else if !errors.Is(err, os.ErrPermission) {
				return fmt.Errorf("set MTU %d: %w", d.config.MTU, err)
			}
		}
		d.mtu.Store(int64(l.mtu))
		return nil
	})
}
