package offload

import (
	"encoding/binary"
	"errors"

	"github.com/warrenvpn/warren/internal/ippkt"
	"github.com/warrenvpn/warren/packet"
)

// Errors of Cut. They have no detail: the caller counts them.
var (
	// ErrMalformed means that the packet is not what its Offload says.
	ErrMalformed = errors.New("offload: packet and offload contradict each other")
	// ErrShortBuffer means that the packet does not fit.
	ErrShortBuffer = errors.New("offload: buffer too small")
)

// The room around an inner packet in a transport message, [W] 5.4.6.
const (
	headRoom = 16 // type, receiver, counter
	tailRoom = 16 // Poly1305 tag
)

const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagRST = 0x04
	flagPSH = 0x08
	flagACK = 0x10
	flagURG = 0x20
	flagCWR = 0x80
)

// Layout says how packets lie in the buffer they are cut into: each after Head
// bytes and before Tail bytes, which are left as they are, and the next one
// right behind. With Pad, a packet is followed by zeros as Pad(n, MTU) has it.
type Layout struct {
	Head, Tail int
	Pad        bool
	MTU        int // for Pad
}

// Messages is the layout of transport messages for a device with the given
// MTU: room for a message's header, the packet, its padding, room for a tag.
func Messages(mtu int) Layout { return Layout{Head: headRoom, Tail: tailRoom, Pad: true, MTU: mtu} }

// padded returns what n bytes of packet become before they are sealed.
func (l *Layout) padded(n int) int {
	if !l.Pad {
		return n
	}
	return Pad(n, l.MTU)
}

// Pad returns the length of a packet of n bytes after padding: the next
// multiple of 16, but not beyond the MTU. Of a packet larger than the MTU only
// the remainder counts, and an MTU of 0 sets no limit. [W] 5.4.6; [K] send.c,
// calculate_skb_padding.
//
// hot path
func Pad(n, mtu int) int {
	if mtu <= 0 {
		return (n + 15) &^ 15
	}
	last := n
	if last > mtu {
		last %= mtu
	}
	return n - last + min(mtu, (last+15)&^15)
}

// Cut cuts the IP packet pkt into transport messages and lays them end to end
// into dst, which does not overlap it. Every message has size bytes except the
// last, which may be shorter; there are n, in total bytes. An ordinary packet
// makes one message, with its transport checksum completed if it has to be.
//
// pkt is exactly as long as its own header says. dst may be larger than
// needed, and what Cut wrote to it before it failed is worth nothing.
//
// hot path
func Cut(dst, pkt []byte, o packet.Offload, mtu int) (size, n, total int, err error) {
	var c Cutter
	if err := c.Reset(pkt, o, Messages(mtu)); err != nil {
		return 0, 0, 0, err
	}
	size, n, total = c.Next(dst)
	if !c.Done() {
		return 0, 0, 0, ErrShortBuffer
	}
	return size, n, total, nil
}

// Cutter cuts one packet in several steps, for a buffer that may not hold all
// of its messages: a super-packet with tiny segments swells.
//
//	err := c.Reset(pkt, o, offload.Messages(mtu))
//	for !c.Done() {
//		size, n, total := c.Next(dst)
//		...
//	}
//
// The zero Cutter is done.
type Cutter struct {
	layout Layout
	pkt    []byte
	off    packet.Offload
	at     int // next byte of payload in pkt
	end    int // of pkt, as long as there is something to do; 0 when done

	// What follows is for segmented packets only.
	transport int           // offset of the TCP or UDP header
	payload   int           // offset of the first payload byte: the length of all headers
	segment   int           // payload bytes of one packet
	index     int           // of the next segment
	ip        ippkt.Partial // IPv4 header without length, identification and checksum
	l4        ippkt.Partial // pseudo-header and transport header without what varies
	id        uint16        // first IPv4 identification
	seq       uint32        // first TCP sequence number
	flags     uint16        // TCP offset and flags
}

// Done reports whether everything was cut.
func (c *Cutter) Done() bool { return c.end == 0 }

// Reset begins with pkt, which the Cutter borrows until it is done.
//
// hot path
func (c *Cutter) Reset(pkt []byte, o packet.Offload, l Layout) error {
	*c = Cutter{layout: l}
	if o.Kind == packet.Plain {
		if o.NeedsCsum && int(o.CsumStart)+int(o.CsumOffset)+2 > len(pkt) {
			return ErrMalformed
		}
		c.pkt, c.off, c.end = pkt, o, len(pkt)
		return nil
	}
	if !c.prepare(pkt, o) {
		return ErrMalformed
	}
	c.pkt, c.off, c.end, c.at = pkt, o, len(pkt), c.payload
	return nil
}

