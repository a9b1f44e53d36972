// Package offload turns the super-packets of a TUN with segmentation offload
// into tunnel messages, and the packets of received messages into
// super-packets.
//
// Cut copies and sums a packet in one pass, straight to where its messages are
// sealed and sent from: the bytes of the tunnel's data are copied once. What it
// makes is what the kernel's own segmentation would make ([K] tcp_offload.c,
// udp_offload.c), because the receiver cannot tell a tunnel that cuts from one
// that lets the kernel do it.
//
// A Joiner is the way back: neighbours of one flow become one super-packet that
// is handed over as a list of slices, without copying a payload and without
// summing it. Its packets come out of messages whose tag was right, so their
// checksums are what their sender computed; the super-packet says that its
// checksum is to be filled in ([K] does so too), and one whose sum was wrong
// at its sender is thereby repaired.
//
// Everything here is pure and the same on every system. Slices are borrowed:
// Cut keeps none after it returns, a Joiner keeps those it was given until
// Flush, and it writes into the first header of what it joins.
package offload
