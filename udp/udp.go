package udp

import (
	"fmt"

	"github.com/warrenvpn/warren/packet"
)

// Network opens UDP ports of the host. The zero value is ready, and has
// everything on that the host can do.
type Network struct {
	// NoSegment switches segmented sends (UDP_SEGMENT) off.
	NoSegment bool
	// NoCoalesce switches coalesced receives (UDP_GRO) off.
	NoCoalesce bool
	// NoSteer receives everything on one socket per family.
	NoSteer bool
	// Lanes is the number of sockets for transport data per family, 0 meaning
	// one. A session always arrives on the same lane.
	Lanes int
	// KeepDF never fragments: messages larger than the path are errors. They
	// leave in fragments otherwise, as those of [K] do.
	KeepDF bool
	// Portable uses package net alone, as on systems other than Linux.
	Portable bool
}

// Port is an open UDP port.
type Port = packet.Port

// Receiver is the receiving side of one socket.
type Receiver = packet.Receiver

// maxOpenTries is how often a random port is drawn until one is free on both
// families.
const maxOpenTries = 100

// maxLanes bounds Lanes: a steering program reads one byte.
const maxLanes = 64

// Open binds number on IPv4 and IPv6. Zero asks for any number that is free on
// both. A number that is taken on either gives an error that wraps EADDRINUSE.
// Whatever is sent carries mark, if it is not zero.
func (n *Network) Open(number uint16, mark uint32) (Port, error) {
	if n.Lanes < 0 || n.Lanes > maxLanes {
		return nil, fmt.Errorf("open UDP port %d: %d lanes, want 1 to %d", number, n.Lanes, maxLanes)
	}
	if n.Portable {
		return n.openPortable(number, mark)
	}
	return n.openSystem(number, mark)
}
