//go:build linux && e2e

package netnstest

import (
	"crypto/rand"
	"encoding/binary"
	mathrand "math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/cookie"
	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/wire"
)

// attack is the network of newRoad with an attacker on the router, who knows
// the address of wg2, sees all that passes, and sends from an address that is
// nobody's peer.
//
//	ns1 wg1 :1 ── r1 ┌──────────────┐ r2 ── 10.2.0.1 wg2 :2 ns2
//	                 │ ns0 attacker │
//	                 └──────────────┘ 10.2.0.254
type attack struct {
	*world
	socket *net.UDPConn
	random *mathrand.ChaCha8
	sent   int // bytes, IP and UDP headers included
	seen   *capture
}

func newAttack(t *testing.T) *attack {
	t.Helper()
	w := newRoad(t)
	a := &attack{world: w, random: mathrand.NewChaCha8([32]byte{2})}
	w.ns0.nft(`table ip replies {
		counter got { }
		chain input {
			type filter hook input priority 0
			udp sport 2 counter name got
		}
	}`)
	a.seen = w.ns0.capture("r2")
	w.ns1.wg("set wg1 peer", w.id2.pub(), "endpoint 10.2.0.1:2")
	w.ns1.flood(5, inner2)
	a.socket = w.ns0.dialUDP("10.2.0.1:2")
	return a
}

// send sends one datagram. An ICMP error from an earlier one is no failure.
func (a *attack) send(b []byte) {
	if _, err := a.socket.Write(b); err == nil {
		a.sent += len(b) + 28
	}
}

func (a *attack) fill(b []byte) []byte {
	_, _ = a.random.Read(b)
	return b
}

// replies returns what wg2 sent to the attacker.
func (a *attack) replies() (packets, bytes int) {
	return a.ns0.counter("ip", "replies", "got")
}

// A01 to A05, A14 and A16 in a form that fits into seconds: none of it moves the
// endpoint, is delivered, is answered with more than was asked, or costs the
// tunnel more than a moment.
func TestAttacksAreShrugged(t *testing.T) {
	for _, c := range []struct {
		name    string
		run     func(a *attack)
		answers bool // something may be answered
	}{
		{"A01 junk", (*attack).junk, false},
		{"A01 wrong mac1", (*attack).wrongMAC1, false},
		{"A02 right mac1, unknown keys", (*attack).unknownKeys, true},
		{"A05 responses, cookie replies, and data with wrong tags", (*attack).wrongAnswers, false},
		{"A06 replays", (*attack).replays, false},
		{"A14 every size", (*attack).everySize, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAttack(t)
			memory := a.wg2.memory()
			rx, _ := a.ns2.transfer("wg2", a.id1)
			through := a.ns1.steady(10*time.Millisecond, inner2)
			begin := time.Now()
			c.run(a)
			took := time.Since(begin)
			sent, lost, slowest := through.end()
			a.ns1.flood(20, inner2)
			a.ns2.flood(20, inner16)

			packets, bytes := a.replies()
			t.Logf("%d KiB in %v, %d answers; of %d pings meanwhile %d were lost, the slowest after %v; memory +%d KiB",
				a.sent>>10, took.Round(time.Millisecond), packets, sent, lost, slowest, (a.wg2.memory()-memory)>>10)
			if packets > 0 && !c.answers {
				t.Errorf("%d answers, want none", packets)
			}
			// A16: 92 of 176 bytes for an initiation, headers included.
			if bytes*100 > a.sent*53 {
				t.Errorf("%d bytes were answered to %d, which is more than 0.53", bytes, a.sent)
			}
			if got := a.ns2.endpoint("wg2", a.id1); got != "10.1.0.1:1" {
				t.Errorf("the endpoint of the peer is %q, want it not to move from 10.1.0.1:1", got)
			}
			// P28: only what the peer itself sent counts: its pings, their
			// answers, and at most a handshake or two.
			rx2, _ := a.ns2.transfer("wg2", a.id1)
			if most := (sent+2*20)*(16+96+16) + 2*148 + 32; rx2-rx > most {
				t.Errorf("%d bytes were counted as the peer's, at most %d are", rx2-rx, most)
			}
			if grown := a.wg2.memory() - memory; grown > 64<<20 {
				t.Errorf("memory grew by %d MiB, want at most 64", grown>>20)
			}
		})
	}
}

