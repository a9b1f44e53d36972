//go:build linux

package traffic

import (
	"encoding/binary"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Capture is a packet socket on an interface: it sees what passes, as IP packets.
type Capture struct{ fd int }

// NewCapture opens one in the calling thread's network namespace.
func NewCapture(link string) (*Capture, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_ALL)))
	if err != nil {
		return nil, os.NewSyscallError("packet socket", err)
	}
	c := &Capture{fd}
	ifr, err := unix.NewIfreq(link)
	if err == nil {
		err = os.NewSyscallError("index of "+link, unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr))
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: int(ifr.Uint32())})
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return c, nil
}

func htons(n uint16) uint16 { return n<<8 | n>>8 }

// Close ends it.
func (c *Capture) Close() error { return unix.Close(c.fd) }

// Datagram is a UDP datagram that was seen.
type Datagram struct {
	From, To netip.AddrPort
	Payload  []byte
}

// Next returns the next datagram between these ends, in either direction, or
// false after a while without one.
func (c *Capture) Next(a, b netip.AddrPort, patience time.Duration) (Datagram, bool) {
	buf := make([]byte, 1<<16)
	for until := time.Now().Add(patience); time.Now().Before(until); {
		fds := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
		if n, _ := unix.Poll(fds, 50); n <= 0 {
			continue
		}
		n, _, err := unix.Recvfrom(c.fd, buf, 0)
		if err != nil {
			continue
		}
		d, ok := parse(buf[:n])
		if ok && (d.From == a && d.To == b || d.From == b && d.To == a) {
			d.Payload = append([]byte(nil), d.Payload...)
			return d, true
		}
	}
	return Datagram{}, false
}

// parse takes an IP packet without extension headers apart.
func parse(b []byte) (d Datagram, ok bool) {
	var udp []byte
	var src, dst netip.Addr
	switch {
	case len(b) >= 28 && b[0]>>4 == 4 && b[9] == unix.IPPROTO_UDP && int(b[0]&15)*4 <= len(b):
		src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		udp = b[int(b[0]&15)*4:]
	case len(b) >= 48 && b[0]>>4 == 6 && b[6] == unix.IPPROTO_UDP:
		src, dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		udp = b[40:]
	}
	if len(udp) < 8 {
		return d, false
	}
	d.From = netip.AddrPortFrom(src, binary.BigEndian.Uint16(udp))
	d.To = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(udp[2:]))
	d.Payload = udp[8:]
	return d, true
}
