package tun

import (
	"encoding/binary"

	"github.com/warrenvpn/warren/packet"
)

// virtioSize is the size of the header that precedes each packet of a TUN
// opened with IFF_VNET_HDR, all in the machine's byte order:
//
//	0 flags, 1 gso_type, 2 hdr_len, 4 gso_size, 6 csum_start, 8 csum_offset
const virtioSize = 10

// Values of its fields, [K] virtio_net.h.
const (
	virtioNeedsCsum = 1

	virtioNone = 0
	virtioTCP4 = 1
	virtioTCP6 = 4
	virtioUDP  = 5 // UDP_L4: datagrams, not fragments
	virtioECN  = 0x80
)

// parseVirtio returns what the header h says, and false for an offload that was
// never asked for. hdr_len is not looked at: it is a hint, and often wrong.
//
// hot path
func parseVirtio(h []byte) (o packet.Offload, ok bool) {
	_ = h[virtioSize-1]
	if h[0]&virtioNeedsCsum != 0 {
		o.NeedsCsum = true
		o.CsumStart = binary.NativeEndian.Uint16(h[6:])
		o.CsumOffset = binary.NativeEndian.Uint16(h[8:])
	}
	switch h[1] &^ virtioECN {
	case virtioNone:
		return o, true
	case virtioTCP4:
		o.Kind = packet.TCP4
	case virtioTCP6:
		o.Kind = packet.TCP6
	case virtioUDP:
		o.Kind = packet.UDP
	default:
		return o, false
	}
	o.Segment = binary.NativeEndian.Uint16(h[4:])
	return o, o.Segment != 0
}

// putVirtio writes all ten bytes of the header for a packet that begins with
// head, so that nothing of an earlier one remains.
//
// hot path
func putVirtio(h *[virtioSize]byte, o packet.Offload, head []byte) {
	*h = [virtioSize]byte{}
	if !o.NeedsCsum {
		return
	}
	h[0] = virtioNeedsCsum
	binary.NativeEndian.PutUint16(h[6:], o.CsumStart)
	binary.NativeEndian.PutUint16(h[8:], o.CsumOffset)
	size := 0
	switch start := int(o.CsumStart); o.Kind {
	case packet.TCP4, packet.TCP6:
		h[1] = virtioTCP4
		if o.Kind == packet.TCP6 {
			h[1] = virtioTCP6
		}
		if start+13 < len(head) {
			size = start + int(head[start+12]>>4)*4
			if head[start+13]&0x80 != 0 {
				h[1] |= virtioECN // CWR is for the first segment only
			}
		}
	case packet.UDP:
		h[1] = virtioUDP
		size = start + 8
	default:
		return
	}
	binary.NativeEndian.PutUint16(h[2:], uint16(size))
	binary.NativeEndian.PutUint16(h[4:], o.Segment)
}
