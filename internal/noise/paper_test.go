package noise

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/crypto/blake2s"

	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
)

// One test per sentence of the paper's section 5 that this package is about. The
// sentence is retold above each.

// [W] 5: the handshake takes one round trip; afterwards both sides have keys.
func TestPaper5OneRoundTrip(t *testing.T) {
	c := newCouple(1)
	i := c.initiate(t) // message one
	kr := c.respond(t) // message two
	ki, err := i.Consume(c.response, c.i, c.psk)
	if err != nil || ki.Send != kr.Receive || ki.Receive != kr.Send {
		t.Errorf("no common keys after one round trip: %v", err)
	}
}

// [W] 5.1: the responder keeps no state for a message before it is authenticated.
// Opening changes neither identity nor peer, and the value belongs to the caller.
func TestPaper51NoStateBeforeAuthentication(t *testing.T) {
	c := newCouple(1)
	c.initiate(t)
	before := *c.toI
	for range 100 {
		c.open(t)
	}
	if c.toI.with != before.with || c.toI.ss != before.ss || c.toI.public != before.public {
		t.Error("opening initiations changed the peer")
	}
}

// [W] 5.1: the first message already authenticates the initiator. A wrong claim
// ends before any answer, so nothing is sent to strangers.
func TestPaper51FirstMessageAuthenticatesTheInitiator(t *testing.T) {
	c, stranger := newCouple(1), newCouple(2)
	stranger.toR = c.toR
	stranger.initiate(t)
	o, err := Open(c.r, stranger.initiation)
	if err != nil {
		t.Fatal(err)
	}
	if o.Remote() == c.i.Public() {
		t.Fatal("a stranger has the name of a peer")
	}
	if _, err := o.Accept(c.r, c.toI); !errors.Is(err, ErrMismatch) {
		t.Errorf("a stranger is accepted as a peer: %v", err)
	}
}

