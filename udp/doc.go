// Package udp opens the UDP sockets of a WireGuard device.
//
// A Port is one port number on IPv4 and IPv6: whichever of them the host has.
// On Linux it sends a Run as one segmented datagram (UDP_SEGMENT) and receives
// coalesced ones (UDP_GRO), many of them with one system call; it answers from
// the address that was contacted for as long as that address and the route from
// it last (sticky source); and it keeps handshakes and transport data apart on
// two sockets of one port, so that a flood of the first cannot fill the buffer
// of the second. Whatever of this the kernel refuses is left out, and a
// segmented send that fails, for whatever reason, is repeated in single
// datagrams at once.
//
//	port, err := new(udp.Network).Open(51820, 0)
//	for _, r := range port.Receivers() {
//		go receive(r)
//	}
//	err = port.Send([]packet.Run{{Buf: messages, Segment: 1452, To: peer}})
//
// Elsewhere it is plain sockets of package net: it works, without any of the
// above, and a mark gives errors.ErrUnsupported.
//
// The package does not look into messages, but for the type and receiver index
// that steer them to a socket. It keeps no state of peers beyond two bounded
// tables: to whom segmented sends failed, and over which interface a learnt
// source address sends.
//
// Ownership. The sockets belong to the Port, and are closed after the last
// call into it has returned, so that no descriptor is used after it was given
// away (Close waits for that; it wakes every Receive and every Send that
// waits). A batch belongs to the one goroutine that calls Receive. One
// goroutine of the Port follows the routing of the host; Close waits for it.
//
// Package udptest has an in-memory network with the same interface.
package udp
