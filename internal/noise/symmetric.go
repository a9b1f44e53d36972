package noise

import (
	"reflect"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/warrenvpn/warren/internal/blake2s"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
)

// initialChain is C0 = HASH(construction), initialHash is H0 = HASH(C0 || identifier).
var (
	initialChain = blake2s.Sum([]byte(wire.Construction), nil)
	initialHash  = blake2s.Sum(initialChain[:], []byte(wire.Identifier))
)

// initialKey is C0 as a key. Every handshake begins with it, and nothing is
// secret about it.
var initialKey = func() (k blake2s.HMAC) {
	k.SetKey(&initialChain)
	return k
}()

// zeroNonce is the nonce of every handshake field: each key seals only one.
var zeroNonce [chacha20poly1305.NonceSize]byte

// symmetric is what both sides mix everything into, [N] 5.2's SymmetricState.
//
// Sealing goes through an interface, so a symmetric being worked on is on the
// heap. Each step therefore works on one of its own, copies the outcome to the
// value it returns and clears its own.
type symmetric struct {
	chain [hashSize]byte // C, the chaining key
	hash  [hashSize]byte // H, of everything said so far
	key   [hashSize]byte // k, seals the next field
}

// begin returns the state of a handshake towards a responder after its first
// token: C = C0, H = HASH(H0 || Spub_r), which hashTo gave, and then the
// initiator's ephemeral key as in mixEphemeral.
func begin(to [hashSize]byte, public []byte) *symmetric {
	y := &symmetric{hash: to}
	kdfWith(&initialKey, public, &y.chain)
	y.mixHash(public)
	return y
}

// hashTo returns HASH(H0 || Spub): the first thing hashed is to whom it is said.
func hashTo(responder *key.Public) [hashSize]byte {
	return blake2s.Sum(initialHash[:], responder[:])
}

// mixHash: H = HASH(H || data).
func (y *symmetric) mixHash(data []byte) {
	y.hash = blake2s.Sum(y.hash[:], data)
}

// mixEphemeral: C = KDF1(C, Epub); H = HASH(H || Epub). Token e: with a psk token
// in the pattern, ephemeral keys go into the chaining key too. [N] 9.2
func (y *symmetric) mixEphemeral(public []byte) {
	kdf(&y.chain, public, &y.chain)
	y.mixHash(public)
}

// mixChain: C = KDF1(C, shared), for a product after which no field is sealed.
func (y *symmetric) mixChain(shared *[key.Size]byte) {
	kdf(&y.chain, shared[:], &y.chain)
}

// mixKey: (C, k) = KDF2(C, shared).
func (y *symmetric) mixKey(shared *[key.Size]byte) {
	kdf(&y.chain, shared[:], &y.chain, &y.key)
}

// mixPreshared: (C, t, k) = KDF3(C, Q); H = HASH(H || t). Token psk.
//
// [W] 5.2: without a preshared key, Q is 32 zero bytes.
func (y *symmetric) mixPreshared(psk *key.Preshared) {
	var none [key.Size]byte
	q := &none
	if psk != nil {
		q = psk.RevealBytes()
	}
	var t [hashSize]byte
	kdf(&y.chain, q[:], &y.chain, &t, &y.key)
	y.mixHash(t[:])
	wipe(t[:])
}

// seal: field = AEAD(k, 0, plaintext, H); H = HASH(H || field). field has the
// length of plaintext and a tag.
func (y *symmetric) seal(field, plaintext []byte) {
	c := newCipher(&y.key)
	c.Seal(field[:0], zeroNonce[:], plaintext, y.hash[:])
	erase(c, "key")
	y.mixHash(field)
}

// open reverses seal; it leaves y as it is if the tag is wrong.
func (y *symmetric) open(plaintext, field []byte) error {
	c := newCipher(&y.key)
	_, err := c.Open(plaintext[:0], zeroNonce[:], field, y.hash[:])
	erase(c, "key")
	if err != nil {
		return ErrAuthentication
	}
	y.mixHash(field)
	return nil
}

// split: (T1, T2) = KDF2(C, nothing): the keys of both directions. [W] 5.4.5
func (y *symmetric) split(first, second *[hashSize]byte) {
	kdf(&y.chain, nil, first, second)
}

func (y *symmetric) clear() {
	wipe(y.chain[:])
	wipe(y.hash[:])
	wipe(y.key[:])
}

// erase overwrites the bytes in a field of a struct of another package that
// copies a secret and has no method to forget it. Should the field ever get
// another name or type, a test says so; nothing else goes wrong.
func erase(pointer any, field string) {
	if f := reflect.ValueOf(pointer).Elem().FieldByName(field); f.IsValid() {
		switch f.Type() {
		case reflect.TypeFor[[]byte](), reflect.TypeFor[[key.Size]byte]():
			wipe(f.Bytes())
		}
	}
}