// [W] 5.1: the first message carries a timestamp, encrypted and authenticated, so
// that the responder can refuse replays of it.
func TestPaper51TimestampIsAuthenticated(t *testing.T) {
	c := newCouple(1)
	c.stamp = tai64n.FromTime(1_234_567_890, 500_000_000)
	c.initiate(t)
	if p := c.accept(t); p.Stamp() != c.stamp {
		t.Errorf("stamp = %x, want %x", p.Stamp(), c.stamp)
	}
	// A replay opens and is accepted with the same stamp: comparing is the caller's.
	if p := c.accept(t); p.Stamp() != c.stamp {
		t.Errorf("replayed stamp = %x, want %x", p.Stamp(), c.stamp)
	}
	for n := range c.initiation.EncryptedTimestamp() {
		m := wire.Initiation(bytes.Clone(c.initiation))
		m.EncryptedTimestamp()[n] ^= 1
		o, err := Open(c.r, m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Accept(c.r, c.toI); !errors.Is(err, ErrAuthentication) {
			t.Errorf("timestamp with byte %d changed: %v, want ErrAuthentication", n, err)
		}
	}
}

// [W] 5.2: the preshared key is optional; without one, zeros stand in its place.
func TestPaper52AbsentPresharedKeyIsZeros(t *testing.T) {
	zeros := new(key.Preshared)
	for _, psk := range [][2]*key.Preshared{{nil, nil}, {nil, zeros}, {zeros, nil}} {
		c := newCouple(1)
		i := c.initiate(t)
		c.psk = psk[0]
		c.respond(t)
		if _, err := i.Consume(c.response, c.i, psk[1]); err != nil {
			t.Errorf("nil and zeros are not the same: %v", err)
		}
	}
}

// [W] 5.2: a preshared key is mixed into the keys of the session, so both sides
// must have the same. It plays no part in the first message.
func TestPaper52PresharedKeyIsMixedIn(t *testing.T) {
	c := newCouple(1)
	i := c.initiate(t)
	c.respond(t)
	other := key.NewPreshared(*c.bytes())
	for _, psk := range []*key.Preshared{nil, &other} {
		if _, err := i.Consume(c.response, c.i, psk); !errors.Is(err, ErrAuthentication) {
			t.Errorf("another preshared key: %v, want ErrAuthentication", err)
		}
	}
	c2 := newCouple(1)
	c2.psk = nil
	c2.initiate(t)
	if !bytes.Equal(c.initiation, c2.initiation) {
		t.Error("the preshared key changes the initiation")
	}
}

// [W] 5.4: HASH is BLAKE2s with 32 bytes, HMAC and KDF are made from it. KDFn's
// outputs are chained: each is the HMAC of the one before and a counter byte.
func TestPaper54KDFIsChained(t *testing.T) {
	chain, input := [hashSize]byte{1}, [hashSize]byte{2}
	t0 := hmac(&chain, input[:])
	t1 := hmac(&t0, []byte{1})
	t2 := hmac(&t0, append(t1[:], 2))
	var o1, o2 [hashSize]byte
	if kdf(&chain, input[:], &o1, &o2); o1 != t1 || o2 != t2 {
		t.Errorf("KDF2 = %x, %x; want %x, %x", o1, o2, t1, t2)
	}
}

// [W] 5.4.2: the chaining key begins as the hash of the construction; the hash
// continues with the identifier and the responder's static key, which thereby is
// part of everything although it is never sent.
func TestPaper542ResponderIsHashedFirst(t *testing.T) {
	c := newCouple(1)
	h := blake2s.Sum256([]byte(wire.Construction))
	h = blake2s.Sum256(append(h[:], wire.Identifier...))
	pub := c.r.Public()
	h = blake2s.Sum256(append(h[:], pub[:]...))
	if c.r.hash != h {
		t.Errorf("hash = %x, want %x", c.r.hash, h)
	}
	// The first thing said is an ephemeral key: C1 = KDF1(C0, Epub), H2 = HASH(H1 || Epub).
	e := c.bytes()
	var chain [hashSize]byte
	c0 := blake2s.Sum256([]byte(wire.Construction))
	kdf(&c0, e[:], &chain)
	if y := begin(c.r.hash, e[:]); y.chain != chain || y.hash != blake2s.Sum256(append(h[:], e[:]...)) {
		t.Error("a handshake does not begin with C0, H(H0 || Spub) and the ephemeral key")
	}
}

// [W] 5.4.2: type 1, three zero bytes, the sender's index, and the ephemeral key in
// the clear.
func TestPaper542ClearFields(t *testing.T) {
	c := newCouple(1)
	i := c.initiate(t)
	if !bytes.Equal(c.initiation[:8], []byte{1, 0, 0, 0, 0x44, 0x33, 0x22, 0x11}) {
		t.Errorf("header = %x", c.initiation[:8])
	}
	e := key.NewPrivate(*i.ephemeral)
	if public := e.Public(); !bytes.Equal(c.initiation.Ephemeral(), public[:]) {
		t.Error("the ephemeral field is not the ephemeral public key")
	}
}

// [W] 5.4.2: an ephemeral key is generated for each message, so two initiations
// to one peer have nothing in common.
func TestPaper542FreshEphemeral(t *testing.T) {
	c := newCouple(1)
	c.initiate(t)
	first := c.initiation
	c.initiate(t)
	for name, field := range map[string]func(wire.Initiation) []byte{
		"ephemeral": wire.Initiation.Ephemeral, "static": wire.Initiation.EncryptedStatic, "timestamp": wire.Initiation.EncryptedTimestamp,
	} {
		if bytes.Equal(field(first), field(c.initiation)) {
			t.Errorf("two initiations have the same %s", name)
		}
	}
}

// [W] 5.4.2: the responder computes the same as the initiator and arrives at the
// same hash and chaining key.
func TestPaper542SameStateOnBothSides(t *testing.T) {
	c := newCouple(1)
	i := c.initiate(t)
	p := c.accept(t)
	if i.sym.chain != p.sym.chain || i.sym.hash != p.sym.hash {
		t.Error("initiator and responder have different states after the first message")
	}
}

// [W] 5.4.3: type 2, three zero bytes, the responder's index and then the index
// of the initiation.
func TestPaper543ClearFields(t *testing.T) {
	c := newCouple(1)
	c.initiate(t)
	c.respond(t)
	if !bytes.Equal(c.response[:12], []byte{2, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11}) {
		t.Errorf("header = %x", c.response[:12])
	}
}

// [W] 5.4.3: the response ends with the encryption of nothing, a tag, by which the
// initiator knows that the responder has its private key.
func TestPaper543EmptyProvesTheResponder(t *testing.T) {
	c, mallory := newCouple(1), newCouple(2)
	i := c.initiate(t)
	// Mallory saw the initiation and answers it without the responder's key: she
	// cannot open it, so she has to invent its state.
	p := Responder{live: true, receiver: c.sendI, remote: c.i.Public(), sym: *begin(c.r.hash, c.initiation.Ephemeral())}
	copy(p.ephemeral[:], c.initiation.Ephemeral())
	m := make(wire.Response, wire.ResponseSize)
	if _, err := p.Respond(m, mallory.bytes(), 1, c.psk); err != nil {
		t.Fatal(err)
	}
	if len(m.EncryptedNothing()) != wire.TagSize {
		t.Errorf("the last field has %d bytes", len(m.EncryptedNothing()))
	}
	if _, err := i.Consume(m, c.i, c.psk); !errors.Is(err, ErrAuthentication) {
		t.Errorf("a response without the responder's key: %v, want ErrAuthentication", err)
	}
}

// [W] 5.4.5: the initiator sends with the first output and receives with the
// second, the responder the other way round.
func TestPaper545DirectionOfKeys(t *testing.T) {
	c := newCouple(1)
	i := c.initiate(t)
	p := c.accept(t)
	response := make([]byte, wire.ResponseSize)

	// The responder's final state, computed beside it.
	sym, e := p.sym, c.bytes()
	if err := p.respond(&sym, wire.Response(bytes.Clone(response)), e, c.psk); err != nil {
		t.Fatal(err)
	}
	var first, second [key.Size]byte
	sym.split(&first, &second)

	kr, err := p.Respond(response, e, c.sendR, c.psk)
	if err != nil {
		t.Fatal(err)
	}
	ki, err := i.Consume(response, c.i, c.psk)
	if err != nil {
		t.Fatal(err)
	}
	if ki.Send != first || ki.Receive != second || kr.Send != second || kr.Receive != first {
		t.Error("the outputs of the last KDF are not used in the paper's directions")
	}
}

// [W] 5.4.5: when the keys are derived, what they were derived from is erased.
// See also TestNothingIsLeftAfterTheHandshake.
func TestPaper545StateIsErased(t *testing.T) {
	c := newCouple(1)
	i := c.initiate(t)
	c.respond(t)
	if _, err := i.Consume(c.response, c.i, c.psk); err != nil {
		t.Fatal(err)
	}
	if i.sym != (symmetric{}) || i.ephemeral != nil {
		t.Error("the initiator keeps its handshake")
	}
}
