package noise

import (
	"golang.org/x/crypto/blake2s"
)

// hashSize is the length of HASH, HMAC and every KDF output.
const hashSize = blake2s.Size

// maxHMACMessage is the longest message hmac takes: an output and a counter
// byte, or a key, whichever is more.
const maxHMACMessage = hashSize + 1

// hmac sets out to HMAC-BLAKE2s of message under key (RFC 2104). out may be key.
// All messages here are short, so both hashes are one-shot over a buffer on the
// stack and nothing is allocated.
func hmac(out, key *[hashSize]byte, message []byte) {
	if len(message) > maxHMACMessage {
		panic("noise: hmac message too long")
	}
	var inner [blake2s.BlockSize + maxHMACMessage]byte
	var outer [blake2s.BlockSize + hashSize]byte
	for i := range blake2s.BlockSize {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, b := range key {
		inner[i] ^= b
		outer[i] ^= b
	}
	n := blake2s.BlockSize + copy(inner[blake2s.BlockSize:], message)
	sum := blake2s.Sum256(inner[:n])
	copy(outer[blake2s.BlockSize:], sum[:])
	*out = blake2s.Sum256(outer[:])
	wipe(inner[:])
	wipe(outer[:])
	wipe(sum[:])
}

// kdf is KDFn of [W] 5.4 with n = len(outs), which is HKDF (RFC 5869) without
// the info field: T0 = HMAC(key, input), Ti = HMAC(T0, Ti-1 || i). An output may
// be key or input: all outputs are written after both were read.
func kdf(key *[hashSize]byte, input []byte, outs ...*[hashSize]byte) {
	var t0 [hashSize]byte
	var message [maxHMACMessage]byte // Ti-1 || i
	t := (*[hashSize]byte)(message[:hashSize])
	hmac(&t0, key, input)
	for i, out := range outs {
		n := hashSize
		if i == 0 {
			n = 0 // T1 = HMAC(T0, 1): there is no output before the first
		}
		message[n] = byte(i + 1)
		hmac(t, &t0, message[:n+1])
		*out = *t
	}
	wipe(t0[:])
	wipe(message[:])
}

// wipe overwrites b. It is not inlined, so that the compiler cannot find the
// stores to be useless when b is about to go out of scope.
//
//go:noinline
func wipe(b []byte) { clear(b) }