const floodSize = 20_000

func (a *attack) junk() {
	b := make([]byte, 1500)
	for i := range floodSize {
		size := int(binary.LittleEndian.Uint16(a.fill(make([]byte, 2)))) % len(b)
		a.fill(b[:size])
		if size > 4 && i%2 == 0 { // half of it looks like a message at first
			b[0], b[1], b[2], b[3] = byte(i/2%6), 0, 0, 0
		}
		a.send(b[:size])
	}
}

func (a *attack) wrongMAC1() {
	b := make([]byte, wire.InitiationSize)
	for i := range floodSize {
		size, kind := wire.InitiationSize, byte(wire.TypeInitiation)
		if i%4 == 3 {
			size, kind = wire.ResponseSize, byte(wire.TypeResponse)
		}
		a.fill(b[:size])
		b[0], b[1], b[2], b[3] = kind, 0, 0, 0
		a.send(b[:size])
	}
}

func (a *attack) unknownKeys() {
	nobody := newIdentity(a.t)
	static, remote := noise.NewStatic(&nobody.private), noise.NewRemote(a.id2.public)
	macs := cookie.NewGenerator(a.id2.public)
	var messages [][]byte
	for i := range 200 { // each costs a multiplication here and one there
		m := make([]byte, wire.InitiationSize)
		var ephemeral [32]byte
		_, _ = rand.Read(ephemeral[:])
		stamp := tai64n.FromTime(time.Now().Unix(), int64(i)*20_000_000%1_000_000_000)
		if _, err := noise.Initiate(m, static, remote, &ephemeral, uint32(i), stamp); err != nil {
			a.t.Fatal(err)
		}
		macs.AddMACs(mono.Time(1), m)
		messages = append(messages, m)
	}
	for i := range floodSize / 4 {
		a.send(messages[i%len(messages)])
	}
}

func (a *attack) wrongAnswers() {
	// An index that exists: the receiver index of data on its way to wg2.
	index := a.seen.next(isType(byte(wire.TypeTransport), 2)).payload[4:8]
	b := make([]byte, 1500)
	for i := range floodSize {
		size := []int{wire.ResponseSize, wire.CookieReplySize, 32, 48, 64, 128, 512, 1024, 1440, 1452}[i%10]
		kind := wire.TypeTransport
		switch size {
		case wire.ResponseSize:
			kind = wire.TypeResponse
		case wire.CookieReplySize:
			kind = wire.TypeCookieReply
		}
		a.fill(b[:size])
		b[0], b[1], b[2], b[3] = byte(kind), 0, 0, 0
		if i%2 == 0 {
			copy(b[4:], index)
		}
		a.send(b[:size])
	}
}

func (a *attack) replays() {
	initiation := a.seen.next(isType(byte(wire.TypeInitiation), 2)).payload
	response := a.seen.next(isType(byte(wire.TypeResponse), 1)).payload // its own, sent back: A07
	data := [][]byte{
		a.seen.next(isType(byte(wire.TypeTransport), 2)).payload,
		a.seen.next(isType(byte(wire.TypeTransport), 1)).payload, // its own
		a.seen.next(isType(byte(wire.TypeTransport), 2)).payload,
	}
	for i := range floodSize {
		a.send(data[i%len(data)])
		// Not so many at once that it defends itself with cookies.
		if i%100 == 0 {
			a.send(initiation)
			a.send(response)
		}
	}
}

func (a *attack) everySize() {
	index := a.seen.next(isType(byte(wire.TypeTransport), 2)).payload[4:8]
	const most = 65507
	b := make([]byte, most)
	one := func(size, kind int) {
		if size >= 8 {
			b[0], b[1], b[2], b[3] = byte(kind), 0, 0, 0
			copy(b[4:], index)
		}
		a.send(b[:size])
	}
	for size := range 200 {
		for kind := range 6 {
			one(size, kind)
		}
	}
	for i := range 300 {
		one(200+i*(most-200)/299, 4)
	}
	one(most, 4)
}