// Next cuts as many packets as dst holds, in the sense of Cut. n is 0 if there
// is nothing left, or if dst cannot hold even one.
//
// hot path
func (c *Cutter) Next(dst []byte) (size, n, total int) {
	if c.end == 0 {
		return 0, 0, 0
	}
	if c.off.Kind == packet.Plain {
		return c.plain(dst)
	}
	return c.segments(dst)
}

// hot path
func (c *Cutter) plain(dst []byte) (size, n, total int) {
	length := len(c.pkt)
	padded := c.layout.padded(length)
	total = c.layout.Head + padded + c.layout.Tail
	if total > len(dst) {
		return 0, 0, 0
	}
	b := dst[c.layout.Head : c.layout.Head+padded]
	if c.off.NeedsCsum {
		start := int(c.off.CsumStart)
		copy(b, c.pkt[:start])
		sum := ^ippkt.CopySum(b[start:], c.pkt[start:]).Fold()
		at := start + int(c.off.CsumOffset)
		if sum == 0 && c.off.CsumOffset == udpCheck {
			sum = 0xffff // RFC 768: zero would mean that there is none
		}
		binary.BigEndian.PutUint16(b[at:], sum)
	} else {
		copy(b, c.pkt)
	}
	clear(b[length:])
	c.end = 0
	return total, 1, total
}

// Offsets of the checksum in a transport header.
const (
	tcpCheck = 16
	udpCheck = 6
)

// prepare checks a super-packet and sums what its segments have in common.
//
// hot path
func (c *Cutter) prepare(pkt []byte, o packet.Offload) bool {
	if o.Segment == 0 || len(pkt) < ippkt.IPv4Size+ippkt.UDPSize || len(pkt) > packet.MaxSuper {
		return false
	}
	version := pkt[0] >> 4
	v4 := version == 4
	switch o.Kind {
	case packet.TCP4:
		if !v4 {
			return false
		}
	case packet.TCP6:
		if version != 6 {
			return false
		}
	case packet.UDP:
		if !v4 && version != 6 {
			return false
		}
	default:
		return false
	}
	if !c.findTransport(pkt, o, v4) {
		return false
	}
	header := ippkt.UDPSize
	check := udpCheck
	if o.Kind != packet.UDP {
		header, check = ippkt.TCPSize, tcpCheck
		if c.transport+header > len(pkt) {
			return false
		}
		header = int(pkt[c.transport+12]>>4) * 4
		if header < ippkt.TCPSize {
			return false
		}
	}
	c.payload = c.transport + header
	c.segment = int(o.Segment)
	if c.payload >= len(pkt) || o.NeedsCsum && int(o.CsumOffset) != check {
		return false
	}
	c.sumHeaders(pkt, o, v4, check)
	return true
}

// findTransport sets the offset of the transport header and compares the
// length in the IP header with that of pkt.
//
// hot path
func (c *Cutter) findTransport(pkt []byte, o packet.Offload, v4 bool) bool {
	least := 0
	if v4 {
		least = int(pkt[0]&0x0f) * 4
		if least < ippkt.IPv4Size || int(binary.BigEndian.Uint16(pkt[2:])) != len(pkt) {
			return false
		}
	} else {
		least = ippkt.IPv6Size
		if len(pkt) < least || least+int(binary.BigEndian.Uint16(pkt[4:])) != len(pkt) {
			return false
		}
	}
	if o.NeedsCsum {
		c.transport = int(o.CsumStart)
		if v4 && c.transport != least {
			return false
		}
		return c.transport >= least && c.transport+ippkt.UDPSize <= len(pkt)
	}
	h, ok := ippkt.Parse(pkt)
	if !ok || h.Fragment || h.More || (h.Protocol == ippkt.ProtoUDP) != (o.Kind == packet.UDP) {
		return false
	}
	c.transport = h.Transport
	return (h.Protocol == ippkt.ProtoUDP || h.Protocol == ippkt.ProtoTCP) && c.transport+ippkt.UDPSize <= len(pkt)
}

