package aead

import (
	"crypto/cipher"
	"encoding/binary"
	"unsafe"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/warrenvpn/warren/internal/impl"
)

// kernel is one way to seal and to open runs. open sets all of r.OK, which has
// the length of r.Messages; a message may be of any length. For seal, all are
// long enough.
type kernel struct {
	seal, open func(k *Key, r *Run)
}

var kernels = impl.NewSet("aead", append(platformKernels(),
	impl.Implementation[kernel]{Name: "x/crypto", Usable: true, Value: kernel{seal: sealLibrary, open: openLibrary}},
	impl.Implementation[kernel]{Name: impl.Generic, Usable: true, Value: kernel{seal: sealGeneric, open: openGeneric}},
)...)

func sealLibrary(k *Key, r *Run) { k.sealEach(r, 0) }

func openLibrary(k *Key, r *Run) { k.openEach(r, 0) }

// sealEach seals messages from first on, each by x/crypto.
func (k *Key) sealEach(r *Run, first int) {
	for i := first; i < len(r.Messages); i++ {
		m := r.Messages[i]
		var nonce [chacha20poly1305.NonceSize]byte
		binary.LittleEndian.PutUint64(nonce[4:], r.Counters[i])
		k.general.Seal(m[:0], borrow(&nonce), m[:len(m)-Overhead], nil)
	}
}

// openEach opens messages from first on, each by x/crypto.
func (k *Key) openEach(r *Run, first int) {
	for i := first; i < len(r.Messages); i++ {
		m := r.Messages[i]
		var nonce [chacha20poly1305.NonceSize]byte
		binary.LittleEndian.PutUint64(nonce[4:], r.Counters[i])
		_, err := k.general.Open(m[:0], borrow(&nonce), m, nil)
		r.OK[i] = err == nil
	}
}

func newGeneral(key *[chacha20poly1305.KeySize]byte) cipher.AEAD {
	c, err := chacha20poly1305.New(key[:])
	if err != nil {
		panic("aead: 32 bytes refused as a key")
	}
	return c
}

// clearGeneral overwrites the key in c.
func clearGeneral(c cipher.AEAD) {
	// x/crypto gives no way to erase its copy. Invariant: the dynamic type of c
	// is a pointer to a struct that begins with the 32 key bytes; a test holds
	// that to be true.
	type words struct{ typ, data unsafe.Pointer }
	clear((*[chacha20poly1305.KeySize]byte)((*words)(unsafe.Pointer(&c)).data)[:])
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
