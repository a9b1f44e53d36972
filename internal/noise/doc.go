// Package noise is the handshake of [W] 5.4: Noise_IKpsk2 over X25519,
// ChaCha20-Poly1305 and BLAKE2s, as values that are used once.
//
// The initiator:
//
//	pending, err := noise.Initiate(buf[:], static, remote, &ephemeral, index, stamp)
//	... send buf, receive a response ...
//	keys, err := pending.Consume(response, static, psk)
//
// The responder:
//
//	opened, err := noise.Open(static, initiation)  // who is calling? one DH
//	... find the peer of opened.Remote() ...
//	responder, err := opened.Accept(static, remote) // is it really them?
//	... check responder.Stamp() ...
//	keys, err := responder.Respond(buf[:], &ephemeral, index, psk)
//
// An order that is not this one does not compile, and there is no state to ask
// for. A step that fails leaves the value it was called on as it was, so a forged
// message cannot spoil a handshake; a step that completes the handshake erases
// it, so a duplicate cannot complete it again (B24).
//
// What the package is not: it keeps no table of peers or indices, does not
// compare timestamps, computes no mac1 or mac2 (package cookie), seals no
// transport message (package aead), reads no clock and draws no randomness: the
// caller passes ephemeral keys and indices.
//
// Ownership. A Static may be used by many goroutines at once until Clear. Every
// other value belongs to one goroutine. Every type here holds secrets: each has
// Clear, prints as "(redacted)" and has no ==. The caller clears the ephemeral
// keys it passed in.
//
// In comments, tokens and functions have the names of [N], and "C", "H" and "k"
// are the chaining key, the hash and the message key of [W] 5.4.
package noise
