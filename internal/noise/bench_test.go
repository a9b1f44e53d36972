package noise

import (
	"testing"

	"github.com/warrenvpn/warren/internal/wire"
)

// The steps of a handshake are as expensive as their multiplications: Initiate
// makes two (the ephemeral public key and es), Open one (es), Accept none, Respond
// three (the ephemeral public key, ee, se), Consume two (ee, se). One more, ss, is
// made once per peer, by the first Initiate or Accept.

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
