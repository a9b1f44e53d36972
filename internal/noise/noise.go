package noise

import (
	"crypto/cipher"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/warrenvpn/warren/internal/x25519"
	"github.com/warrenvpn/warren/key"
)

// Why a handshake step failed. None of them is ever told to the network; they
// are for counters and diagnostics.
var (
	// ErrAuthentication: a field does not open. The message is forged or
	// damaged, meant for somebody else, or made with another preshared key.
	ErrAuthentication = errors.New("noise: message does not authenticate")
	// ErrLowOrder: a Diffie-Hellman result is all zeros, so the peer's static or
	// ephemeral public key is a point of low order.
	ErrLowOrder = errors.New("noise: public key is a point of low order")
	// ErrCleared: the handshake is over, or the key was cleared.
	ErrCleared = errors.New("noise: handshake or key is cleared")
	// ErrMismatch: the step was given another peer or another handshake's message.
	ErrMismatch = errors.New("noise: message belongs to another peer or handshake")
)

// Static is the local identity: the static key pair and what depends only on it.
type Static struct {
	secret
	private [key.Size]byte
	live    bool // not cleared
	public  key.Public
	hash    [hashSize]byte // HASH(H0 || public): where every initiation to us begins
}

// NewStatic returns the identity of k, or nil if k is zero: without a private
// key there are no handshakes. [K] noise.c
func NewStatic(k *key.Private) *Static {
	if k.IsZero() {
		return nil
	}
	s := &Static{private: *k.RevealBytes(), live: true}
	x25519.Base((*[key.Size]byte)(&s.public), &s.private)
	s.hash = hashTo(&s.public)
	return s
}

// Public returns the public key.
func (s *Static) Public() key.Public { return s.public }

// Clear overwrites the private key; every later step with s fails. No step may be
// running.
func (s *Static) Clear() {
	wipe(s.private[:])
	s.live = false
}

// Remote is what is known of a peer: its public key and, after the first
// handshake, the product of both static keys, which saves one multiplication per
// handshake and is as secret as a private key. It belongs to one goroutine.
type Remote struct {
	secret
	public key.Public
	ss     [key.Size]byte // DH(S_i, S_r), if with is set
	with   *Static        // the identity ss was computed with
}

// NewRemote returns the peer with this public key. It multiplies nothing, so that
// many peers are configured quickly, and a key of low order is refused only by
// handshakes. [K] noise.c
func NewRemote(public key.Public) *Remote { return &Remote{public: public} }

// Public returns the peer's public key.
func (r *Remote) Public() key.Public { return r.public }

// Clear forgets the static-static product; it is computed again when needed.
func (r *Remote) Clear() {
	wipe(r.ss[:])
	r.with = nil
}

// isFor reports whether r.ss is the product with s.
func (r *Remote) isFor(s *Static) bool { return r.with == s && s.live }

// precompute makes r.ss valid for s.
func (r *Remote) precompute(s *Static) error {
	if r.isFor(s) {
		return nil
	}
	r.Clear()
	if err := multiply(s, r.staticStatic(s)); err != nil {
		return err
	}
	r.with = s
	return nil
}

// staticStatic is the product that r keeps.
func (r *Remote) staticStatic(s *Static) x25519.Product {
	return x25519.Product{Scalar: &s.private, Point: (*[key.Size]byte)(&r.public), Result: &r.ss}
}

// multiply makes products, all in one call as that costs little more than one.
// s is the identity they are for, whether or not its key is in one of them.
//
// A result of all zeros, which a point of low order gives whatever the private
// key is, ends the handshake: otherwise a peer could force a key that everybody
// knows (B34). No result is written then.
func multiply(s *Static, products ...x25519.Product) error {
	if !s.live {
		return ErrCleared
	}
	if x25519.Multiply(products...) != nil {
		return ErrLowOrder
	}
	return nil
}

// Keys are the transport keys of a session, from our point of view. [W] 5.4.5
type Keys struct {
	secret
	Send, Receive [key.Size]byte
}

// Clear overwrites the keys.
func (k *Keys) Clear() {
	wipe(k.Send[:])
	wipe(k.Receive[:])
}

func newCipher(k *[key.Size]byte) cipher.AEAD {
	c, err := chacha20poly1305.New(k[:])
	if err != nil {
		panic("noise: 32 bytes refused as a key")
	}
	return c
}

// point is the field of a message that holds a public key.
func point(field []byte) *[key.Size]byte { return (*[key.Size]byte)(field) }
