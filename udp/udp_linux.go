package udp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// bufferSize is what the sockets for data ask for, in both directions;
// handshakeBuffer bounds how old a handshake can get in a flood of them.
const (
	bufferSize      = 7 << 20
	handshakeBuffer = 1 << 20
)

// port is a Port on Linux.
//
// Everything but users and what is atomic or has its own lock is set
// before the port is shared. The descriptors stay open for as long as somebody
// is inside (enter, leave), so that none is used after it was closed.
type port struct {
	sys       *calls
	number    uint16
	families  [2]*family // IPv4, IPv6; nil where the host has none
	receivers []Receiver
	wake      int // eventfd, readable for ever once the port is closing
	segment   bool
	zones     zones
	mark      atomic.Uint32
	plain     plainTable
	sources   sources

	// users counts the callers inside; the bit closing is set by Close.
	users    atomic.Int64
	gone     chan struct{} // closed by the last to leave a closing port
	goneOnce sync.Once
	closed   chan struct{} // closed when the descriptors are
	follower sync.WaitGroup
}

const closing = 1 << 62

// family is the sockets of one address family, all bound to one port.
type family struct {
	is6       bool
	data      []int // one per lane; the first one also sends
	handshake int   // -1: everything arrives on data[0]
}

func (f *family) sockets() []int {
	all := append([]int(nil), f.data...)
	if f.handshake >= 0 {
		all = append(all, f.handshake)
	}
	return all
}

// openSystem opens sockets of Linux.
func (n *Network) openSystem(number uint16, mark uint32) (Port, error) {
	p, err := n.open(&kernel, number, mark)
	if err != nil {
		return nil, fmt.Errorf("open UDP port %d: %w", number, err)
	}
	return p, nil
}

func (n *Network) open(sys *calls, number uint16, mark uint32) (*port, error) {
	var err error
	for range maxOpenTries {
		var p *port
		if p, err = n.openBoth(sys, number, mark); err == nil {
			return p, nil
		}
		// A random port may be taken on the second family (B67).
		if number != 0 || !errors.Is(err, errInUse) {
			break
		}
	}
	return nil, err
}

// openBoth opens both families, or the one that the host has.
func (n *Network) openBoth(sys *calls, number uint16, mark uint32) (*port, error) {
	p := &port{
		sys: sys, number: number, wake: -1,
		gone: make(chan struct{}), closed: make(chan struct{}),
	}
	var missing error
	for i := range p.families {
		f, err := n.openFamily(p, i == 1, mark)
		if isNoFamily(err) {
			missing = err
			continue
		}
		if err != nil {
			p.closeSockets()
			return nil, err
		}
		p.families[i] = f
	}
	if p.families[0] == nil && p.families[1] == nil {
		return nil, missing
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		p.closeSockets()
		return nil, os.NewSyscallError("eventfd", err)
	}
	p.wake = wake
	for _, f := range p.families {
		if f != nil {
			p.addReceivers(f)
		}
	}
	p.segment = !n.NoSegment && p.canSegment()
	p.mark.Store(mark)
	p.sources.start(p)
	return p, nil
}

func (p *port) addReceivers(f *family) {
	for _, fd := range f.data {
		p.receivers = append(p.receivers, newReceiver(p, fd, false))
	}
	if f.handshake >= 0 {
		p.receivers = append(p.receivers, newReceiver(p, f.handshake, true))
	}
}

// canSegment asks for what an older kernel refuses.
func (p *port) canSegment() bool {
	for _, f := range p.families {
		if f != nil && p.sys.setInt(f.data[0], unix.IPPROTO_UDP, unix.UDP_SEGMENT, 0) != nil {
			return false
		}
	}
	return true
}

// openFamily binds the sockets of one family to p.number, which it sets if it
// was zero.
func (n *Network) openFamily(p *port, is6 bool, mark uint32) (*family, error) {
	fd, err := n.openSocket(p.sys, is6, mark, bufferSize)
	if err != nil {
		return nil, err
	}
	// Bound without SO_REUSEPORT, so that the kernel refuses a port which
	// another process has (joint 10).
	if err := bind(p.sys, fd, is6, p.number); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	bound, err := boundPort(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	f := &family{is6: is6, data: []int{fd}, handshake: -1}
	if !n.NoSteer {
		n.steer(p.sys, f, bound, mark)
	}
	p.number = bound
	return f, nil
}

func bind(sys *calls, fd int, is6 bool, number uint16) error {
	var address unix.Sockaddr = &unix.SockaddrInet4{Port: int(number)}
	if is6 {
		address = &unix.SockaddrInet6{Port: int(number)}
	}
	return os.NewSyscallError("bind", sys.bind(fd, address))
}

func boundPort(fd int) (uint16, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return uint16(sa.Port), nil
	case *unix.SockaddrInet6:
		return uint16(sa.Port), nil
	}
	return 0, fmt.Errorf("getsockname: address of type %T", sa)
}

