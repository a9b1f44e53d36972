package bench

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/warrenvpn/warren/internal/ippkt"
)

// echoInterval is how far echoes are apart.
const echoInterval = 2 * time.Millisecond

// echoes are round trips.
type echoes struct {
	times []float64 // in seconds
	sent  int
}

// add appends other round trips.
func (e *echoes) add(other *echoes) {
	e.times = append(e.times, other.times...)
	e.sent += other.sent
}

// sorted returns the times from the shortest to the longest.
func (e *echoes) sorted() []float64 { return slices.Sorted(slices.Values(e.times)) }

// The types of ICMP messages, RFC 792.
const (
	icmpReply   = 0
	icmpRequest = 8
)

// encodeEcho returns an echo request with 48 bytes of data.
func encodeEcho(id, sequence uint16) []byte {
	b := make([]byte, 8+48)
	b[0] = icmpRequest
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], sequence)
	binary.BigEndian.PutUint16(b[2:], ippkt.Checksum(b))
	return b
}

// decodeEcho returns which of our requests an IPv4 packet answers.
func decodeEcho(packet []byte, id uint16) (sequence uint16, ok bool) {
	if len(packet) < 20 {
		return 0, false
	}
	n := int(packet[0]&0xf) * 4
	if n < 20 || len(packet) < n+8 {
		return 0, false
	}
	b := packet[n:]
	if b[0] != icmpReply || binary.BigEndian.Uint16(b[4:]) != id {
		return 0, false
	}
	return binary.BigEndian.Uint16(b[6:]), true
}
