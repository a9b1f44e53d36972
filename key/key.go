// Package key holds the three kinds of key a user of the protocol handles:
// private, public and preshared, each 32 bytes.
//
// They are separate types so that one cannot be passed for another. A Public
// is an ordinary comparable value. Private and Preshared are secrets: they are
// not comparable with ==, every formatting verb prints "(redacted)", and their
// bytes leave only through the methods named Reveal.
//
// The package does no Diffie-Hellman beyond deriving a public key; the
// handshake is package internal/noise.
package key

import (
	"crypto/ecdh"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Size is the length of every key in bytes.
const Size = 32

// ErrFormat says that a text is not a key. Parse errors wrap it.
var ErrFormat = errors.New("key is not the correct length or format")

const redacted = "(redacted)"

// Public is a Curve25519 public key: the identity of a peer.
type Public [Size]byte

// Private is a clamped Curve25519 private key. The zero value means "no key".
type Private struct {
	_ [0]func() // a secret has no ==
	b [Size]byte
}

// Preshared is the optional symmetric key of [W] 5.4. The zero value means
// "none", which the protocol treats as 32 zero bytes.
type Preshared struct {
	_ [0]func()
	b [Size]byte
}

// ParsePublic reads the 44-character base64 form.
func ParsePublic(s string) (Public, error) {
	b, err := decodeBase64(s)
	return Public(b), err
}

// ParsePrivate reads the 44-character base64 form and clamps the key.
func ParsePrivate(s string) (Private, error) {
	b, err := decodeBase64(s)
	if err != nil {
		return Private{}, err
	}
	return NewPrivate(b), nil
}

// ParsePreshared reads the 44-character base64 form.
func ParsePreshared(s string) (Preshared, error) {
	b, err := decodeBase64(s)
	return Preshared{b: b}, err
}

// ParsePublicHex reads 64 hexadecimal digits of either case.
func ParsePublicHex(s string) (Public, error) {
	b, err := decodeHex(s)
	return Public(b), err
}

// ParsePrivateHex reads 64 hexadecimal digits of either case and clamps the key.
func ParsePrivateHex(s string) (Private, error) {
	b, err := decodeHex(s)
	if err != nil {
		return Private{}, err
	}
	return NewPrivate(b), nil
}

// ParsePresharedHex reads 64 hexadecimal digits of either case.
func ParsePresharedHex(s string) (Preshared, error) {
	b, err := decodeHex(s)
	return Preshared{b: b}, err
}

// NewPrivate clamps b as Curve25519 requires. All zeros stay all zeros, which
// means "no key".
func NewPrivate(b [Size]byte) Private {
	if b == ([Size]byte{}) {
		return Private{}
	}
	b[0] &= 248
	b[31] = b[31]&127 | 64
	return Private{b: b}
}

// NewPreshared wraps the 32 bytes of a preshared key.
func NewPreshared(b [Size]byte) Preshared { return Preshared{b: b} }

// GeneratePrivate reads a new private key from rand.
func GeneratePrivate(rand io.Reader) (Private, error) {
	var b [Size]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return Private{}, fmt.Errorf("generate private key: %w", err)
	}
	return NewPrivate(b), nil
}

// GeneratePreshared reads a new preshared key from rand.
func GeneratePreshared(rand io.Reader) (Preshared, error) {
	var b [Size]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return Preshared{}, fmt.Errorf("generate preshared key: %w", err)
	}
	return Preshared{b: b}, nil
}

// String returns the base64 form.
func (k Public) String() string { return encodeBase64(k) }

// Hex returns 64 lower-case hexadecimal digits.
func (k Public) Hex() string { return hex.EncodeToString(k[:]) }

// IsZero reports whether k is all zeros.
func (k Public) IsZero() bool { return k == Public{} }

// Public derives the public key. The zero private key has the zero public key.
func (k *Private) Public() Public {
	if k.IsZero() {
		return Public{}
	}
	p, err := ecdh.X25519().NewPrivateKey(k.b[:])
	if err != nil {
		panic("key: 32 bytes refused as a private key")
	}
	return Public(p.PublicKey().Bytes())
}

// IsZero reports, in constant time, whether no key is set.
func (k *Private) IsZero() bool { return isZero(&k.b) }

// Equal compares in constant time.
func (k *Private) Equal(o *Private) bool { return subtle.ConstantTimeCompare(k.b[:], o.b[:]) == 1 }

// Reveal returns the base64 form of the secret.
func (k *Private) Reveal() string { return encodeBase64(k.b) }

// RevealHex returns the hexadecimal form of the secret.
func (k *Private) RevealHex() string { return hex.EncodeToString(k.b[:]) }

// RevealBytes returns the secret itself; the array belongs to k.
func (k *Private) RevealBytes() *[Size]byte { return &k.b }

// Clear overwrites the secret.
func (k *Private) Clear() { clear(k.b[:]) }

// IsZero reports, in constant time, whether the key is "none".
func (k *Preshared) IsZero() bool { return isZero(&k.b) }

// Equal compares in constant time.
func (k *Preshared) Equal(o *Preshared) bool {
	return subtle.ConstantTimeCompare(k.b[:], o.b[:]) == 1
}

// Reveal returns the base64 form of the secret.
func (k *Preshared) Reveal() string { return encodeBase64(k.b) }

// RevealHex returns the hexadecimal form of the secret.
func (k *Preshared) RevealHex() string { return hex.EncodeToString(k.b[:]) }

// RevealBytes returns the secret itself; the array belongs to k.
func (k *Preshared) RevealBytes() *[Size]byte { return &k.b }

// Clear overwrites the secret.
func (k *Preshared) Clear() { clear(k.b[:]) }

// String hides the key.
func (Private) String() string { return redacted }

// GoString hides the key.
func (Private) GoString() string { return redacted }

// Format hides the key from every verb.
func (Private) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue hides the key.
func (Private) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the key, from JSON too.
func (Private) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// String hides the key.
func (Preshared) String() string { return redacted }

// GoString hides the key.
func (Preshared) GoString() string { return redacted }

// Format hides the key from every verb.
func (Preshared) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue hides the key.
func (Preshared) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the key, from JSON too.
func (Preshared) MarshalText() ([]byte, error) { return []byte(redacted), nil }

func isZero(b *[Size]byte) bool {
	var acc byte
	for _, v := range b {
		acc |= v
	}
	return acc == 0
}
