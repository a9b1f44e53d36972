package noise

import (
	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/internal/x25519"
	"github.com/warrenvpn/warren/key"
)

// Opened is an initiation of which we know who claims to have sent it, and not
// more: everybody who knows our public key can name any caller.
type Opened struct {
	secret
	sym       symmetric             // after token s
	ephemeral [key.Size]byte        // the initiator's, public
	remote    key.Public            // the initiator's static key
	timestamp [sealedTimestamp]byte // still sealed
	sender    uint32                // the initiator's index
	to        *Static               // us; nil once cleared
}

const sealedTimestamp = wire.TimestampSize + wire.TagSize

// Open reads who sent the initiation m. It needs no peer and changes nothing, so
// any goroutine may run it.
//
// [W] 5.4.2, [N] pattern IK: -> e, es, s
func Open(s *Static, m wire.Initiation) (Opened, error) {
	var es [key.Size]byte
	defer wipe(es[:])
	if err := multiply(s, x25519.Product{Scalar: &s.private, Point: point(m.Ephemeral()), Result: &es}); err != nil {
		return Opened{}, err
	}
	return open(s, m, &es)
}

// MaxTogether is how many initiations one call of OpenTogether takes.
const MaxTogether = x25519.MaxProducts

// OpenTogether is Open for up to MaxTogether initiations that are there at the same
// time, which takes little longer than for one. For each either the first or the
// second result is set.
func OpenTogether(s *Static, ms ...wire.Initiation) (opened [MaxTogether]*Opened, errs [MaxTogether]error) {
	if !s.live {
		for i := range ms {
			errs[i] = ErrCleared
		}
		return opened, errs
	}
	var es [MaxTogether][key.Size]byte
	var products [MaxTogether]x25519.Product
	for i, m := range ms {
		products[i] = x25519.Product{Scalar: &s.private, Point: point(m.Ephemeral()), Result: &es[i]}
	}
	ok := x25519.MultiplyEach(products[:len(ms)]...)
	for i, m := range ms {
		if !ok[i] {
			errs[i] = ErrLowOrder
			continue
		}
		var o Opened
		if o, errs[i] = open(s, m, &es[i]); errs[i] == nil {
			opened[i] = new(Opened)
			*opened[i] = o
			o.Clear()
		}
		wipe(es[i][:])
	}
	return opened, errs
}

// open is what follows the product.
func open(s *Static, m wire.Initiation, es *[key.Size]byte) (Opened, error) {
	// e
	sym := begin(s.hash, m.Ephemeral())
	defer sym.clear()

	// es
	sym.mixKey(es)

	// s
	remote := new(key.Public)
	if err := sym.open(remote[:], m.EncryptedStatic()); err != nil {
		return Opened{}, err
	}

	o := Opened{sym: *sym, remote: *remote, sender: m.SenderIndex(), to: s}
	copy(o.ephemeral[:], m.Ephemeral())
	copy(o.timestamp[:], m.EncryptedTimestamp())
	return o, nil
}

// Remote returns the static key of the claimed sender.
func (o *Opened) Remote() key.Public { return o.remote }

// Sender returns the index by which the initiator wants to be addressed. It
// outlives Clear.
func (o *Opened) Sender() uint32 { return o.sender }

// Accept authenticates the initiation as r's and opens its timestamp. If it fails
// o is unchanged; if it succeeds, o is cleared.
//
// [W] 5.4.2, [N] pattern IK: -> ss, {t}
func (o *Opened) Accept(s *Static, r *Remote) (Responder, error) {
	if o.to == nil {
		return Responder{}, ErrCleared
	}
	if o.to != s || o.remote != r.public {
		return Responder{}, ErrMismatch
	}
	sym := new(symmetric)
	*sym = o.sym
	defer sym.clear()

	// ss
	if err := r.precompute(s); err != nil {
		return Responder{}, err
	}
	sym.mixKey(&r.ss)

	// {t}
	stamp := new(tai64n.Stamp)
	if err := sym.open(stamp[:], o.timestamp[:]); err != nil {
		return Responder{}, err
	}

	p := Responder{
		sym: *sym, ephemeral: o.ephemeral, remote: o.remote,
		stamp: *stamp, receiver: o.sender, live: true,
	}
	o.Clear()
	return p, nil
}

// Clear overwrites the handshake; Accept then fails.
func (o *Opened) Clear() {
	o.sym.clear()
	wipe(o.ephemeral[:])
	wipe(o.remote[:])
	wipe(o.timestamp[:])
	o.to = nil
}

// Responder is an authentic initiation that waits to be answered. Whether it is
// new is for the caller to judge by its Stamp, before Respond.
type Responder struct {
	secret
	sym       symmetric      // after the initiation
	ephemeral [key.Size]byte // the initiator's, public
	remote    key.Public     // the initiator's static key
	stamp     tai64n.Stamp
	receiver  uint32 // the initiator's index
	live      bool
}

// Stamp returns the timestamp of the initiation. It outlives Clear.
func (p *Responder) Stamp() tai64n.Stamp { return p.stamp }

// Receiver returns the initiator's index, to which the response and the session's
// messages go. It outlives Clear.
func (p *Responder) Receiver() uint32 { return p.receiver }

// Respond writes a response to dst, whose first wire.ResponseSize bytes it fills,
// and returns the session's keys; mac1 and mac2 are left zero for package cookie.
// ephemeral is 32 fresh random bytes, sender a fresh index; psk may be nil. p is
// cleared if it succeeds and unchanged if not; dst is then all zeros.
//
// [W] 5.4.3, [N] pattern IKpsk2: <- e, ee, se, psk
func (p *Responder) Respond(dst []byte, ephemeral *[key.Size]byte, sender uint32, psk *key.Preshared) (Keys, error) {
	m := wire.Response(dst[:wire.ResponseSize:wire.ResponseSize])
	clear(m)
	if !p.live {
		return Keys{}, ErrCleared
	}
	sym := new(symmetric)
	*sym = p.sym
	defer sym.clear()
	if err := p.respond(sym, m, ephemeral, psk); err != nil {
		clear(m)
		return Keys{}, err
	}
	m.SetHeader(sender, p.receiver)

	var k Keys
	sym.split(&k.Receive, &k.Send)
	p.Clear()
	return k, nil
}

func (p *Responder) respond(sym *symmetric, m wire.Response, ephemeral *[key.Size]byte, psk *key.Preshared) error {
	var ee, se [key.Size]byte
	defer wipe(ee[:])
	defer wipe(se[:])
	if x25519.Multiply(
		x25519.Product{Scalar: ephemeral, Result: point(m.Ephemeral())},
		x25519.Product{Scalar: ephemeral, Point: &p.ephemeral, Result: &ee},
		x25519.Product{Scalar: ephemeral, Point: (*[key.Size]byte)(&p.remote), Result: &se},
	) != nil {
		return ErrLowOrder
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
	sym.seal(m.EncryptedNothing(), nil)
	return nil
}

// Clear overwrites the handshake; Respond then fails.
func (p *Responder) Clear() {
	p.sym.clear()
	wipe(p.ephemeral[:])
	wipe(p.remote[:])
	p.live = false
}