// openSocket opens an unbound socket with every option set.
func (n *Network) openSocket(sys *calls, is6 bool, mark uint32, buffer int) (int, error) {
	domain := unix.AF_INET
	if is6 {
		domain = unix.AF_INET6
	}
	fd, err := sys.socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := n.setOptions(sys, fd, is6, mark, buffer); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// option is a socket option that may be refused: what it stands for is off then.
type option struct{ level, name, value int }

// setOptions fails only for what would be wrong to go without.
func (n *Network) setOptions(sys *calls, fd int, is6 bool, mark uint32, buffer int) error {
	if is6 {
		if err := sys.setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return fmt.Errorf("set IPV6_V6ONLY: %w", err)
		}
	}
	if mark != 0 {
		if err := sys.setInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)); err != nil {
			return fmt.Errorf("set mark 0x%x: %w", mark, err)
		}
	}
	for _, o := range n.options(is6) {
		_ = sys.setInt(fd, o.level, o.name, o.value)
	}
	setBuffer(sys, fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, buffer)
	setBuffer(sys, fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, buffer)
	return nil
}

func (n *Network) options(is6 bool) []option {
	var all []option
	if is6 {
		all = []option{
			{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, 64},
		}
	} else {
		all = []option{
			{unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
			{unix.IPPROTO_IP, unix.IP_RECVTOS, 1},
			{unix.IPPROTO_IP, unix.IP_TTL, 64},
		}
	}
	// [K] clears the don't-fragment bit and fragments locally; a user-space
	// socket sets it and obeys the path MTU unless told otherwise.
	discover4, discover6 := unix.IP_PMTUDISC_DONT, unix.IPV6_PMTUDISC_DONT
	if n.KeepDF {
		discover4, discover6 = unix.IP_PMTUDISC_DO, unix.IPV6_PMTUDISC_DO
	}
	if is6 {
		all = append(all, option{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, discover6})
	} else {
		all = append(all, option{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, discover4})
	}
	if !n.NoCoalesce {
		all = append(all, option{unix.IPPROTO_UDP, unix.UDP_GRO, 1})
	}
	return all
}

// setBuffer sets a buffer beyond the system's limit if it may, else up to it.
func setBuffer(sys *calls, fd, force, normal, size int) {
	if sys.setInt(fd, unix.SOL_SOCKET, force, size) != nil {
		_ = sys.setInt(fd, unix.SOL_SOCKET, normal, size)
	}
}

func (p *port) Number() uint16 { return p.number }

func (p *port) Receivers() []Receiver { return append([]Receiver(nil), p.receivers...) }

// SetMark changes the mark on every socket. Learnt source addresses have to
// prove themselves again: another mark may mean another route.
func (p *port) SetMark(mark uint32) error {
	if !p.enter() {
		return errClosed
	}
	defer p.leave()
	if p.mark.Load() == mark {
		return nil // also for those who may not set marks and use none
	}
	for _, f := range p.families {
		if f == nil {
			continue
		}
		for _, fd := range f.sockets() {
			if err := p.sys.setInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)); err != nil {
				return fmt.Errorf("set mark 0x%x: %w", mark, err)
			}
		}
	}
	p.mark.Store(mark)
	p.sources.advance()
	return nil
}

// enter keeps the descriptors open until leave. It fails once Close was called.
//
// hot path
func (p *port) enter() bool {
	if p.users.Add(1)&closing != 0 {
		p.leave()
		return false
	}
	return true
}

// hot path
func (p *port) leave() {
	if p.users.Add(-1) == closing {
		p.goneOnce.Do(func() { close(p.gone) })
	}
}

func (p *port) isClosing() bool { return p.users.Load()&closing != 0 }

// Close wakes everybody inside, waits until they have left and closes the
// sockets.
func (p *port) Close() error {
	if !p.enter() {
		<-p.closed
		return nil
	}
	if p.users.Or(closing)&closing != 0 {
		p.leave()
		<-p.closed
		return nil
	}
	// Never read, so it wakes whoever looks at it, now or later.
	_, err := unix.Write(p.wake, binary.NativeEndian.AppendUint64(nil, 1))
	p.leave()
	<-p.gone
	p.follower.Wait()
	p.closeSockets()
	close(p.closed)
	return os.NewSyscallError("close UDP port", err)
}

func (p *port) closeSockets() {
	for _, r := range p.receivers {
		if w := r.(*receiver).waiter; w != nil {
			_ = w.Close()
		}
	}
	for _, f := range p.families {
		if f != nil {
			closeAll(f.sockets())
		}
	}
	p.sources.close()
	if p.wake >= 0 {
		_ = unix.Close(p.wake)
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// familyOf returns the sockets for the address, nil if the host has none.
//
// hot path
func (p *port) familyOf(a netip.Addr) *family {
	if a.Is4() {
		return p.families[0]
	}
	return p.families[1]
}

// waiting is memory for one wait. It belongs to one goroutine at a time.
type waiting struct{ fds [2]unix.PollFd }

// outcome is how a wait ended.
type outcome uint8

const (
	timedOut outcome = iota
	ready
	wasClosed
)

// wait sleeps until events come on fd, the port is closed or the timeout, if
// there is one, is over. A negative fd waits for the other two.
func (p *port) wait(w *waiting, fd int, events int16, timeout *unix.Timespec) outcome {
	for {
		w.fds = [2]unix.PollFd{{Fd: int32(p.wake), Events: unix.POLLIN}, {Fd: int32(fd), Events: events}}
		n, errno := p.sys.poll(w.fds[:], timeout)
		switch {
		case errno == unix.EINTR:
			continue // B68; a timeout that begins again is no harm
		case p.isClosing():
			return wasClosed
		case errno == 0 && n == 0:
			return timedOut
		default:
			return ready
		}
	}
}
