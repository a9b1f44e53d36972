package noise

import (
	"crypto/ecdh"

	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
)

// Initiator is a handshake we began and that waits for its response. The zero
// value is a handshake that is over.
type Initiator struct {
	secret
	sym       symmetric // after the initiation
	ephemeral *ecdh.PrivateKey
	sender    uint32
}

// Initiate writes an initiation to dst, whose first wire.InitiationSize bytes it
// fills; mac1 and mac2 are left zero for package cookie. ephemeral is 32 fresh
// random bytes, sender a fresh index.
//
// It fails if the peer's key has low order; dst is then all zeros, so that such a
// peer never causes a packet.
//
// [W] 5.4.2, [N] pattern IK: -> e, es, s, ss
func Initiate(dst []byte, s *Static, r *Remote, ephemeral *[key.Size]byte, sender uint32, stamp tai64n.Stamp) (Initiator, error) {
	m := wire.Initiation(dst[:wire.InitiationSize:wire.InitiationSize])
	clear(m)
	sym := begin(hashTo(&r.public))
	defer sym.clear()
	e := newPrivate(ephemeral)
	if err := initiate(m, sym, s, r, e, stamp); err != nil {
		erasePrivate(e)
		clear(m)
		return Initiator{}, err
	}
	m.SetHeader(sender)
	return Initiator{sym: *sym, ephemeral: e, sender: sender}, nil
}

func initiate(m wire.Initiation, sym *symmetric, s *Static, r *Remote, ephemeral *ecdh.PrivateKey, stamp tai64n.Stamp) error {
	// e
	copy(m.Ephemeral(), ephemeral.PublicKey().Bytes())
	sym.mixEphemeral(m.Ephemeral())

	// es
	if err := sym.mixDH(ephemeral, r.public[:]); err != nil {
		return err
	}

	// s
	sym.seal(m.EncryptedStatic(), s.public[:])

	// ss
	if err := r.precompute(s); err != nil {
		return err
	}
	sym.mixKey(&r.ss)

	// {t}
	sym.seal(m.EncryptedTimestamp(), stamp[:])
	return nil
}

// Sender returns the index we gave the handshake; the session inherits it. It
// outlives Clear.
func (i *Initiator) Sender() uint32 { return i.sender }

// Consume finishes the handshake with the response m and returns the session's
// keys. psk may be nil. If it fails, i is unchanged and goes on waiting for the
// true response; if it succeeds, i is cleared, and a copy of m is worth nothing.
//
// [W] 5.4.3, [N] pattern IKpsk2: <- e, ee, se, psk
func (i *Initiator) Consume(m wire.Response, s *Static, psk *key.Preshared) (Keys, error) {
	if i.ephemeral == nil {
		return Keys{}, ErrCleared
	}
	if m.ReceiverIndex() != i.sender {
		return Keys{}, ErrMismatch
	}
	sym := new(symmetric)
	*sym = i.sym // i itself changes only when the response is known to be true
	defer sym.clear()

	// e
	sym.mixEphemeral(m.Ephemeral())

	// ee
	if err := sym.mixDH(i.ephemeral, m.Ephemeral()); err != nil {
		return Keys{}, err
	}

	// se
	if err := sym.mixDH(s.private, m.Ephemeral()); err != nil {
		return Keys{}, err
	}

	// psk
	sym.mixPreshared(psk)

	// {}
	if err := sym.open(nil, m.EncryptedNothing()); err != nil {
		return Keys{}, err
	}

	var k Keys
	sym.split(&k.Send, &k.Receive)
	i.Clear()
	return k, nil
}

// Clear overwrites the handshake; Consume then fails.
//
// [W] 5.4.5: "... all previous chaining keys, ephemeral keys, and hashes are
// zeroed out"
func (i *Initiator) Clear() {
	i.sym.clear()
	erasePrivate(i.ephemeral)
	i.ephemeral = nil
}
