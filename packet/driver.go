package packet

// Queue is one packet queue of a TUN. Read is called by one goroutine at a
// time, Write by several.
type Queue interface {
	// Read blocks until there is a packet, then fills as many of batch as are
	// there without blocking again, and returns how many. It sets Off, N and
	// Offload of each; Off leaves at least 16 bytes in front of the packet.
	// An error that is not os.ErrClosed or net.ErrClosed is passing: the
	// caller counts it and reads on.
	Read(batch []Super) (int, error)
	// Write hands one packet to the system: the concatenation of parts, which
	// it does not keep. A packet with an Offload it cannot take is cut first.
	Write(o Offload, parts [][]byte) error
}

// Port is an open UDP port: a set of sockets with one port number.
type Port interface {
	// Number returns the port number.
	Number() uint16
	// Receivers returns what is to be drained, each by one goroutine.
	Receivers() []Receiver
	// Send sends runs in order. It falls back from a segmented send to single
	// ones by itself, and forgets a Local that does not exist any more. It
	// tries all runs and returns the first error. Safe for concurrent use.
	Send(runs []Run) error
	// SetMark changes the mark (SO_MARK) of what is sent from now on.
	SetMark(mark uint32) error
	// Close makes every Receive return net.ErrClosed, and returns when the
	// port is free again.
	Close() error
}

// Receiver is the receiving side of one socket.
type Receiver interface {
	// Receive blocks until there is a datagram, then fills as many of batch as
	// are worth one go and there without blocking again, and returns how many.
	// An error that is not net.ErrClosed is passing.
	Receive(batch []Datagram) (int, error)
	// Handshake reports whether handshake messages alone are steered here. Data
	// comes only before steering works, or coalesced behind one of them.
	Handshake() bool
}
