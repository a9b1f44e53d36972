//go:build linux && e2e

package netnstest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/ippkt"
)

// flood is `ping -f -c n -W 1`: it sends n echo requests of 84 bytes (104 of
// IPv6), each as soon as the one before it is answered or 10 ms have passed, and
// fails the test unless all are answered within a second. The program itself
// waits for the last answer no longer than for two of those before it, which on
// a busy machine is not long enough.
func (h *host) flood(n int, address string) {
	h.t.Helper()
	e, err := h.dialEcho(netip.MustParseAddr(address))
	must(h.t, err)
	defer unix.Close(e.fd)
	for range n {
		must(h.t, e.send())
		must(h.t, e.receive(time.Now().Add(10*time.Millisecond)))
	}
	must(h.t, e.receive(time.Now().Add(time.Second)))
	if len(e.open) > 0 {
		h.t.Fatalf("%s: %d of %d echo requests to %s were not answered", h.Name(), len(e.open), n, address)
	}
}

// steady sends an echo request every so often while something else happens.
type steady struct {
	h    *host
	e    *echo
	stop chan struct{}
	done chan error
}

// steady begins to send.
func (h *host) steady(gap time.Duration, address string) *steady {
	h.t.Helper()
	e, err := h.dialEcho(netip.MustParseAddr(address))
	must(h.t, err)
	s := &steady{h: h, e: e, stop: make(chan struct{}), done: make(chan error, 1)}
	go func() { s.done <- s.run(gap) }()
	return s
}

func (s *steady) run(gap time.Duration) error {
	defer unix.Close(s.e.fd)
	tick := time.NewTicker(gap)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return s.e.receive(time.Now().Add(time.Second))
		case now := <-tick.C:
			if err := s.e.send(); err != nil {
				return err
			}
			if err := s.e.receive(now.Add(gap)); err != nil {
				return err
			}
		}
	}
}

// end waits for the last answers. It returns how many requests were sent, how
// many of them were not answered, and the longest time until an answer.
func (s *steady) end() (sent, lost int, slowest time.Duration) {
	s.h.t.Helper()
	close(s.stop)
	must(s.h.t, <-s.done)
	return int(s.e.next), len(s.e.open), s.e.slow
}

// echo sends echo requests to one address.
type echo struct {
	fd   int
	is6  bool
	next uint16
	open map[uint16]time.Time // when those were sent that are not answered yet
	slow time.Duration        // the longest time to an answer
}

func (h *host) dialEcho(to netip.Addr) (*echo, error) {
	e := &echo{fd: -1, is6: to.Is6(), open: map[uint16]time.Time{}}
	err := h.Do(func() (err error) {
		var remote unix.Sockaddr = &unix.SockaddrInet4{Addr: [4]byte(to.AsSlice())}
		family, protocol := unix.AF_INET, unix.IPPROTO_ICMP
		if e.is6 {
			remote = &unix.SockaddrInet6{Addr: to.As16()}
			family, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
		}
		if e.fd, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol); err != nil {
			return os.NewSyscallError("socket", err)
		}
		if err := unix.Connect(e.fd, remote); err != nil {
			unix.Close(e.fd)
			return os.NewSyscallError("connect", err)
		}
		return nil
	})
	return e, err
}

// echoID tells our answers from those to others.
const echoID = 0x5741

func (e *echo) send() error {
	e.next++
	b := make([]byte, 8+56)
	b[0] = 8 // echo request, RFC 792
	if e.is6 {
		b[0] = 128 // RFC 4443; the kernel adds the checksum
	}
	binary.BigEndian.PutUint16(b[4:], echoID)
	binary.BigEndian.PutUint16(b[6:], e.next)
	if !e.is6 {
		binary.BigEndian.PutUint16(b[2:], ippkt.Checksum(b))
	}
	e.open[e.next] = time.Now()
	if _, err := unix.Write(e.fd, b); err != nil {
		return fmt.Errorf("send echo request: %w", err)
	}
	return nil
}

// receive takes answers until all are there, or until the time has come.
func (e *echo) receive(until time.Time) error {
	b := make([]byte, 1<<16)
	for len(e.open) > 0 {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		fds := []unix.PollFd{{Fd: int32(e.fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, int(left.Milliseconds())+1); n <= 0 && err != nil && err != unix.EINTR {
			return os.NewSyscallError("poll", err)
		} else if n <= 0 {
			continue
		}
		n, err := unix.Read(e.fd, b)
		if err != nil {
			return fmt.Errorf("receive echo reply: %w", err)
		}
		m, reply := b[:n], byte(129)
		if !e.is6 {
			m, reply = m[min(int(m[0]&15)*4, n):], 0
		}
		if len(m) >= 8 && m[0] == reply && binary.BigEndian.Uint16(m[4:]) == echoID {
			seq := binary.BigEndian.Uint16(m[6:])
			if sent, ok := e.open[seq]; ok {
				e.slow = max(e.slow, time.Since(sent))
			}
			delete(e.open, seq)
		}
	}
	return nil
}
