package udp

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// Ancillary data: a list of headers (length of header and data in the width of
// a machine word, level, type), each with its data, aligned to words.

// word is the width of the length field and the alignment.
const word = strconv.IntSize / 8

// headerLen is the aligned size of a header.
const headerLen = (unix.SizeofCmsghdr + word - 1) &^ (word - 1)

// receiveControlLen holds packet info, traffic class and segment size, with
// room for one item that nobody asked for.
const receiveControlLen = 128

// sendControlLen holds packet info, traffic class, hop limit and segment size.
const sendControlLen = 128

// received is what ancillary data say of a received datagram.
type received struct {
	local   netip.Addr // the address it was sent to; invalid if unknown
	tos     byte
	segment int // size of the coalesced messages, 0 for a single one
}

// parseControl reads the ancillary data b. What is malformed ends the list.
//
// hot path
func parseControl(b []byte) (c received) {
	for len(b) >= headerLen {
		size := wordAt(b)
		if size < headerLen || size > len(b) {
			return c
		}
		level := int32(binary.NativeEndian.Uint32(b[word:]))
		kind := int32(binary.NativeEndian.Uint32(b[word+4:]))
		c.item(level, kind, b[headerLen:size])
		next := (size + word - 1) &^ (word - 1)
		if next >= len(b) {
			return c
		}
		b = b[next:]
	}
	return c
}

// wordAt returns the length field at the start of b, -1 if it is absurd.
func wordAt(b []byte) int {
	if word == 4 {
		return int(int32(binary.NativeEndian.Uint32(b)))
	}
	return int(binary.NativeEndian.Uint64(b))
}

// item takes in one item of ancillary data.
func (c *received) item(level, kind int32, data []byte) {
	switch {
	case level == unix.IPPROTO_UDP && kind == unix.UDP_GRO && len(data) >= 4:
		c.segment = int(int32(binary.NativeEndian.Uint32(data)))
	case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		// struct in_pktinfo: interface, local address, destination address.
		c.local = netip.AddrFrom4([4]byte(data[4:8]))
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		c.local = netip.AddrFrom16([16]byte(data[:16]))
	case level == unix.IPPROTO_IP && kind == unix.IP_TOS && len(data) >= 1:
		c.tos = data[0]
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_TCLASS && len(data) >= 4:
		c.tos = byte(binary.NativeEndian.Uint32(data))
	}
}

// appendItem appends one item of ancillary data, and returns b and the place of
// its n bytes of data, which are zero.
func appendItem(b []byte, level, kind int32, n int) (all, data []byte) {
	start := len(b)
	end := start + (headerLen+n+word-1)&^(word-1)
	b = b[:end] // within the capacity: the buffers are sized for all items
	clear(b[start:])
	if word == 4 {
		binary.NativeEndian.PutUint32(b[start:], uint32(headerLen+n))
	} else {
		binary.NativeEndian.PutUint64(b[start:], uint64(headerLen+n))
	}
	binary.NativeEndian.PutUint32(b[start+word:], uint32(level))
	binary.NativeEndian.PutUint32(b[start+word+4:], uint32(kind))
	return b, b[start+headerLen : start+headerLen+n]
}

// appendSource asks for the source address local, and for no interface: the
// route decides that.
func appendSource(b []byte, local netip.Addr) []byte {
	if local.Is4() {
		b, data := appendItem(b, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		a := local.As4()
		copy(data[4:], a[:])
		return b
	}
	b, data := appendItem(b, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	a := local.As16()
	copy(data, a[:])
	return b
}

// appendTOS sets the traffic class.
func appendTOS(b []byte, is6 bool, tos byte) []byte {
	level, kind := int32(unix.IPPROTO_IP), int32(unix.IP_TOS)
	if is6 {
		level, kind = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	}
	b, data := appendItem(b, level, kind, 4)
	binary.NativeEndian.PutUint32(data, uint32(tos))
	return b
}

// appendHopLimit sets the TTL or hop limit.
func appendHopLimit(b []byte, is6 bool, hops uint8) []byte {
	level, kind := int32(unix.IPPROTO_IP), int32(unix.IP_TTL)
	if is6 {
		level, kind = unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT
	}
	b, data := appendItem(b, level, kind, 4)
	binary.NativeEndian.PutUint32(data, uint32(hops))
	return b
}

// appendSegment asks for the datagram to be cut into messages of size.
func appendSegment(b []byte, size int) []byte {
	b, data := appendItem(b, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
	binary.NativeEndian.PutUint16(data, uint16(size))
	return b
}

// A socket address is kept as the bytes of the kernel's structure: family in
// the host's order, port in the network's, then address (IPv4), or flow,
// address and the scope in the host's order (IPv6).
type sockaddr [unix.SizeofSockaddrInet6]byte

// addrPort returns the address and port of s without its zone, and the scope.
//
// hot path
func (s *sockaddr) addrPort() (netip.AddrPort, uint32) {
	port := binary.BigEndian.Uint16(s[2:])
	switch binary.NativeEndian.Uint16(s[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s[4:8])), port), 0
	case unix.AF_INET6:
		a := netip.AddrFrom16([16]byte(s[8:24])).Unmap()
		return netip.AddrPortFrom(a, port), binary.NativeEndian.Uint32(s[24:])
	}
	return netip.AddrPort{}, 0
}

// set stores the address and port and returns the size of the structure.
//
// hot path
func (s *sockaddr) set(a netip.Addr, port uint16, scope uint32) int {
	binary.BigEndian.PutUint16(s[2:], port)
	if a.Is4() {
		binary.NativeEndian.PutUint16(s[:], unix.AF_INET)
		*(*[4]byte)(s[4:8]) = a.As4()
		clear(s[8:16])
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(s[:], unix.AF_INET6)
	clear(s[4:8])
	*(*[16]byte)(s[8:24]) = a.As16()
	binary.NativeEndian.PutUint32(s[24:], scope)
	return unix.SizeofSockaddrInet6
}
