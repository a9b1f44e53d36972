package ippkt

import (
	"encoding/binary"
	"net/netip"
)

// Header sizes in bytes.
const (
	IPv4Size = 20 // without options, RFC 791
	IPv6Size = 40 // RFC 8200
	TCPSize  = 20 // without options, RFC 9293
	UDPSize  = 8  // RFC 768
)

// Protocol numbers of the IANA registry that this package looks at.
const (
	ProtoHopByHop    = 0
	ProtoICMP        = 1
	ProtoTCP         = 6
	ProtoUDP         = 17
	ProtoRouting     = 43
	ProtoFragment    = 44
	ProtoAuth        = 51
	ProtoICMPv6      = 58
	ProtoNone        = 59
	ProtoDestination = 60
)

// Fragment says whether a packet is a piece of a larger one.
type Fragment uint8

// The kinds of fragments.
const (
	Whole         Fragment = iota // not fragmented
	FirstFragment                 // offset zero, more to come: has the transport header
	LaterFragment                 // Transport points into the middle of a payload
)

// Header is what Parse finds in an IP packet.
type Header struct {
	Src, Dst  netip.Addr
	Len       int      // of the whole packet in bytes, by its own header; never more than was given
	Transport int      // offset of what follows the IP header and its extensions, at most Len
	Version   uint8    // 4 or 6
	Proto     uint8    // of what is at Transport
	TOS       uint8    // type of service or traffic class: DSCP and ECN
	Fragment  Fragment // of IPv4, or of an IPv6 fragment header
}

// Parse reads the header of the IP packet at the beginning of b, which may be
// followed by padding. It reports false if b does not begin with a complete
// header, or holds less than the header promises. IPv6 extension headers are
// walked as far as they go; IPv6 addresses that embed IPv4 ones stay IPv6.
//
// hot path
func Parse(b []byte) (h Header, ok bool) {
	if len(b) < IPv4Size {
		return h, false
	}
	switch b[0] >> 4 {
	case 4:
		return parse4(b)
	case 6:
		return parse6(b)
	}
	return h, false
}

// hot path
func parse4(b []byte) (h Header, ok bool) {
	b0 := b[:IPv4Size]
	size := int(b0[0]&0x0f) * 4
	total := int(binary.BigEndian.Uint16(b0[2:]))
	if size < IPv4Size || total < size || total > len(b) {
		return h, false
	}
	h.Src = netip.AddrFrom4([4]byte(b0[12:16]))
	h.Dst = netip.AddrFrom4([4]byte(b0[16:20]))
	h.Len = total
	h.Transport = size
	h.Version = 4
	h.Proto = b0[9]
	h.TOS = b0[1]
	if frag := binary.BigEndian.Uint16(b0[6:]); frag&0x3fff != 0 {
		h.Fragment = fragment(frag&0x1fff, frag&0x2000 != 0)
	}
	return h, true
}

// hot path
func parse6(b []byte) (h Header, ok bool) {
	if len(b) < IPv6Size {
		return h, false
	}
	b0 := b[:IPv6Size]
	// In int: 40 + 65535 does not fit the 16 bits the length has on the wire.
	total := IPv6Size + int(binary.BigEndian.Uint16(b0[4:]))
	if total > len(b) {
		return h, false
	}
	h.Src = netip.AddrFrom16([16]byte(b0[8:24]))
	h.Dst = netip.AddrFrom16([16]byte(b0[24:40]))
	h.Len = total
	h.Transport = IPv6Size
	h.Version = 6
	h.Proto = b0[6]
	h.TOS = b0[0]<<4 | b0[1]>>4
	if isExtension(h.Proto) {
		h.walk(b[:total])
	}
	return h, true
}

// isExtension reports whether p is an IPv6 extension header we can step over.
func isExtension(p uint8) bool {
	switch p {
	case ProtoHopByHop, ProtoRouting, ProtoFragment, ProtoAuth, ProtoDestination:
		return true
	}
	return false
}

// walk steps over the extension headers of the IPv6 packet b. A chain that is
// cut off leaves Proto at the header that is not all there: the packet can be
// routed all the same, RFC 8200 4.
func (h *Header) walk(b []byte) {
	for isExtension(h.Proto) {
		rest := b[h.Transport:]
		if len(rest) < 8 {
			return
		}
		size := (int(rest[1]) + 1) * 8
		switch h.Proto {
		case ProtoAuth:
			size = (int(rest[1]) + 2) * 4 // RFC 4302 2.2
		case ProtoFragment:
			size = 8
		}
		if size > len(rest) {
			return
		}
		if h.Proto == ProtoFragment {
			word := binary.BigEndian.Uint16(rest[2:])
			if word&^6 != 0 { // else atomic, RFC 6946
				h.Fragment = fragment(word>>3, word&1 != 0)
			}
		}
		h.Proto = rest[0]
		h.Transport += size
		if h.Fragment == LaterFragment {
			return
		}
	}
}

func fragment(offset uint16, more bool) Fragment {
	switch {
	case offset != 0:
		return LaterFragment
	case more:
		return FirstFragment
	}
	return Whole
}
