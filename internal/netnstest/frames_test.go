//go:build linux && e2e

package netnstest

import (
	"encoding/binary"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// capture is a packet socket on an interface of a host: it sees what passes, as
// IP packets.
type capture struct {
	t  *testing.T
	fd int
}

// capture opens a packet socket.
func (h *host) capture(link string) *capture {
	h.t.Helper()
	c := &capture{t: h.t, fd: -1}
	must(h.t, h.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_ALL)))
		if err != nil {
			return os.NewSyscallError("packet socket", err)
		}
		c.fd = fd
		index, err := linkIndex(link)
		if err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: index})
	}))
	h.t.Cleanup(func() { _ = unix.Close(c.fd) })
	return c
}

func htons(n uint16) uint16 { return n<<8 | n>>8 }

// linkIndex must be called inside the host.
func linkIndex(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr); err != nil {
		return 0, os.NewSyscallError("index of "+name, err)
	}
	return int(ifr.Uint32()), nil
}

// frame is what matters of a UDP datagram that was seen.
type frame struct {
	from, to netip.AddrPort
	tos      byte
	df       bool // IPv4 alone
	hops     byte
	payload  []byte
}

// next returns the next UDP datagram that is wanted.
func (c *capture) next(want func(*frame) bool) *frame {
	c.t.Helper()
	deadline := time.Now().Add(patience)
	buf := make([]byte, 1<<16)
	for time.Now().Before(deadline) {
		fds := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
		if n, _ := unix.Poll(fds, 100); n <= 0 {
			continue
		}
		n, _, err := unix.Recvfrom(c.fd, buf, 0)
		if err != nil {
			continue
		}
		if f := parseFrame(buf[:n]); f != nil && want(f) {
			return f
		}
	}
	c.t.Fatal("the datagram was not seen")
	return nil
}

// drain forgets what was seen so far.
func (c *capture) drain() {
	for {
		if _, _, err := unix.Recvfrom(c.fd, nil, unix.MSG_DONTWAIT|unix.MSG_TRUNC); err != nil {
			return
		}
	}
}

func parseFrame(b []byte) *frame {
	var f frame
	var udp []byte
	var src, dst netip.Addr
	switch {
	case len(b) >= 28 && b[0]>>4 == 4 && b[9] == unix.IPPROTO_UDP:
		f.tos, f.df, f.hops = b[1], b[6]&0x40 != 0, b[8]
		src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		udp = b[int(b[0]&15)*4:]
	case len(b) >= 48 && b[0]>>4 == 6 && b[6] == unix.IPPROTO_UDP:
		f.tos, f.hops = b[0]<<4|b[1]>>4, b[7]
		src, dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		udp = b[40:]
	default:
		return nil
	}
	if len(udp) < 8 {
		return nil
	}
	f.from = netip.AddrPortFrom(src, binary.BigEndian.Uint16(udp))
	f.to = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(udp[2:]))
	f.payload = append([]byte(nil), udp[8:]...)
	return &f
}

// isType matches messages of a type that go to a port.
func isType(kind byte, port uint16) func(*frame) bool {
	return func(f *frame) bool { return f.to.Port() == port && len(f.payload) > 0 && f.payload[0] == kind }
}
