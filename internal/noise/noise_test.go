package noise

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/vectors"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
)

func TestBothSidesAgree(t *testing.T) {
	for seed := range uint64(20) {
		c := newCouple(seed)
		if seed%2 == 0 {
			c.psk = nil
		}
		i := c.initiate(t)
		kr := c.respond(t)
		ki, err := i.Consume(c.response, c.i, c.psk)
		if err != nil {
			t.Fatalf("seed %d: Consume: %v", seed, err)
		}
		if ki.Send != kr.Receive || ki.Receive != kr.Send || ki.Send == ki.Receive {
			t.Errorf("seed %d: the keys do not pair", seed)
		}
	}
}

func TestNoStaticWithoutPrivateKey(t *testing.T) {
	if s := NewStatic(new(key.Private)); s != nil {
		t.Error("the zero private key gives an identity, want nil: no key, no handshakes")
	}
}

func TestStaticHasTheKeysPublicKey(t *testing.T) {
	c := newCouple(1)
	if c.i.Public() != c.privI.Public() || c.toI.Public() != c.privI.Public() {
		t.Error("Static, Remote and key.Private do not agree on the public key")
	}
}

// B24: a second copy of the response, or of the initiation, makes no second
// session with the same keys.
func TestStepsAreTakenOnce(t *testing.T) {
	c := newCouple(1)
	i := c.initiate(t)

	o := c.open(t)
	p, err := o.Accept(c.r, c.toI)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Accept(c.r, c.toI); !errors.Is(err, ErrCleared) {
		t.Errorf("second Accept: %v, want ErrCleared", err)
	}
	response := make([]byte, wire.ResponseSize)
	if _, err := p.Respond(response, c.bytes(), c.sendR, c.psk); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Respond(make([]byte, wire.ResponseSize), c.bytes(), c.sendR, c.psk); !errors.Is(err, ErrCleared) {
		t.Errorf("second Respond: %v, want ErrCleared", err)
	}
	if _, err := i.Consume(response, c.i, c.psk); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Consume(response, c.i, c.psk); !errors.Is(err, ErrCleared) {
		t.Errorf("second Consume: %v, want ErrCleared", err)
	}
	if i.Sender() != c.sendI || o.Sender() != c.sendI || p.Receiver() != c.sendI || p.Stamp() != c.stamp {
		t.Error("the indices and the stamp do not outlive the handshake")
	}
}

// P11, P28: a forged or damaged message changes nothing, and the true one still works.
func TestFailedConsumeChangesNothing(t *testing.T) {
	c := newCouple(1)
	i := c.initiate(t)
	c.respond(t)
	sym, sender, live := snapshot(&i)
	wrong := key.NewPreshared([key.Size]byte{1})

	for _, bad := range []struct {
		name   string
		change func(m wire.Response)
		psk    *key.Preshared
		want   error
	}{
		{"other receiver", func(m wire.Response) { m[8] ^= 1 }, c.psk, ErrMismatch},
		{"ephemeral", func(m wire.Response) { m.Ephemeral()[3] ^= 1 }, c.psk, ErrAuthentication},
		{"low-order ephemeral", func(m wire.Response) { clear(m.Ephemeral()) }, c.psk, ErrLowOrder},
		{"tag", func(m wire.Response) { m.EncryptedNothing()[15] ^= 0x80 }, c.psk, ErrAuthentication},
		{"other preshared key", func(wire.Response) {}, &wrong, ErrAuthentication},
		{"no preshared key", func(wire.Response) {}, nil, ErrAuthentication},
	} {
		m := wire.Response(bytes.Clone(c.response))
		bad.change(m)
		if _, err := i.Consume(m, c.i, bad.psk); !errors.Is(err, bad.want) {
			t.Errorf("%s: err = %v, want %v", bad.name, err, bad.want)
		}
		if s2, n2, l2 := snapshot(&i); s2 != sym || n2 != sender || l2 != live {
			t.Fatalf("%s: the pending handshake changed", bad.name)
		}
	}
	if _, err := i.Consume(c.response, c.i, c.psk); err != nil {
		t.Errorf("the true response after the forgeries: %v", err)
	}
}