// sumHeaders computes the sums of everything that is the same in all segments.
//
// hot path
func (c *Cutter) sumHeaders(pkt []byte, o packet.Offload, v4 bool, check int) {
	if v4 {
		c.id = binary.BigEndian.Uint16(pkt[4:])
		c.ip = ippkt.Sum(pkt[:c.transport]).
			Add16(^c.id).
			Add16(^uint16(len(pkt))).
			Add16(^binary.BigEndian.Uint16(pkt[10:]))
	}
	th := pkt[c.transport:c.payload]
	was := binary.BigEndian.Uint16(th[check:])
	size := len(pkt) - c.transport
	// The sum over the whole header includes the checksum field. If that holds
	// the pseudo-header sum, only its length has to go; a routing header may
	// make it differ from what the addresses here would give.
	c.l4 = ippkt.Sum(th)
	if o.NeedsCsum {
		c.l4 = c.l4.Add16(^uint16(size))
	} else {
		c.l4 = c.l4.Add16(^was).Add(pseudo(pkt, o.Kind, v4))
	}
	if o.Kind == packet.UDP {
		c.l4 = c.l4.Add16(^binary.BigEndian.Uint16(th[4:]))
		return
	}
	c.seq = binary.BigEndian.Uint32(th[4:])
	c.flags = binary.BigEndian.Uint16(th[12:])
	c.l4 = c.l4.Add32(^c.seq).Add16(^c.flags)
}

// pseudo returns the pseudo-header's sum without the length.
func pseudo(pkt []byte, kind packet.Kind, v4 bool) ippkt.Partial {
	addresses := pkt[8:40]
	if v4 {
		addresses = pkt[12:20]
	}
	proto := uint16(ippkt.ProtoTCP)
	if kind == packet.UDP {
		proto = ippkt.ProtoUDP
	}
	return ippkt.Sum(addresses).Add16(proto)
}

// hot path
func (c *Cutter) segments(dst []byte) (size, n, total int) {
	full := c.layout.padded(c.payload + c.segment)
	size = c.layout.Head + full + c.layout.Tail
	for c.at < c.end {
		length := min(c.segment, c.end-c.at)
		padded := full
		if length < c.segment {
			padded = c.layout.padded(c.payload + length)
		}
		next := total + c.layout.Head + padded + c.layout.Tail
		if next > len(dst) {
			break
		}
		at := total + c.layout.Head
		c.put(dst[at:at+padded], length)
		total = next
		n++
	}
	if c.at >= c.end {
		c.end = 0
	}
	return min(size, total), n, total
}

// put writes the next segment, with length bytes of payload and zeros after.
//
// hot path
func (c *Cutter) put(b []byte, length int) {
	copy(b, c.pkt[:c.payload])
	sum := c.l4.Add(ippkt.CopySum(b[c.payload:], c.pkt[c.at:c.at+length]))
	size := c.payload + length
	clear(b[size:])
	c.putIP(b, size)
	th := b[c.transport:]
	l4 := uint16(size - c.transport)
	if c.off.Kind == packet.UDP {
		binary.BigEndian.PutUint16(th[4:], l4)
		// Once in the pseudo-header, once in the header.
		check := ^sum.Add16(l4).Add16(l4).Fold()
		if check == 0 {
			check = 0xffff
		}
		binary.BigEndian.PutUint16(th[udpCheck:], check)
	} else {
		seq := c.seq + uint32(c.at-c.payload)
		flags := c.flags
		if c.at != c.payload {
			flags &^= flagCWR // RFC 3168 6.1.2: said once
		}
		if c.at+length < c.end {
			flags &^= flagFIN | flagPSH
		}
		binary.BigEndian.PutUint32(th[4:], seq)
		binary.BigEndian.PutUint16(th[12:], flags)
		binary.BigEndian.PutUint16(th[tcpCheck:], ^sum.Add16(l4).Add32(seq).Add16(flags).Fold())
	}
	c.at += length
	c.index++
}

// putIP sets length, identification and checksum of the IP header.
//
// hot path
func (c *Cutter) putIP(b []byte, size int) {
	if c.pkt[0]>>4 == 6 {
		binary.BigEndian.PutUint16(b[4:], uint16(size-ippkt.IPv6Size))
		return
	}
	id := c.id + uint16(c.index)
	binary.BigEndian.PutUint16(b[2:], uint16(size))
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[10:], ^c.ip.Add16(uint16(size)).Add16(id).Fold())
}
