package demo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/warrenvpn/warren/internal/ippkt"
	"github.com/warrenvpn/warren/internal/netlab"
)

// icmp are the numbers of one family: RFC 792, RFC 4443.
type icmp struct {
	network                      string
	request, reply, timeExceeded byte
	quoted                       int // where a quoted packet's own ICMP header begins
}

var (
	icmp4 = icmp{"ip4:icmp", 8, 0, 11, 8 + 20}
	icmp6 = icmp{"ip6:ipv6-icmp", 128, 129, 3, 8 + 40}
)

// echoID tells the echoes of this process apart.
var echoID atomic.Uint32

// echoSocket sends echo requests from a host. It belongs to one goroutine.
type echoSocket struct {
	icmp
	conn *net.IPConn
	id   uint16
	seq  uint16
	buf  [1500]byte
}

// openEcho opens a socket in a host for the family of to.
func openEcho(h *netlab.Host, to netip.Addr) (*echoSocket, error) {
	s := &echoSocket{icmp: icmp4, id: uint16(echoID.Add(1))}
	if to.Is6() {
		s.icmp = icmp6
	}
	err := h.Do(func() (err error) {
		s.conn, err = net.ListenIP(s.network, nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: open ICMP socket: %w", h.Name(), err)
	}
	return s, nil
}

func (s *echoSocket) close() { s.conn.Close() }

// echo sends one echo request and waits for the answer to it: by which host,
// and whether that was the destination.
func (s *echoSocket) echo(to netip.Addr, patience time.Duration) (by netip.Addr, arrived bool, err error) {
	s.seq++
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return netip.Addr{}, false, err
	}
	if _, err := s.conn.WriteToIP(s.encode(), &net.IPAddr{IP: to.AsSlice()}); err != nil {
		return netip.Addr{}, false, err
	}
	for {
		n, from, err := s.conn.ReadFromIP(s.buf[:])
		if err != nil {
			return netip.Addr{}, false, err
		}
		if arrived, ours := s.decode(s.buf[:n]); ours {
			by, _ := netip.AddrFromSlice(from.IP)
			return by.Unmap(), arrived, nil
		}
	}
}

// encode returns the request. The kernel fills in the checksum of ICMPv6.
func (s *echoSocket) encode() []byte {
	b := make([]byte, 8+48)
	b[0] = s.request
	binary.BigEndian.PutUint16(b[4:], s.id)
	binary.BigEndian.PutUint16(b[6:], s.seq)
	binary.BigEndian.PutUint16(b[2:], ippkt.Checksum(b))
	return b
}

// decode reports whether b answers the last request, and whether it says that
// the request arrived.
func (s *echoSocket) decode(b []byte) (arrived, ours bool) {
	switch {
	case len(b) >= 8 && b[0] == s.reply:
		return true, s.matches(b)
	case len(b) >= s.quoted+8 && b[0] == s.timeExceeded && b[s.quoted] == s.request:
		return false, s.matches(b[s.quoted:])
	}
	return false, false
}

func (s *echoSocket) matches(b []byte) bool {
	return binary.BigEndian.Uint16(b[4:]) == s.id && binary.BigEndian.Uint16(b[6:]) == s.seq
}

// errNoAnswer says that nobody answered within the time given.
var errNoAnswer = errors.New("no answer")

// await repeats echoes until one is answered.
func await(ctx context.Context, h *netlab.Host, to netip.Addr, patience time.Duration) error {
	s, err := openEcho(h, to)
	if err != nil {
		return err
	}
	defer s.close()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, _, err := s.echo(to, 200*time.Millisecond)
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			// No route yet, or no session: the answer was immediate.
			time.Sleep(20 * time.Millisecond)
		}
	}
	return fmt.Errorf("ping from %s to %s: %w within %v", h.Name(), to, errNoAnswer, patience)
}

// firstHop returns who takes the packets of a host for to out of its tunnel: to
// itself if the path is direct, otherwise the relay. The request is sent to live
// for one hop, so a host that would pass it on says so instead.
func firstHop(h *netlab.Host, to netip.Addr) (netip.Addr, error) {
	s, err := openEcho(h, to)
	if err != nil {
		return netip.Addr{}, err
	}
	defer s.close()
	if err := setHops(s.conn, to.Is6(), 1); err != nil {
		return netip.Addr{}, fmt.Errorf("limit hops: %w", err)
	}
	for range 3 {
		by, _, err := s.echo(to, time.Second)
		if err == nil {
			return by, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("probe from %s to %s: %w", h.Name(), to, errNoAnswer)
}

// pings is how many echoes make one measurement of the round-trip time.
const pings = 15

// ping returns the median round-trip time of some echoes, and how many of them
// got no answer.
func ping(h *netlab.Host, to netip.Addr) (median time.Duration, lost int, err error) {
	s, err := openEcho(h, to)
	if err != nil {
		return 0, 0, err
	}
	defer s.close()
	var times []time.Duration
	for range pings {
		start := time.Now()
		if _, _, err = s.echo(to, 200*time.Millisecond); err != nil {
			lost++
			continue
		}
		times = append(times, time.Since(start))
		time.Sleep(2 * time.Millisecond)
	}
	if len(times) == 0 {
		return 0, lost, fmt.Errorf("ping from %s to %s: %w", h.Name(), to, err)
	}
	slices.Sort(times)
	return times[len(times)/2], lost, nil
}
