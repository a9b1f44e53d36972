package ippkt

import "encoding/binary"

// The codepoints of the two ECN bits, RFC 3168 5.
const (
	NotECT  = 0
	ECT1    = 1
	ECT0    = 2
	CE      = 3
	ECNMask = 3
)

// EncapsulateTOS returns the traffic class of the outer packet for an inner packet
// with the class inner: no DSCP, so that nothing of the inner one shows, and
// the ECN bits of RFC 6040 4.1, except that CE leaves as ECT(0) so that marks
// set inside are not counted twice. [K] send.c, INET_ECN_encapsulate.
//
// hot path
func EncapsulateTOS(inner byte) byte {
	if inner &= ECNMask; inner != CE {
		return inner
	}
	return ECT0
}

// DecapsulateTOS returns the traffic class an inner packet leaves the tunnel with,
// given that of the outer packet it came in: the table of RFC 6040 4.2. It
// reports false where the table says drop: congestion was met on the way by a
// packet whose transport would not understand the mark. [K] receive.c delivers
// such a packet unchanged.
//
// hot path
func DecapsulateTOS(outer, inner byte) (tos byte, ok bool) {
	switch outer & ECNMask {
	case CE:
		if inner&ECNMask == NotECT {
			return inner, false
		}
		return inner | CE, true
	case ECT1:
		if inner&ECNMask == ECT0 {
			return inner&^ECNMask | ECT1, true
		}
	}
	return inner, true
}

// Decapsulate combines the traffic class outer, with which the inner packet pkt
// came, into pkt and its parsed header h. It reports false where the packet is
// to be dropped, see DecapsulateTOS.
//
// hot path
func Decapsulate(pkt []byte, h *Header, outer byte) bool {
	if outer&ECNMask == NotECT {
		return true
	}
	tos, ok := DecapsulateTOS(outer, h.TOS)
	if tos != h.TOS {
		SetTOS(pkt, tos)
		h.TOS = tos
	}
	return ok
}

// SetTOS sets the traffic class of the IP packet b, whose header is complete,
// and corrects the IPv4 header checksum.
//
// hot path
func SetTOS(b []byte, tos byte) {
	if b[0]>>4 == 6 {
		b[0] = 0x60 | tos>>4
		b[1] = tos<<4 | b[1]&0x0f
		return
	}
	first := uint16(b[0]) << 8
	sum := Update(binary.BigEndian.Uint16(b[10:]), first|uint16(b[1]), first|uint16(tos))
	binary.BigEndian.PutUint16(b[10:], sum)
	b[1] = tos
}