// P11: every bit of what this package authenticates counts. The indices are not
// authenticated by Noise but by mac1; see package cookie.
func TestEveryFlippedByteIsNoticed(t *testing.T) {
	c := newCouple(1)
	i := c.initiate(t)
	c.respond(t)
	for n := 8; n < wire.InitiationSize-2*wire.MACSize; n++ {
		m := wire.Initiation(bytes.Clone(c.initiation))
		m[n] ^= byte(1 << (n % 8))
		o, err := Open(c.r, m)
		if err == nil {
			_, err = o.Accept(c.r, c.toI)
		}
		if err == nil {
			t.Errorf("initiation with byte %d flipped is accepted", n)
		}
	}
	for n := 8; n < wire.ResponseSize-2*wire.MACSize; n++ {
		m := wire.Response(bytes.Clone(c.response))
		m[n] ^= byte(1 << (n % 8))
		if _, err := i.Consume(m, c.i, c.psk); err == nil {
			t.Fatalf("response with byte %d flipped is accepted", n)
		}
	}
}

// Even the bit that X25519 ignores is bound by the hash.
func TestIgnoredBitOfTheEphemeralIsNoticed(t *testing.T) {
	c := newCouple(1)
	c.initiate(t)
	c.initiation.Ephemeral()[31] ^= 0x80
	if _, err := Open(c.r, c.initiation); !errors.Is(err, ErrAuthentication) {
		t.Errorf("err = %v, want ErrAuthentication", err)
	}
}

func TestFailedAcceptChangesNothing(t *testing.T) {
	c := newCouple(1)
	c.initiate(t)
	o := c.open(t)
	stranger := newCouple(2)

	if _, err := o.Accept(c.r, stranger.toI); !errors.Is(err, ErrMismatch) {
		t.Errorf("another peer: %v, want ErrMismatch", err)
	}
	if _, err := o.Accept(stranger.r, c.toI); !errors.Is(err, ErrMismatch) {
		t.Errorf("another identity: %v, want ErrMismatch", err)
	}
	if _, err := o.Accept(c.r, c.toI); err != nil {
		t.Errorf("the right ones afterwards: %v", err)
	}
}

// Whoever knows our public key can name any caller, but not prove it.
func TestNamingACallerIsNotBeingIt(t *testing.T) {
	c, mallory := newCouple(1), newCouple(2)
	// Mallory has a key of her own but says she is i.
	mallory.i.public = c.i.Public()
	m := make(wire.Initiation, wire.InitiationSize)
	if _, err := Initiate(m, mallory.i, c.toR, mallory.bytes(), 1, c.stamp); err != nil {
		t.Fatal(err)
	}
	o, err := Open(c.r, m)
	if err != nil || o.Remote() != c.i.Public() {
		t.Fatalf("Open: %v, %v; want it to read the claim", o.Remote(), err)
	}
	if _, err := o.Accept(c.r, c.toI); !errors.Is(err, ErrAuthentication) {
		t.Errorf("Accept: %v, want ErrAuthentication", err)
	}
}

// A07: our own messages sent back, messages to somebody else, and one type taken
// for the other.
func TestReflectedAndMisdirectedMessages(t *testing.T) {
	c, other := newCouple(1), newCouple(2)
	i := c.initiate(t)
	c.respond(t)
	if _, err := Open(c.i, c.initiation); !errors.Is(err, ErrAuthentication) {
		t.Errorf("our own initiation: %v, want ErrAuthentication", err)
	}
	if _, err := Open(other.r, c.initiation); !errors.Is(err, ErrAuthentication) {
		t.Errorf("an initiation to somebody else: %v, want ErrAuthentication", err)
	}
	j := other.initiate(t)
	reflected := wire.Response(bytes.Clone(c.response))
	reflected.SetHeader(c.sendR, other.sendI)
	if _, err := j.Consume(reflected, other.i, other.psk); !errors.Is(err, ErrAuthentication) {
		t.Errorf("a response to somebody else: %v, want ErrAuthentication", err)
	}
	if _, err := i.Consume(wire.Response(c.initiation[:wire.ResponseSize]), c.i, c.psk); err == nil {
		t.Error("an initiation is taken for a response")
	}
}

// P09: a response to an earlier initiation does not fit a later one.
func TestOldResponseDoesNotFitNewInitiation(t *testing.T) {
	c := newCouple(1)
	c.initiate(t)
	c.respond(t)
	newer := c.initiate(t) // same index, to see that not only the index differs
	if _, err := newer.Consume(c.response, c.i, c.psk); !errors.Is(err, ErrAuthentication) {
		t.Errorf("err = %v, want ErrAuthentication", err)
	}
}

