// Package packet defines the values that cross between TUN devices, sockets
// and the device engine: where a datagram comes from or goes to, and the
// memory it lives in. It performs no I/O and parses nothing.
//
// Memory and ownership. A batch (a slice of Super or of Datagram) belongs to
// one goroutine. The buffers in it are allocated once by that goroutine and
// lent to the driver for the duration of a Read or Receive; what the driver
// filled in is valid until the next call with the same batch. A Run borrows
// its bytes from the caller for the duration of one Send.
package packet

import "net/netip"

// MaxSuper is the largest IP packet, coalesced or not, that a TUN or a socket
// hands over or takes, in bytes.
const MaxSuper = 65535

// Endpoint is where the datagrams of a peer go and where they left from: a
// comparable value.
type Endpoint struct {
	// Remote is the peer's outer address and port. IPv4 is never in its
	// IPv6-mapped form; a link-local address keeps its zone.
	Remote netip.AddrPort
	// Local is the address the peer used for us, to be used as source
	// (sticky source, [K] socket.c). Invalid: the kernel chooses.
	Local netip.Addr
	// Epoch is the socket's routing epoch at which Local was learnt. A socket
	// puts Local to the test once its epoch has moved on.
	Epoch uint32
}

// IsValid reports whether the endpoint has a remote address.
func (e Endpoint) IsValid() bool { return e.Remote.IsValid() }

// WithoutSource returns e with the learnt local address forgotten.
func (e Endpoint) WithoutSource() Endpoint { return Endpoint{Remote: e.Remote} }

// Datagram is one receive from a socket: one message, or several of one size
// from one sender that the kernel coalesced (GRO).
type Datagram struct {
	Buf     []byte   // backing memory of fixed size, owned by the batch
	N       int      // bytes received, 0 <= N <= len(Buf)
	Segment int      // size of every message but the last, which may be shorter; N when there is one
	From    Endpoint // sender, and the local address it used
	TOS     byte     // outer traffic class: DSCP and ECN
}

// Run is a list of messages to one endpoint, laid end to end. All have the
// size Segment except the last, which may be shorter. It becomes one segmented
// send where the kernel can do that.
type Run struct {
	Buf     []byte
	Segment int
	To      Endpoint
	TOS     byte
	// HopLimit is the outer TTL or hop limit, as far as the system lets it be
	// chosen; 0 leaves the default.
	HopLimit uint8
}

// Kind says how an oversized IP packet is to be cut, or was joined.
type Kind uint8

// The kinds of segmentation offload.
const (
	Plain Kind = iota // an ordinary packet
	TCP4              // TCP over IPv4
	TCP6              // TCP over IPv6
	UDP               // UDP over either family (USO)
)

// Offload is what the virtio-net header of a TUN says of one packet.
type Offload struct {
	Kind       Kind
	NeedsCsum  bool   // the transport checksum holds only the pseudo-header sum
	Segment    uint16 // transport payload bytes per segment, if Kind is not Plain
	CsumStart  uint16 // where summing begins, if NeedsCsum
	CsumOffset uint16 // where the sum is stored, from CsumStart
}

// Super is one IP packet read from a TUN, up to 64 KiB when Offload says so.
type Super struct {
	Buf     []byte // backing memory of fixed size, owned by the batch
	Off     int    // where the packet begins in Buf
	N       int    // its length
	Offload Offload
}

// Bytes returns the packet.
func (s *Super) Bytes() []byte { return s.Buf[s.Off : s.Off+s.N] }

// LinkEvent is a change of a network interface.
type LinkEvent struct {
	Kind LinkEventKind
	MTU  int // for MTUChanged, in bytes
}

// LinkEventKind names what happened to an interface.
type LinkEventKind uint8

// The link events.
const (
	LinkUp LinkEventKind = iota + 1
	LinkDown
	MTUChanged
	LinkGone // the interface was deleted; nothing follows
)
