// Package wire describes the four message types of [W] 5.4 as views over the
// bytes of a datagram, and holds every constant of the protocol.
//
// A view is a slice type: converting a datagram to it copies nothing, and its
// getters return sub-slices of that datagram. Convert only what [Classify]
// accepted; the getters rely on its size check and do not repeat it. A view
// owns no memory and is valid as long as the datagram is.
//
// The package computes nothing: no hash, no cipher, no clock. Package noise
// fills in and checks the encrypted fields, package cookie the two MACs.
//
//	switch t, ok := wire.Classify(datagram); {
//	case !ok:
//		// drop silently
//	case t == wire.TypeInitiation:
//		sender := wire.Initiation(datagram).SenderIndex()
//		...
//	}
package wire
