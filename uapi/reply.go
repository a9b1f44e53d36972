package uapi

import (
	"bufio"
	"bytes"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/slab"
	"github.com/warrenvpn/warren/key"
)

// ReadDevice reads the reply of a get. A reply that is cut off or malformed is
// syscall.EPROTO, one that reports an error is that syscall.Errno. The public
// key of the device is computed from the private key, as the reply has none.
func ReadDevice(r io.Reader) (conf.Device, error) {
	in := newLineReader(r)
	defer in.clear()
	p := replyReader{errno: syscall.EPROTO}
	for {
		line, err := in.nextExact()
		if err != nil {
			return conf.Device{}, syscall.EPROTO
		}
		if len(line) == 0 {
			break
		}
		k, v, ok := bytes.Cut(line, []byte{'='})
		if !ok || !p.line(string(k), v) {
			return conf.Device{}, syscall.EPROTO
		}
	}
	if p.errno != 0 {
		return conf.Device{}, p.errno
	}
	p.endPeer()
	return p.device, nil
}

// ReadReply reads the reply of a set and returns the error that it reports, or
// syscall.EPROTO if it is cut off or malformed.
func ReadReply(r io.Reader) error {
	in := &lineReader{r: bufio.NewReaderSize(r, smallBuffer)}
	errno, seen := 0, false
	for {
		line, err := in.nextExact()
		if err != nil {
			return syscall.EPROTO
		}
		if len(line) == 0 {
			break
		}
		k, v, ok := bytes.Cut(line, []byte{'='})
		if !ok {
			return syscall.EPROTO
		}
		if string(k) != "errno" {
			continue
		}
		digits, negative := bytes.CutPrefix(v, []byte{'-'})
		n, ok := number(digits, 1<<31-1)
		if !ok {
			return syscall.EPROTO
		}
		if errno, seen = int(n), true; negative {
			errno = -errno
		}
	}
	switch {
	case !seen:
		return syscall.EPROTO
	case errno == 0:
		return nil
	}
	// Reported negative. Without the sign it is no error known to anybody.
	return syscall.Errno(uintptr(-errno))
}

// replyReader collects the lines of a get reply.
type replyReader struct {
	device conf.Device
	time   stamp // of the last peer, which comes in two lines
	errno  syscall.Errno
	lists  slab.Slab[netip.Prefix]
}

type stamp struct{ sec, nsec uint64 }

func (s stamp) time() time.Time {
	if s.sec == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s.sec), int64(s.nsec))
}

// line takes one line and reports whether it is good. Unknown keys are, and so
// are keys of a peer before the first one.
func (p *replyReader) line(k string, v []byte) bool {
	d := &p.device
	switch k {
	case "errno":
		n, ok := number(v, 1<<31-1)
		p.errno = syscall.Errno(n)
		return ok
	case "public_key":
		pub, err := publicKeyValue(v)
		p.endPeer()
		if n := len(d.Peers); n == cap(d.Peers) { // doubled: memory that is not used yet is none
			d.Peers = slices.Grow(d.Peers, max(n, 1))
		}
		d.Peers = append(d.Peers, conf.Peer{PublicKey: pub})
		return err == nil
	}
	if n := len(d.Peers); n > 0 {
		return p.peerLine(&d.Peers[n-1], k, v)
	}
	return p.deviceLine(k, v)
}

// endPeer completes the last peer.
func (p *replyReader) endPeer() {
	n := len(p.device.Peers)
	if n == 0 {
		return
	}
	c := &p.device.Peers[n-1]
	if len(c.AllowedIPs) > 0 {
		c.AllowedIPs = p.lists.Keep(c.AllowedIPs)
	}
	c.LastHandshake, p.time = p.time.time(), stamp{}
}

func (p *replyReader) deviceLine(k string, v []byte) bool {
	d := &p.device
	switch k {
	case "private_key":
		sk, err := key.ParsePrivateHex(string(v))
		d.PrivateKey, d.PublicKey = sk, sk.Public()
		return err == nil
	case "listen_port":
		n, ok := number(v, 1<<16-1)
		d.ListenPort = uint16(n)
		return ok
	case "fwmark":
		n, ok := number(v, 1<<32-1)
		d.FwMark = uint32(n)
		return ok
	}
	return true
}

func (p *replyReader) peerLine(c *conf.Peer, k string, v []byte) (ok bool) {
	var err error
	switch k {
	case "preshared_key":
		c.PresharedKey, err = key.ParsePresharedHex(string(v))
		return err == nil
	case "endpoint":
		c.Endpoint, ok = replyEndpoint(string(v))
	case "persistent_keepalive_interval":
		var n uint64
		n, ok = number(v, 1<<16-1)
		c.PersistentKeepalive = uint16(n)
	case "allowed_ip":
		var ip netip.Prefix
		ip, err = prefixValue(string(v))
		if len(c.AllowedIPs) == 0 {
			c.AllowedIPs = p.lists.Begin()
		}
		c.AllowedIPs = append(c.AllowedIPs, ip)
		return err == nil
	case "last_handshake_time_sec":
		p.time.sec, ok = number(v, 1<<63-1)
	case "last_handshake_time_nsec":
		p.time.nsec, ok = number(v, 1<<63-1)
	case "rx_bytes":
		c.RxBytes, ok = number(v, 1<<64-1)
	case "tx_bytes":
		c.TxBytes, ok = number(v, 1<<64-1)
	default:
		return true
	}
	return ok
}

// number reads unsigned decimal digits and nothing else.
func number(v []byte, limit uint64) (uint64, bool) {
	if len(v) == 0 || v[0] < '0' || v[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(v), 10, 64)
	return n, err == nil && n <= limit
}

// replyEndpoint reads a numeric endpoint; the brackets of an IPv6 address may
// be missing.
func replyEndpoint(s string) (netip.AddrPort, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap, true
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasPrefix(s, "[") {
		return netip.AddrPort{}, false
	}
	a, err := netip.ParseAddr(s[:i])
	if err != nil {
		return netip.AddrPort{}, false
	}
	port, ok := number([]byte(s[i+1:]), 1<<16-1)
	return netip.AddrPortFrom(a, uint16(port)), ok
}
