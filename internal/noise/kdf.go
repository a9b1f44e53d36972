package noise

import "github.com/warrenvpn/warren/internal/blake2s"

// hashSize is the length of HASH, HMAC and every KDF output.
const hashSize = blake2s.Size

// kdf is KDFn of [W] 5.4 with n = len(outs), which is HKDF (RFC 5869) without
// the info field: T0 = HMAC(key, input), Ti = HMAC(T0, Ti-1 || i). An output may
// be key or input: all outputs are written after both were read.
func kdf(key *[hashSize]byte, input []byte, outs ...*[hashSize]byte) {
	var k blake2s.HMAC
	var t0 [hashSize]byte
	if k.SetKey(key); len(input) == 0 {
		k.Nothing(&t0, key)
	} else {
		k.Sum(&t0, input, nil)
	}
	expand(&t0, outs...)
	k.Clear()
}

// kdfWith is kdf with a key that is kept, and an input.
func kdfWith(key *blake2s.HMAC, input []byte, outs ...*[hashSize]byte) {
	var t0 [hashSize]byte
	key.Sum(&t0, input, nil)
	expand(&t0, outs...)
}

// expand makes the outputs and overwrites T0.
func expand(t *[hashSize]byte, outs ...*[hashSize]byte) {
	var k blake2s.HMAC
	k.SetKey(t)
	for i, out := range outs {
		before := t[:]
		if i == 0 {
			before = nil // T1 = HMAC(T0, 1): there is no output before the first
		}
		k.Sum(t, before, []byte{byte(i + 1)})
		*out = *t
	}
	wipe(t[:])
	k.Clear()
}

// wipe overwrites b. It is not inlined, so that the compiler cannot find the
// stores to be useless when b is about to go out of scope.
//
//go:noinline
func wipe(b []byte) { clear(b) }
