package noise

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
)

// couple is an initiator and a responder that know each other, with everything
// that is random drawn from a seed.
type couple struct {
	rand       *rand.ChaCha8
	privI      key.Private
	privR      key.Private
	i, r       *Static
	toR, toI   *Remote // what i knows of r, and r of i
	stamp      tai64n.Stamp
	sendI      uint32
	sendR      uint32
	psk        *key.Preshared
	initiation wire.Initiation
	response   wire.Response
}

func newCouple(seed uint64) *couple {
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	c := &couple{rand: rand.NewChaCha8(s), stamp: tai64n.FromTime(1_700_000_000, 0), sendI: 0x11223344, sendR: 0x55667788}
	c.privI, c.privR = key.NewPrivate(*c.bytes()), key.NewPrivate(*c.bytes())
	c.i, c.r = NewStatic(&c.privI), NewStatic(&c.privR)
	c.toR, c.toI = NewRemote(c.r.Public()), NewRemote(c.i.Public())
	psk := key.NewPreshared(*c.bytes())
	c.psk = &psk
	return c
}

func (c *couple) bytes() *[key.Size]byte {
	var b [key.Size]byte
	c.rand.Read(b[:])
	return &b
}

// The steps. Each fails the test if it fails.

func (c *couple) initiate(t testing.TB) Initiator {
	t.Helper()
	c.initiation = make([]byte, wire.InitiationSize)
	i, err := Initiate(c.initiation, c.i, c.toR, c.bytes(), c.sendI, c.stamp)
	if err != nil {
		t.Fatalf("Initiate: %v", err)
	}
	return i
}

func (c *couple) open(t testing.TB) Opened {
	t.Helper()
	o, err := Open(c.r, c.initiation)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return o
}

func (c *couple) accept(t testing.TB) Responder {
	t.Helper()
	o := c.open(t)
	p, err := o.Accept(c.r, c.toI)
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	return p
}

func (c *couple) respond(t testing.TB) Keys {
	t.Helper()
	p := c.accept(t)
	c.response = make([]byte, wire.ResponseSize)
	k, err := p.Respond(c.response, c.bytes(), c.sendR, c.psk)
	if err != nil {
		t.Fatalf("Respond: %v", err)
	}
	return k
}

// snapshot returns the state of a handshake value, to see whether it changed.
func snapshot(i *Initiator) (symmetric, uint32, bool) { return i.sym, i.sender, i.ephemeral != nil }
