package noise

import (
	"slices"
	"testing"

	"github.com/warrenvpn/warren/internal/wire"
)

// The steps of a handshake are as expensive as their calls of x25519.Multiply:
// Initiate makes two products in one (the ephemeral public key and es), Open one
// (es), Accept none, Respond three (the ephemeral public key, ee, se), Consume two
// (ee, se). One more, ss, is made once per peer, by the first Initiate or Accept.

// BenchmarkResponder is all that a responder does, from the initiation to the keys.
func BenchmarkResponder(b *testing.B) {
	c := newCouple(1)
	c.initiate(b)
	e, dst := c.bytes(), make([]byte, wire.ResponseSize)
	b.ReportAllocs()
	for b.Loop() {
		o, err := Open(c.r, c.initiation)
		if err != nil {
			b.Fatal(err)
		}
		p, err := o.Accept(c.r, c.toI)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Respond(dst, e, 1, c.psk); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInitiator is all that an initiator does. It makes the same handshake
// each time, so that there is a response to it.
func BenchmarkInitiator(b *testing.B) {
	c := newCouple(1)
	e := c.bytes()
	dst := make(wire.Initiation, wire.InitiationSize)
	initiate := func() Initiator {
		i, err := Initiate(dst, c.i, c.toR, e, c.sendI, c.stamp)
		if err != nil {
			b.Fatal(err)
		}
		return i
	}
	initiate()
	c.initiation = dst
	c.respond(b)
	b.ReportAllocs()
	for b.Loop() {
		i := initiate()
		if _, err := i.Consume(c.response, c.i, c.psk); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHandshake is both sides.
func BenchmarkHandshake(b *testing.B) {
	c := newCouple(1)
	b.ReportAllocs()
	for b.Loop() {
		i := c.initiate(b)
		c.respond(b)
		if _, err := i.Consume(c.response, c.i, c.psk); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInitiate(b *testing.B) {
	c := newCouple(1)
	e, dst := c.bytes(), make([]byte, wire.InitiationSize)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Initiate(dst, c.i, c.toR, e, 1, c.stamp); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInitiateFirst(b *testing.B) {
	c := newCouple(1)
	e, dst := c.bytes(), make([]byte, wire.InitiationSize)
	for b.Loop() {
		c.toR.Clear()
		if _, err := Initiate(dst, c.i, c.toR, e, 1, c.stamp); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	c := newCouple(1)
	c.initiate(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(c.r, c.initiation); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenTogether(b *testing.B) {
	c := newCouple(1)
	c.initiate(b)
	ms := slices.Repeat([]wire.Initiation{c.initiation}, MaxTogether)
	b.ReportAllocs()
	for b.Loop() {
		if _, errs := OpenTogether(c.r, ms...); errs[0] != nil {
			b.Fatal(errs)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*MaxTogether), "ns/initiation")
}

func BenchmarkAccept(b *testing.B) {
	c := newCouple(1)
	c.initiate(b)
	opened := c.open(b)
	b.ReportAllocs()
	for b.Loop() {
		o := opened
		if _, err := o.Accept(c.r, c.toI); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRespond(b *testing.B) {
	c := newCouple(1)
	c.initiate(b)
	accepted := c.accept(b)
	e, dst := c.bytes(), make([]byte, wire.ResponseSize)
	b.ReportAllocs()
	for b.Loop() {
		p := accepted
		if _, err := p.Respond(dst, e, 1, c.psk); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkConsumeForged(b *testing.B) {
	c := newCouple(1)
	i := c.initiate(b)
	c.respond(b)
	c.response.EncryptedNothing()[0] ^= 1 // costs what a true one costs, and i stays
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Consume(c.response, c.i, c.psk); err == nil {
			b.Fatal("accepted")
		}
	}
}
