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
	Queues() []Queue
	// Events tells of the link's changes, first of all its present state
	// (LinkUp or LinkDown). It is closed after LinkGone and by Close.
	Events() <-chan packet.LinkEvent
	// Close makes pending and later calls of the queues return os.ErrClosed
	// (or net.ErrClosed) and removes the interface if it is not persistent.
	Close() error
}

// Queue is one packet queue of a TUN.
type Queue interface {
	// Read blocks until there is a packet, then fills as many of batch as are
	// there without blocking again, and returns how many. It sets Off, N and
	// Offload of each; Off leaves at least 16 bytes in front of the packet.
	// An error that is not os.ErrClosed or net.ErrClosed is passing: the
	// caller counts it and reads on.
	Read(batch []packet.Super) (int, error)
	// Write hands one packet to the system: the concatenation of parts, which
	// it does not keep. A packet with an Offload it cannot take is cut first.
	Write(o packet.Offload, parts [][]byte) error
}

// Network opens the UDP sockets of a device. Package udp makes them.
type Network interface {
	// Open binds port on IPv4 and IPv6, on whichever of them the host has. Port
	// 0 asks for any port that is free on both. mark is the fwmark, 0 for none.
	Open(port uint16, mark uint32) (Port, error)
}

// Port is an open UDP port: a set of sockets with one port number.
type Port interface {
	Number() uint16
	// Receivers returns what is to be drained, each by one goroutine.
	Receivers() []Receiver
	// Send sends runs in order. It falls back from a segmented send to single
	// ones by itself, and forgets a Local that does not exist any more. It
	// tries all runs and returns the first error. Safe for concurrent use.
	Send(runs []packet.Run) error
	SetMark(mark uint32) error
	// Close makes every Receive return net.ErrClosed.
	Close() error
}

// Receiver is one socket's receiving side.
type Receiver interface {
	// Receive blocks until there is a datagram, then fills as many of batch as
	// are there without blocking again, and returns how many. An error that is
	// not net.ErrClosed is passing.
	Receive(batch []packet.Datagram) (int, error)
	// Handshake reports whether only handshake messages are steered here, so
	// that it may be drained at low priority.
	Handshake() bool
}