// P10, B34, K41: a peer whose key has low order never causes a packet.
func TestLowOrderStaticNeverCausesAMessage(t *testing.T) {
	for _, p := range vectors.LowOrder() {
		c := newCouple(1)
		dst := bytes.Repeat([]byte{0xaa}, wire.InitiationSize)
		i, err := Initiate(dst, c.i, NewRemote(key.Public(p)), c.bytes(), 1, c.stamp)
		if !errors.Is(err, ErrLowOrder) {
			t.Errorf("%x: err = %v, want ErrLowOrder", p, err)
		}
		if i.ephemeral != nil || !bytes.Equal(dst, make([]byte, wire.InitiationSize)) {
			t.Errorf("%x: something of the message is left", p)
		}
	}
}

// P10, B34: wherever a point from the other side is multiplied, each point of low
// order is refused. No message can reach the last two with such a point, because
// an earlier multiplication has refused it; they are called directly.
func TestLowOrderPointsAtEverySite(t *testing.T) {
	c := newCouple(1)
	i := c.initiate(t)
	c.respond(t)
	sites := map[string]func(point []byte) error{
		"responder es": func(point []byte) error {
			m := wire.Initiation(bytes.Clone(c.initiation))
			copy(m.Ephemeral(), point)
			_, err := Open(c.r, m)
			return err
		},
		"responder ss": func(point []byte) error {
			o := c.open(t)
			o.remote = key.Public(point) // as if sealed in a valid message
			_, err := o.Accept(c.r, NewRemote(o.remote))
			return err
		},
		"initiator ee and se": func(point []byte) error {
			m := wire.Response(bytes.Clone(c.response))
			copy(m.Ephemeral(), point)
			_, err := i.Consume(m, c.i, c.psk)
			return err
		},
		"responder ee": func(point []byte) error {
			p := c.accept(t)
			copy(p.ephemeral[:], point)
			return refusedResponse(t, c, &p)
		},
		"responder se": func(point []byte) error {
			p := c.accept(t)
			copy(p.remote[:], point)
			return refusedResponse(t, c, &p)
		},
	}
	for name, site := range sites {
		for _, point := range vectors.LowOrder() {
			if err := site(point[:]); !errors.Is(err, ErrLowOrder) {
				t.Errorf("%s, point %x: err = %v, want ErrLowOrder", name, point, err)
			}
		}
	}
}

func refusedResponse(t *testing.T, c *couple, p *Responder) error {
	dst := bytes.Repeat([]byte{0xaa}, wire.ResponseSize)
	k, err := p.Respond(dst, c.bytes(), 1, c.psk)
	if !bytes.Equal(dst, make([]byte, wire.ResponseSize)) {
		t.Error("something of the response is left")
	}
	if k.Send != ([key.Size]byte{}) || k.Receive != ([key.Size]byte{}) {
		t.Error("keys came out")
	}
	return err
}

// Configuring a peer multiplies nothing; the first handshake does, once.
func TestStaticStaticIsLazyAndKept(t *testing.T) {
	c := newCouple(1)
	if c.toR.with != nil {
		t.Error("NewRemote multiplied")
	}
	c.initiate(t)
	if c.toR.with != c.i || c.toR.ss == ([key.Size]byte{}) {
		t.Error("Initiate did not keep the product")
	}
	kept := c.toR.ss
	c.toR.ss[0] ^= 1 // shows that the next one uses what is kept
	c.initiate(t)
	o := c.open(t)
	if _, err := o.Accept(c.r, c.toI); !errors.Is(err, ErrAuthentication) {
		t.Error("Initiate multiplied again")
	}
	if c.toI.ss != kept {
		t.Error("both sides have different products")
	}

	// P32: another identity never uses the old one's product, cleared or not.
	other := newCouple(2)
	other.toR = NewRemote(c.r.Public())
	c.i, c.toI = other.i, NewRemote(other.i.Public())
	c.initiate(t)
	c.respond(t)
}

