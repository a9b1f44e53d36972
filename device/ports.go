package device

import "github.com/warrenvpn/warren/packet"

// TUN is a layer-3 network interface. Package tun makes them; any
// implementation will do.
type TUN interface {
	Name() string
	// MTU is the present MTU in bytes.
	MTU() int
	// Queues returns the packet queues, at least one. Each is driven by one
	// reading goroutine; Write may be called from several.
	Queues() []packet.Queue
	// Events tells of the link's changes, first of all its present state
	// (LinkUp or LinkDown). It is closed after LinkGone and by Close.
	Events() <-chan packet.LinkEvent
	// Close makes pending and later calls of the queues return os.ErrClosed
	// (or net.ErrClosed) and removes the interface if it is not persistent.
	Close() error
}

// Joiner may be implemented by a TUN that takes super-packets.
type Joiner interface {
	// Joins says which protocols are worth joining into super-packets, and the
	// largest packet to make. It may change while the TUN is in use.
	Joins() (tcp, udp bool, limit int)
}

// Network opens the UDP sockets of a device. Package udp makes them.
type Network interface {
	// Open binds port on IPv4 and IPv6, on whichever of them the host has. Port
	// 0 asks for any port that is free on both. mark is the fwmark, 0 for none.
	// An error names the port, as "open UDP port 51820: address already in use".
	Open(port uint16, mark uint32) (packet.Port, error)
}
