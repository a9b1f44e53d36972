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

// Header is what Parse finds in an IP packet.
type Header struct {
	Src, Dst  netip.Addr
	Length    int   // of the whole packet in bytes, by its own header; never more than was given
	Transport int   // offset of what follows the IP header and its extensions, at most Length
	Version   uint8 // 4 or 6
	Protocol  uint8 // of what is at Transport
	TOS       uint8 // type of service or traffic class: DSCP and ECN
	Fragment  bool  // a piece of a larger packet, but not the first: no transport header is at Transport
	More      bool  // further pieces follow
}

// Parse reads the header of the IP packet at the beginning of b, which may be
// followed by padding. It reports false if b does not begin with a complete
// header, or holds less than the header promises. IPv6 extension headers are
// walked as far as they go; IPv6 addresses that embed IPv4 ones stay IPv6.
//
// hot path
func Parse(b []byte) (h Header, ok bool) {
	ok = h.parse(b)
	return h, ok
}

// parse fills h in place: returned from function to function, a struct of this
// size costs more than reading the header.
//
// hot path
func (h *Header) parse(b []byte) bool {
	if len(b) < IPv4Size {
		return false
	}
	switch b[0] >> 4 {
	case 4:
		return h.parse4(b)
	case 6:
		return h.parse6(b)
	}
	return false
}

// hot path
func (h *Header) parse4(b []byte) bool {
	b0 := b[:IPv4Size]
	size := int(b0[0]&0x0f) * 4
	total := int(binary.BigEndian.Uint16(b0[2:]))
	if size < IPv4Size || total < size || total > len(b) {
		return false
	}
	h.Src = netip.AddrFrom4([4]byte(b0[12:16]))
	h.Dst = netip.AddrFrom4([4]byte(b0[16:20]))
	h.Length = total
	h.Transport = size
	h.Version = 4
	h.Protocol = b0[9]
	h.TOS = b0[1]
	h.Fragment = binary.BigEndian.Uint16(b0[6:])&0x1fff != 0
	h.More = b0[6]&0x20 != 0
	return true
}

// hot path
func (h *Header) parse6(b []byte) bool {
	if len(b) < IPv6Size {
		return false
	}
	b0 := b[:IPv6Size]
	// In int: 40 + 65535 does not fit the 16 bits the length has on the wire.
	total := IPv6Size + int(binary.BigEndian.Uint16(b0[4:]))
	if total > len(b) {
		return false
	}
	h.Src = netip.AddrFrom16([16]byte(b0[8:24]))
	h.Dst = netip.AddrFrom16([16]byte(b0[24:40]))
	h.Length = total
	h.Transport = IPv6Size
	h.Version = 6
	h.Protocol = b0[6]
	h.TOS = b0[0]<<4 | b0[1]>>4
	if isExtension(h.Protocol) {
		h.walk(b[:total])
	}
	return true
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
// cut off leaves Protocol at the header that is not all there: the packet can be
// routed all the same, RFC 8200 4.
func (h *Header) walk(b []byte) {
	for isExtension(h.Protocol) {
		rest := b[h.Transport:]
		if len(rest) < 8 {
			return
		}
		size := (int(rest[1]) + 1) * 8
		switch h.Protocol {
		case ProtoAuth:
			size = (int(rest[1]) + 2) * 4 // RFC 4302 2.2
		case ProtoFragment:
			size = 8
		}
		if size > len(rest) {
			return
		}
		if h.Protocol == ProtoFragment {
			word := binary.BigEndian.Uint16(rest[2:])
			h.Fragment = word>>3 != 0
			h.More = word&1 != 0
		}
		h.Protocol = rest[0]
		h.Transport += size
		if h.Fragment {
			return
		}
	}
}
