package noise

import (
	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/internal/x25519"
	"github.com/warrenvpn/warren/key"
)

// Initiator is a handshake we began and that waits for its response. The zero
// value is a handshake that is over.
type Initiator struct {
	secret
	sym       symmetric       // after the initiation
	ephemeral *[key.Size]byte // nil once cleared; a pointer, so that there are no copies
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
	sym, err := initiate(m, s, r, ephemeral, stamp)
	if err != nil {
		clear(m)
		return Initiator{}, err
	}
	defer sym.clear()
	m.SetHeader(sender)
	i := Initiator{sym: *sym, ephemeral: new([key.Size]byte), sender: sender}
	*i.ephemeral = *ephemeral
	return i, nil
}

func initiate(m wire.Initiation, s *Static, r *Remote, ephemeral *[key.Size]byte, stamp tai64n.Stamp) (*symmetric, error) {
	var es [key.Size]byte
	defer wipe(es[:])
	products := [3]x25519.Product{
		{Scalar: ephemeral, Result: point(m.Ephemeral())},
		{Scalar: ephemeral, Point: (*[key.Size]byte)(&r.public), Result: &es},
		r.staticStatic(s),
	}
	n := len(products)
	if r.isFor(s) {
		n--
	} else {
		r.Clear()
	}
	if err := multiply(s, products[:n]...); err != nil {
		return nil, err
	}
	r.with = s

	// e
	sym := begin(hashTo(&r.public), m.Ephemeral())

	// es
	sym.mixKey(&es)

	// s
	sym.seal(m.EncryptedStatic(), s.public[:])

	// ss
	sym.mixKey(&r.ss)

	// {t}
	sym.seal(m.EncryptedTimestamp(), stamp[:])
	return sym, nil
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

	var ee, se [key.Size]byte
	defer wipe(ee[:])
	defer wipe(se[:])
	if err := multiply(s,
		x25519.Product{Scalar: i.ephemeral, Point: point(m.Ephemeral()), Result: &ee},
		x25519.Product{Scalar: &s.private, Point: point(m.Ephemeral()), Result: &se},
	); err != nil {
		return Keys{}, err
	}

	// e
	sym.mixEphemeral(m.Ephemeral())

	// ee
	sym.mixChain(&ee)

	// se
	sym.mixChain(&se)

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
	if i.ephemeral != nil {
		wipe(i.ephemeral[:])
		i.ephemeral = nil
	}
}
