// Package blake2s has what the protocol does with BLAKE2s (RFC 7693): HASH, MAC
// and HMAC, as the paper calls them.
//
// A handshake compresses about ninety blocks, many of them again and again: the
// two pads of an HMAC for each of its outputs, a key block for each message. So
// what a key makes of the initial state is kept as a value, which hash.Hash has
// no way to do. Nothing is allocated.
//
// It is plain Go, as the ordinary units of a processor do this better than its
// vectors: see compress. It is not a general BLAKE2s: no other lengths of results,
// no salts, no trees.
package blake2s