func TestStepsFailAfterStaticIsCleared(t *testing.T) {
	c := newCouple(1)
	i := c.initiate(t)
	c.respond(t)
	o := c.open(t)
	c.i.Clear()
	c.r.Clear()
	c.i.Clear() // twice does no harm
	if _, err := Initiate(make([]byte, wire.InitiationSize), c.i, c.toR, c.bytes(), 1, c.stamp); !errors.Is(err, ErrCleared) {
		t.Errorf("Initiate: %v, want ErrCleared", err)
	}
	if _, err := i.Consume(c.response, c.i, c.psk); !errors.Is(err, ErrCleared) {
		t.Errorf("Consume: %v, want ErrCleared", err)
	}
	if _, err := Open(c.r, c.initiation); !errors.Is(err, ErrCleared) {
		t.Errorf("Open: %v, want ErrCleared", err)
	}
	if _, err := o.Accept(c.r, c.toI); !errors.Is(err, ErrCleared) {
		t.Errorf("Accept: %v, want ErrCleared", err)
	}
}

// P40: somebody who only watches sees neither static key, nor the timestamp, in
// anything that is sent, and nothing but the index twice.
func TestIdentityIsHidden(t *testing.T) {
	c := newCouple(1)
	i := c.initiate(t)
	c.respond(t)
	if _, err := i.Consume(c.response, c.i, c.psk); err != nil {
		t.Fatal(err)
	}
	seen := append(bytes.Clone(c.initiation), c.response...)
	pi, pr := c.i.Public(), c.r.Public()
	for name, hidden := range map[string][]byte{
		"the initiator's static key": pi[:], "the responder's static key": pr[:], "the timestamp": c.stamp[:],
	} {
		for n := 0; n+8 <= len(hidden); n++ {
			if bytes.Contains(seen, hidden[n:n+8]) {
				t.Errorf("%s can be read", name)
			}
		}
	}

	// The same two hosts a second time: nothing but type and index repeats.
	first := c.initiation
	c.initiate(t)
	for n := 8; n+8 <= wire.InitiationSize-2*wire.MACSize; n++ {
		if bytes.Contains(c.initiation, first[n:n+8]) {
			t.Errorf("bytes %d to %d of an initiation repeat in the next", n, n+8)
		}
	}
}

// A flood of initiations that are not for us, or are from nobody, is not to become
// a flood of garbage: nothing is allocated before the first product is known.
func TestOpenDoesNotAllocateBeforeTheProduct(t *testing.T) {
	c := newCouple(1)
	c.initiate(t)
	clear(c.initiation.Ephemeral()) // the product is zero
	if n := testing.AllocsPerRun(20, func() {
		if _, err := Open(c.r, c.initiation); !errors.Is(err, ErrLowOrder) {
			t.Errorf("err = %v, want ErrLowOrder", err)
		}
	}); n != 0 {
		t.Errorf("allocations = %v, want 0", n)
	}
	if n := testing.AllocsPerRun(20, func() { OpenTogether(c.r, c.initiation, c.initiation) }); n != 0 {
		t.Errorf("of two together: allocations = %v, want 0", n)
	}
}

// What one of several initiations is has no consequence for the others.
func TestOpenTogetherIsOpenForEach(t *testing.T) {
	var good, forged, lowOrder wire.Initiation
	c := newCouple(1)
	c.initiate(t)
	good = c.initiation
	forged = wire.Initiation(bytes.Clone(good))
	forged.EncryptedStatic()[0] ^= 1
	lowOrder = wire.Initiation(bytes.Clone(good))
	clear(lowOrder.Ephemeral())
	kinds := []struct {
		m    wire.Initiation
		want error
	}{{good, nil}, {forged, ErrAuthentication}, {lowOrder, ErrLowOrder}}
	for n := 1; n <= MaxTogether; n++ {
		for mix := range 81 { // every mixture of the kinds, in base 3
			var ms []wire.Initiation
			var wants []error
			for i, rest := 0, mix; i < n; i, rest = i+1, rest/len(kinds) {
				ms = append(ms, kinds[rest%len(kinds)].m)
				wants = append(wants, kinds[rest%len(kinds)].want)
			}
			opened, errs := OpenTogether(c.r, ms...)
			for i, want := range wants {
				if !errors.Is(errs[i], want) || (opened[i] != nil) != (want == nil) {
					t.Fatalf("mixture %d of %d, number %d: %v, opened %v; want %v", mix, n, i, errs[i], opened[i] != nil, want)
				}
				if want != nil {
					continue
				}
				if p, err := opened[i].Accept(c.r, c.toI); err != nil || p.Stamp() != c.stamp {
					t.Fatalf("mixture %d of %d, number %d: Accept: %v", mix, n, i, err)
				}
			}
		}
	}
	c.r.Clear()
	if _, errs := OpenTogether(c.r, good, forged); !errors.Is(errs[0], ErrCleared) || !errors.Is(errs[1], ErrCleared) {
		t.Errorf("after Clear: %v, want ErrCleared for both", errs)
	}
}

