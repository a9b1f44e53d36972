//go:build linux

// Package traffic sends and counts: echo requests, and streams of bytes. The test
// uses it on the host, and the guest's first process in there.
package traffic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/ippkt"
)

// Echo sends echo requests to one address. It is not safe for concurrent use.
type Echo struct {
	Sent    int
	Slowest time.Duration // the longest time to an answer

	fd   int
	is6  bool
	next uint16
	id   uint16
	open map[uint16]time.Time // when those were sent that are not answered yet
}

// NewEcho opens a socket in the calling thread's network namespace.
func NewEcho(to netip.Addr) (*Echo, error) {
	e := &Echo{is6: to.Is6(), id: uint16(time.Now().UnixNano() >> 10), open: map[uint16]time.Time{}}
	var remote unix.Sockaddr = &unix.SockaddrInet6{Addr: to.As16()}
	family, protocol := unix.AF_INET6, unix.IPPROTO_ICMPV6
	if !e.is6 {
		remote = &unix.SockaddrInet4{Addr: to.As4()}
		family, protocol = unix.AF_INET, unix.IPPROTO_ICMP
	}
	var err error
	if e.fd, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol); err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Connect(e.fd, remote); err != nil {
		unix.Close(e.fd)
		return nil, fmt.Errorf("echo requests to %s: %w", to, err)
	}
	return e, nil
}

// Close closes the socket.
func (e *Echo) Close() error { return unix.Close(e.fd) }

// Lost returns how many requests were not answered so far.
func (e *Echo) Lost() int { return len(e.open) }

// Send sends one request of 84 bytes, 104 of IPv6.
func (e *Echo) Send() error {
	e.next++
	b := make([]byte, 8+56)
	b[0] = 8 // RFC 792
	if e.is6 {
		b[0] = 128 // RFC 4443; the kernel adds the checksum
	}
	binary.BigEndian.PutUint16(b[4:], e.id)
	binary.BigEndian.PutUint16(b[6:], e.next)
	if !e.is6 {
		binary.BigEndian.PutUint16(b[2:], ippkt.Checksum(b))
	}
	e.open[e.next] = time.Now()
	e.Sent++
	if _, err := unix.Write(e.fd, b); err != nil {
		return fmt.Errorf("send echo request: %w", err)
	}
	return nil
}

// Receive takes answers until all are there, or for so long.
func (e *Echo) Receive(patience time.Duration) error {
	b := make([]byte, 1<<16)
	for until := time.Now().Add(patience); len(e.open) > 0; {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		fds := []unix.PollFd{{Fd: int32(e.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(left.Milliseconds())+1)
		if n <= 0 {
			if err != nil && !errors.Is(err, unix.EINTR) {
				return os.NewSyscallError("poll", err)
			}
			continue
		}
		if n, err = unix.Read(e.fd, b); err != nil {
			return fmt.Errorf("receive echo reply: %w", err)
		}
		e.take(b[:n])
	}
	return nil
}

func (e *Echo) take(m []byte) {
	reply := byte(129)
	if !e.is6 { // a raw socket of IPv4 shows the header
		m, reply = m[min(int(m[0]&15)*4, len(m)):], 0
	}
	if len(m) < 8 || m[0] != reply || binary.BigEndian.Uint16(m[4:]) != e.id {
		return
	}
	seq := binary.BigEndian.Uint16(m[6:])
	if sent, ok := e.open[seq]; ok {
		e.Slowest = max(e.Slowest, time.Since(sent))
		delete(e.open, seq)
	}
}

// Flood sends requests, each as soon as the one before is answered or some
// milliseconds have passed, and returns an error unless all are answered.
func Flood(to netip.Addr, count int, patience time.Duration) error {
	e, err := NewEcho(to)
	if err != nil {
		return err
	}
	defer e.Close()
	for range count {
		if err := e.Send(); err != nil {
			return err
		}
		if err := e.Receive(10 * time.Millisecond); err != nil {
			return err
		}
	}
	if err := e.Receive(patience); err != nil {
		return err
	}
	if e.Lost() > 0 {
		return fmt.Errorf("%d of %d echo requests to %s were not answered within %v", e.Lost(), count, to, patience)
	}
	return nil
}

// Steady sends a request every so often, for so long, and waits for the last
// answers. It returns how many were sent and not answered, and the longest time
// to an answer.
func Steady(to netip.Addr, gap, howLong time.Duration) (sent, lost int, slowest time.Duration, err error) {
	e, err := NewEcho(to)
	if err != nil {
		return 0, 0, 0, err
	}
	defer e.Close()
	for start := time.Now(); time.Since(start) < howLong; {
		next := time.Now().Add(gap)
		if err := errors.Join(e.Send(), e.Receive(gap)); err != nil {
			return e.Sent, e.Lost(), e.Slowest, err
		}
		time.Sleep(time.Until(next))
	}
	err = e.Receive(5 * time.Second)
	return e.Sent, e.Lost(), e.Slowest, err
}
