// Package ippkt reads and patches the headers of inner IP packets: one
// bounds-checked Parse, checksums, ECN of RFC 6040, and the ICMP errors a
// tunnel owes the sender of a packet it cannot carry.
//
// It works on bytes the caller owns, keeps nothing, allocates nothing and
// performs no I/O. It is not a protocol stack: fragments are recognised, never
// reassembled, and a checksum of a received packet is never verified, since an
// authenticated packet cannot have changed on its way.
//
//	h, ok := ippkt.Parse(plaintext)
//	if !ok {
//		drop(malformed)
//	}
//	inner := plaintext[:h.Length] // without the padding of [W] 5.4.6
//	if owner(h.Src) != peer {
//		drop(notAllowed)
//	}
//
// All arithmetic on lengths from the wire is done in int and compared with the
// number of bytes at hand before anything is sliced.
package ippkt
