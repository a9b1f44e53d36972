package udp

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// The form of netlink messages: a header (length, type, flags, sequence number,
// port), a fixed structure, and attributes (length, type, data), all aligned to
// four bytes and in the host's byte order.

// netlinkMessage is one message. Its body is borrowed.
type netlinkMessage struct {
	kind uint16
	seq  uint32 // of the question it answers, or whose effect it reports
	to   uint32 // netlink address of who asked
	body []byte
}

// eachMessage calls f for the messages in b. What is malformed ends them.
func eachMessage(b []byte, f func(netlinkMessage)) {
	for len(b) >= unix.NLMSG_HDRLEN {
		n := int(binary.NativeEndian.Uint32(b))
		if n < unix.NLMSG_HDRLEN || n > len(b) {
			return
		}
		f(netlinkMessage{
			kind: binary.NativeEndian.Uint16(b[4:]),
			seq:  binary.NativeEndian.Uint32(b[8:]),
			to:   binary.NativeEndian.Uint32(b[12:]),
			body: b[unix.NLMSG_HDRLEN:n],
		})
		b = b[min(align4(n), len(b)):]
	}
}

// attributeFlags are the bits of an attribute's type that are not its number.
const attributeFlags = unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER

// eachAttribute calls f for the attributes in b. What is malformed ends them.
func eachAttribute(b []byte, f func(kind uint16, data []byte)) {
	for len(b) >= unix.SizeofRtAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			return
		}
		f(binary.NativeEndian.Uint16(b[2:])&^attributeFlags, b[unix.SizeofRtAttr:n])
		b = b[min(align4(n), len(b)):]
	}
}

func align4(n int) int { return (n + 3) &^ 3 }

// appendHeader begins a message, which finishMessage completes.
func appendHeader(b []byte, kind, flags uint16, seq uint32) []byte {
	b = append(b, 0, 0, 0, 0)
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	return append(b, 0, 0, 0, 0)
}

// finishMessage stores the length of the one message in b.
func finishMessage(b []byte) { binary.NativeEndian.PutUint32(b, uint32(len(b))) }

func appendAttribute(b []byte, kind uint16, data []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(data)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
