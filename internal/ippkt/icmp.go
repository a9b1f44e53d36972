package ippkt

import (
	"encoding/binary"
	"net/netip"
)

// MaxICMP is room enough for any error these builders make: an ICMPv6 error
// may not exceed the minimum MTU, RFC 4443 2.4 (c).
const MaxICMP = 1280

// maxICMP4 is the most an ICMPv4 error should be, RFC 1812 4.3.2.3.
const maxICMP4 = 576

const icmpSize = 8 // type, code, checksum and four bytes more

// Unreachable writes to dst the error for a packet that no peer takes: ICMP
// host unreachable or ICMPv6 address unreachable, [K] device.c. It returns its
// length, or false if none may be sent about pkt. dst has room for MaxICMP bytes.
//
// Its source is the destination of pkt: the system would discard as martian
// what claims to come from one of its own addresses.
func Unreachable(dst, pkt []byte) (n int, ok bool) {
	return icmpError(dst, pkt, 3, 1, 1, 3, 0)
}

// TooBig writes to dst the error for a packet larger than mtu: ICMP
// fragmentation needed of RFC 1191 or ICMPv6 packet too big of RFC 4443 3.2.
// It returns as Unreachable does, and false also for an IPv4 packet that may be
// fragmented.
func TooBig(dst, pkt []byte, mtu int) (n int, ok bool) {
	if len(pkt) >= IPv4Size && pkt[0]>>4 == 4 {
		if pkt[6]&0x40 == 0 {
			return 0, false
		}
		mtu = min(mtu, 0xffff) // sixteen bits after sixteen unused ones
	}
	return icmpError(dst, pkt, 3, 4, 2, 0, uint32(mtu))
}

func icmpError(dst, pkt []byte, type4, code4, type6, code6 byte, rest uint32) (n int, ok bool) {
	h, ok := Parse(pkt)
	if !ok || !mayComplain(h, pkt) {
		return 0, false
	}
	if h.Version == 4 {
		return icmpError4(dst, h, pkt, type4, code4, rest), true
	}
	return icmpError6(dst, h, pkt, type6, code6, rest), true
}

func icmpError4(dst []byte, h Header, pkt []byte, typ, code byte, rest uint32) int {
	quote := pkt[:min(h.Length, maxICMP4-IPv4Size-icmpSize)]
	n := IPv4Size + icmpSize + len(quote)
	b := dst[:n]
	putIPv4(b, n, h.Dst, h.Src)
	putICMP(b[IPv4Size:], typ, code, rest, quote, 0)
	return n
}

func icmpError6(dst []byte, h Header, pkt []byte, typ, code byte, rest uint32) int {
	quote := pkt[:min(h.Length, MaxICMP-IPv6Size-icmpSize)]
	n := IPv6Size + icmpSize + len(quote)
	b := dst[:n]
	clear(b[:IPv6Size])
	b[0] = 0x60
	binary.BigEndian.PutUint16(b[4:], uint16(n-IPv6Size))
	b[6] = ProtoICMPv6
	b[7] = 64
	from, to := h.Dst.As16(), h.Src.As16()
	copy(b[8:], from[:])
	copy(b[24:], to[:])
	putICMP(b[IPv6Size:], typ, code, rest, quote, PseudoHeader(h.Dst, h.Src, ProtoICMPv6, n-IPv6Size))
	return n
}

// putIPv4 writes the header of an ICMP error: precedence internetwork control
// as RFC 1812 4.3.2.5 has it, and no identification, since it is not to be
// fragmented (RFC 6864).
func putIPv4(b []byte, n int, src, dst netip.Addr) {
	clear(b[:IPv4Size])
	b[0] = 0x45
	b[1] = 0xc0
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	b[6] = 0x40
	b[8] = 64
	b[9] = ProtoICMP
	from, to := src.As4(), dst.As4()
	copy(b[12:], from[:])
	copy(b[16:], to[:])
	binary.BigEndian.PutUint16(b[10:], Checksum(b[:IPv4Size]))
}

func putICMP(b []byte, typ, code byte, rest uint32, quote []byte, pseudo Partial) {
	b[0], b[1], b[2], b[3] = typ, code, 0, 0
	binary.BigEndian.PutUint32(b[4:], rest)
	copy(b[icmpSize:], quote)
	binary.BigEndian.PutUint16(b[2:], ^pseudo.Add(Sum(b)).Fold())
}

// mayComplain reports whether an ICMP error may be sent about a packet:
// RFC 1122 3.2.2, RFC 1812 4.3.2.7, RFC 4443 2.4 (e). Of broadcast addresses
// only the limited one can be told from here.
func mayComplain(h Header, pkt []byte) bool {
	switch {
	case h.Fragment:
		return false
	case !h.Src.IsValid(), h.Src.IsUnspecified(), h.Src.IsMulticast(), h.Src.IsLoopback(), isClassE(h.Src):
		return false
	case h.Dst.IsUnspecified(), h.Dst.IsMulticast(), h.Dst.IsLoopback(), isClassE(h.Dst):
		return false
	case h.Version == 6 && isExtension(h.Protocol):
		return false // the chain is cut off: it may hide an error
	}
	icmp := h.Version == 4 && h.Protocol == ProtoICMP || h.Version == 6 && h.Protocol == ProtoICMPv6
	if !icmp {
		return true
	}
	return h.Transport < h.Length && isQuery(h.Version, pkt[h.Transport])
}

// isClassE reports whether a is reserved or the limited broadcast address. As
// the destination of an error's source it would be no better than a martian.
func isClassE(a netip.Addr) bool { return a.Is4() && a.As4()[0] >= 240 }

// isQuery reports whether an ICMP message of type t is known not to be an
// error. An unknown type of ICMPv4 might be one; ICMPv6 errors have the high
// bit clear, and a redirect (137) gets no error either.
func isQuery(version, t uint8) bool {
	if version == 6 {
		return t >= 128 && t != 137
	}
	switch t {
	case 0, 8, 9, 10, 13, 14, 15, 16, 17, 18, 42, 43:
		return true
	}
	return false
}