// Different ephemeral keys, stamps, preshared keys: different session keys.
func TestKeysDependOnEveryInput(t *testing.T) {
	run := func(change func(c *couple)) Keys {
		c := newCouple(1)
		change(c)
		i := c.initiate(t)
		c.respond(t)
		k, err := i.Consume(c.response, c.i, c.psk)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	base := run(func(*couple) {})
	if again := run(func(*couple) {}); again.Send != base.Send || again.Receive != base.Receive {
		t.Error("the same inputs give different keys")
	}
	for name, change := range map[string]func(c *couple){
		"ephemeral": func(c *couple) { c.bytes() },
		"preshared": func(c *couple) { c.psk = nil },
		"static":    func(c *couple) { *c = *newCouple(9) },
	} {
		if k := run(change); k.Send == base.Send || k.Receive == base.Receive {
			t.Errorf("another %s gives the same keys", name)
		}
	}
}

// Short destinations are a fault of the program, not of a peer.
func TestShortDestinationPanics(t *testing.T) {
	c := newCouple(1)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	Initiate(make([]byte, wire.InitiationSize-1), c.i, c.toR, c.bytes(), 1, c.stamp)
}

// Z04 at this level: bytes of any kind given to the three readers give errors and
// leave everything as it was.
func FuzzMessages(f *testing.F) {
	c := newCouple(1)
	i := c.initiate(f)
	c.respond(f)
	f.Add([]byte(c.initiation))
	f.Add([]byte(c.response))
	f.Fuzz(func(t *testing.T, b []byte) {
		switch typ, ok := wire.Classify(b); {
		case !ok:
		case typ == wire.TypeInitiation:
			fuzzInitiation(t, c, b)
		case typ == wire.TypeResponse:
			sym, _, _ := snapshot(&i)
			k, err := i.Consume(b, c.i, c.psk)
			if err == nil {
				if !bytes.Equal(wire.BeforeMAC1(b)[8:], wire.BeforeMAC1(c.response)[8:]) {
					t.Fatalf("a forged response is accepted: %x", b)
				}
				i = Initiator{sym: sym, ephemeral: firstEphemeral(), sender: c.sendI}
			} else if k.Send != ([key.Size]byte{}) || i.sym != sym {
				t.Fatalf("a refused response left something behind: %x", b)
			}
		}
	})
}

func fuzzInitiation(t *testing.T, c *couple, b []byte) {
	o, err := Open(c.r, b)
	if err != nil {
		return
	}
	if _, err := o.Accept(c.r, c.toI); err == nil && !bytes.Equal(b[8:116], c.initiation[8:116]) {
		t.Fatalf("a forged initiation is accepted: %x", b)
	}
}

// firstEphemeral is the first ephemeral key that newCouple(1).initiate draws.
func firstEphemeral() *[key.Size]byte {
	c := newCouple(1)
	return c.bytes()
}

func Example() {
	// Two hosts that know each other's public key.
	alice, bob := key.NewPrivate([32]byte{1}), key.NewPrivate([32]byte{2})
	a, b := NewStatic(&alice), NewStatic(&bob)

	// Alice begins.
	initiation := make(wire.Initiation, wire.InitiationSize)
	pending, _ := Initiate(initiation, a, NewRemote(b.Public()), &[32]byte{3}, 100, tai64n.FromTime(1_700_000_000, 0))

	// Bob finds out who calls, and answers.
	opened, _ := Open(b, initiation)
	responder, _ := opened.Accept(b, NewRemote(opened.Remote()))
	response := make(wire.Response, wire.ResponseSize)
	bobs, _ := responder.Respond(response, &[32]byte{4}, 200, nil)

	// Alice finishes.
	alices, _ := pending.Consume(response, a, nil)
	fmt.Println(alices.Send == bobs.Receive, alices.Receive == bobs.Send, alices)
	// Output: true true (redacted)
}
