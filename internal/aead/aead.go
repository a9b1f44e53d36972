// Package aead is the transport cipher of [W] 5.4.6: ChaCha20-Poly1305
// (RFC 8439) with a 64-bit counter as nonce and no associated data.
//
// It offers only what transport messages need, so that faster kernels can be
// put behind the same four calls. It is not a general AEAD: the handshake uses
// x/crypto directly. A Key holds a secret; its owner calls Clear.
package aead

import (
	"crypto/cipher"
	"encoding/binary"
	"log/slog"
	"unsafe"

	"golang.org/x/crypto/chacha20poly1305"
)

// Overhead is the size of the authentication tag in bytes.
const Overhead = chacha20poly1305.Overhead

// Key seals or opens the transport messages of one direction of a session. It
// is safe for concurrent use until Clear.
type Key struct {
	c cipher.AEAD
}

// New returns the key for k, which the caller may clear afterwards.
func New(k *[32]byte) *Key {
	c, err := chacha20poly1305.New(k[:])
	if err != nil {
		panic("aead: 32 bytes refused as a key")
	}
	return &Key{c: c}
}

// Seal appends ciphertext and tag of plaintext to dst and returns the result.
// plaintext may be dst[len(dst):] so that sealing happens in place.
//
// hot path
func (k *Key) Seal(dst, plaintext []byte, counter uint64) []byte {
	var nonce [chacha20poly1305.NonceSize]byte
	binary.LittleEndian.PutUint64(nonce[4:], counter)
	return k.c.Seal(dst, borrow(&nonce), plaintext, nil)
}

// Open appends the plaintext of ciphertext to dst and returns the result. It
// may work in place. If the tag is wrong it returns false, and what it wrote
// is zeroed.
//
// hot path
func (k *Key) Open(dst, ciphertext []byte, counter uint64) ([]byte, bool) {
	var nonce [chacha20poly1305.NonceSize]byte
	binary.LittleEndian.PutUint64(nonce[4:], counter)
	p, err := k.c.Open(dst, borrow(&nonce), ciphertext, nil)
	return p, err == nil
}

// Clear overwrites the key. No Seal or Open may run at the same time or later.
func (k *Key) Clear() {
	// x/crypto gives no way to erase its copy. Invariant: the dynamic type of
	// k.c is a pointer to a struct that begins with the 32 key bytes; a test
	// holds that to be true.
	type words struct{ typ, data unsafe.Pointer }
	clear((*[chacha20poly1305.KeySize]byte)((*words)(unsafe.Pointer(&k.c)).data)[:])
}

// borrow makes a slice of nonce that escape analysis cannot follow, so that the
// call through cipher.AEAD allocates nothing. Invariant: x/crypto keeps no
// reference to its nonce.
//
//go:nocheckptr
func borrow(nonce *[chacha20poly1305.NonceSize]byte) []byte {
	p := uintptr(unsafe.Pointer(nonce))
	return (*[chacha20poly1305.NonceSize]byte)(unsafe.Add(nil, p))[:]
}

// String hides the key.
func (*Key) String() string { return "(redacted)" }

// LogValue hides the key.
func (*Key) LogValue() slog.Value { return slog.StringValue("(redacted)") }
