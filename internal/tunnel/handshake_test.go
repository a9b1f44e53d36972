package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/packet"
)

// P15, B31: of a thousand copies of one initiation, opened by any number of
// workers, one is accepted; of older and equal timestamps none.
func TestInitiationIsAcceptedOnce(t *testing.T) {
	w, a, b := pair(t, 1)
	w.rules = []*rule{{left: -1, act: "hold"}}
	a.data("x")
	first := w.last["a->b initiation"]
	w.advance(6 * time.Second)
	second := w.last["a->b initiation"]

	accept := func(d *datagram) (accepted bool) {
		o, err := noise.Open(b.h.env.Static, wire.Initiation(d.b))
		if err != nil {
			t.Fatal(err)
		}
		before := b.peer.next
		b.input("initiation", func(now mono.Time, fx []Effect) []Effect {
			return b.peer.HandleInitiation(now, &o, packet.Endpoint{Remote: d.src}, fx)
		}, func() { b.model.handleInitiation(w.now, d.meaning, d.src.String()) })
		return b.peer.next != before
	}
	n := 0
	for i := range 1000 {
		w.now = w.now.Add(time.Duration(i) * time.Millisecond) // also when there is no flood
		if accept(second) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("accepted %d times, want once", n)
	}
	if accept(first) {
		t.Error("an older timestamp was accepted")
	}
	w.expect("b->a response", 1)
}

// P30: new initiations are accepted at most every 20 ms.
func TestInitiationFlood(t *testing.T) {
	w, a, _ := pair(t, 1)
	w.delay = 0
	for range 50 {
		a.peer.sentAt, a.model.sentAt = 0, 0 // no pause of our own
		a.peer.current, a.model.current = nil, nil
		a.h.shift += time.Second // for a later timestamp
		w.rules = []*rule{{left: 1, path: "b->a", act: "drop"}}
		a.want()
		w.advance(0)
		w.now = w.now.Add(4 * time.Millisecond)
	}
	w.expect("b->a response", 10)
	w.expect("b InitiationTooSoon", 40)
}

// P28, P11: a response with any byte changed leaves everything as it was, and the
// true one is accepted afterwards.
func TestForgedResponsesChangeNothing(t *testing.T) {
	w, a, _ := pair(t, 1)
	w.rules = []*rule{{left: 1, kind: "response", act: "hold"}}
	a.data("x")
	w.advance(time.Second)
	d := w.held[0]
	before := a.state()
	// The type was looked at before, and the sender's index is protected by mac1
	// alone, in every implementation.
	for i := 8; i < wire.ResponseSize-2*wire.MACSize; i++ {
		forged := bytes.Clone(d.b)
		forged[i] ^= 0x40
		fx := a.peer.HandleResponse(w.now, forged, packet.Endpoint{Remote: d.src}, nil)
		if len(fx) != 1 || fx[0].Kind != Report || a.state() != before {
			t.Fatalf("byte %d changed: effects %v", i, fx)
		}
	}
	w.release(false)
	w.advance(time.Second)
	w.expect("a HandshakeComplete", 1)
}

// P28: neither does an initiation whose timestamp was tampered with.
func TestForgedInitiationsChangeNothing(t *testing.T) {
	w, a, b := pair(t, 1)
	w.rules = []*rule{{left: 1, act: "hold"}}
	a.data("x")
	msg := w.held[0].b
	before := b.state()
	opened := 0
	for i := 4; i < wire.InitiationSize-2*wire.MACSize; i++ {
		forged := bytes.Clone(msg)
		forged[i] ^= 1
		o, err := noise.Open(b.h.env.Static, forged)
		if err != nil {
			continue
		}
		if i < 8 {
			continue // the sender's index, as above
		}
		opened++
		fx := b.peer.HandleInitiation(w.now, &o, packet.Endpoint{}, nil)
		if len(fx) != 1 || fx[0].Event != InitiationRefused || b.state() != before {
			t.Fatalf("byte %d changed: effects %v", i, fx)
		}
	}
	if opened != wire.TimestampSize+wire.TagSize {
		t.Errorf("%d forgeries reached the peer, want one per byte of the timestamp", opened)
	}
}

// B24, P16: whatever comes between copies of a response, no session is made from
// the same keys twice and no counter is used twice. The simulation checks both.
func TestDuplicateResponsesInAnySchedule(t *testing.T) {
	t.Parallel()
	for seed := range uint64(scheduleRuns) {
		r := rand.New(rand.NewPCG(seed, 5))
		d := newDriver(t, seed)
		w := d.w
		w.rules = []*rule{{left: -1, path: "b->a", kind: "response", act: "hold"}}
		d.link(d.a).data("x")
		w.advance(50 * time.Millisecond)
		for range 10 {
			switch r.IntN(7) {
			case 0, 1: // a copy of a response, any that was held
				if len(w.held) > 0 {
					c := w.held[r.IntN(len(w.held))].copy()
					c.at = w.now
					w.enqueue(c)
					w.advance(0)
				}
			case 2: // a new initiation of a
				w.advance(5400 * time.Millisecond)
			case 3: // an initiation of b
				d.link(d.b).data("y")
				w.advance(50 * time.Millisecond)
			case 4:
				d.newKey()
			case 5:
				d.remove()
			case 6:
				d.link(d.a).data("z")
				w.advance(time.Duration(r.IntN(60)) * time.Millisecond)
			}
			w.check()
		}
	}
}

// A response that is consumed twice in one breath, without a network between.
func TestResponseConsumedOnce(t *testing.T) {
	w, a, _ := pair(t, 1)
	w.rules = []*rule{{left: 1, kind: "response", act: "hold"}}
	a.data("x")
	w.advance(time.Second)
	d := w.held[0]
	w.release(false)
	w.advance(time.Second)
	s := a.peer.current
	for range 3 {
		fx := a.peer.HandleResponse(w.now, d.b, packet.Endpoint{Remote: d.src}, nil)
		if len(fx) != 1 || fx[0].Event != ResponseUnexpected || a.peer.current != s {
			t.Fatalf("a copy of the response had the effects %v", fx)
		}
	}
}

// P10, K41: each key of low order, with persistent keepalive: not one packet in ten
// minutes, few timeouts, and the peer stays configured.
func TestLowOrderPeersStaySilent(t *testing.T) {
	for i := range lowOrder {
		w := newWorld(t, 1)
		h := w.addHost("a")
		h.setUp(true)
		l := h.addLink(fmt.Sprintf("low%d", i))
		l.endpoint.Remote = addrPort([4]byte{10, 0, 0, 99}, 1)
		l.setKeepalive(1)
		l.data("x")
		w.advance(10 * time.Minute)
		if w.fired > 2*600 {
			w.failf("low%d: %d timeouts in ten minutes, want no busy loop", i, w.fired)
		}
		for what, n := range w.count {
			if what != "a HandshakeImpossible" {
				w.failf("low%d: %s: %d", i, what, n)
			}
		}
		if got := w.count["a HandshakeImpossible"]; got == 0 || got > 600/5+1 {
			w.failf("low%d: tried %d times, want now and then", i, got)
		}
	}
}

// A source of randomness that fails must not lead to a predictable key.
func TestNoHandshakeWithoutRandomness(t *testing.T) {
	w, a, b := pair(t, 1)
	good := a.h.env.Rand
	a.h.env.Rand = broken{good}
	fx := a.peer.HandleWantSession(w.now, nil)
	if len(fx) != 1 || fx[0].Event != HandshakeImpossible || len(a.h.index) != 0 {
		t.Errorf("effects %v with %d indices in use, want HandshakeImpossible and none", fx, len(a.h.index))
	}
	b.want()
	o, err := noise.Open(a.h.env.Static, w.last["b->a initiation"].b)
	if err != nil {
		t.Fatal(err)
	}
	fx = a.peer.HandleInitiation(w.now, &o, packet.Endpoint{}, nil)
	for _, e := range fx {
		if e.Kind == Transmit || e.Kind == Admit {
			t.Errorf("effects %v, want no response", fx)
		}
	}
	if len(a.h.index) != 0 {
		t.Error("an index is left in use")
	}
}

// broken gives indices, but no keys.
type broken struct {
	from interface{ Read([]byte) (int, error) }
}

func (b broken) Read(p []byte) (int, error) {
	if len(p) == 4 {
		return b.from.Read(p)
	}
	return 0, errors.New("no randomness")
}

// T09: intervals from the smallest to the greatest are kept to the nanosecond.
func TestPersistentKeepaliveIntervals(t *testing.T) {
	for _, seconds := range []uint16{1, 2, 9, 25, 119, 120, 121, 200, 65535} {
		w, a, b := pair(t, 1)
		interval := time.Duration(seconds) * time.Second
		a.setKeepalive(seconds)
		w.advance(time.Second)
		if seconds <= 119 {
			sent := w.count["a->b keepalive"]
			w.advance(interval * 100)
			if got := w.count["a->b keepalive"] - sent; got < 99 || got > 101+int(100*interval/(120*time.Second)) {
				w.failf("interval %d: %d keepalives in 100 intervals", seconds, got)
			}
		} else {
			before := w.count["a->b initiation"] + w.count["a->b keepalive"]
			w.advance(interval - 2*time.Second)
			if w.count["a->b initiation"]+w.count["a->b keepalive"] != before {
				w.failf("interval %d: sent early", seconds)
			}
			w.advance(3 * time.Second)
			if w.count["a->b initiation"]+w.count["a->b keepalive"] == before {
				w.failf("interval %d: nothing sent", seconds)
			}
		}
		if b.peer.current == nil {
			w.failf("no session")
		}
	}
}

// P34: a hundred rekeys with 50 ms of reordering lose nothing.
func TestRekeysLoseNothing(t *testing.T) {
	w, a, b := pair(t, 1)
	w.quiet = true
	r := rand.New(rand.NewPCG(1, 2))
	sent := 0
	for range 100 * 130 * 2 {
		if r.IntN(2) == 0 {
			w.rules = []*rule{{left: 1, act: "delay", delay: time.Duration(r.IntN(50)) * time.Millisecond}}
		}
		a.data("x")
		b.data("y")
		sent++
		w.advance(500 * time.Millisecond)
		w.trace = nil
	}
	w.rules = nil
	w.advance(time.Second)
	if len(a.got) != sent || len(b.got) != sent {
		w.failf("sent %d, a got %d, b got %d", sent, len(a.got), len(b.got))
	}
	if n := w.count["a HandshakeComplete"]; n < 100 {
		w.failf("%d rekeys, want at least 100", n)
	}
}

// Without a private key a persistent keepalive costs nothing, be there a hundred
// thousand peers: what is wanted is remembered, not tried again.
func TestNoTimeoutsWithoutPrivateKey(t *testing.T) {
	w, a, _ := pair(t, 1)
	a.setKeepalive(1)
	w.advance(10 * time.Second)
	a.h.setIdentity("")
	w.advance(30 * time.Second)
	w.fired = 0
	w.advance(8 * time.Minute)
	if w.fired != 0 {
		w.failf("%d timeouts", w.fired)
	}
	a.h.setIdentity("a")
	w.advance(time.Second)
	w.expect("a HandshakeComplete", 2)
}

// T13: a suspended host's first packet leaves at once, within no time at all.
func TestResumeBeginsAtOnce(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 3 * time.Minute, 10 * time.Hour} {
		w, a, b := connected(t)
		w.advance(20 * time.Second)
		w.suspend(d)
		before := w.count["a->b initiation"]
		a.data("after")
		if fresh := d < 160*time.Second; fresh != (w.count["a->b initiation"] == before) {
			w.failf("after %v: initiation sent %v", d, !fresh)
		}
		w.advance(time.Second)
		if b.got[len(b.got)-1] != "after" {
			w.failf("after %v: the packet did not arrive", d)
		}
	}
}

// T12, T14: jumps of the wall clock, back and forth, lose no session and no
// handshake.
func TestWallClockJumps(t *testing.T) {
	w, a, b := pair(t, 1)
	for _, jump := range []time.Duration{-10 * 365 * 24 * time.Hour, -time.Second, time.Hour, 10 * 365 * 24 * time.Hour, -time.Hour} {
		a.h.shift += jump
		a.data("x")
		w.advance(121 * time.Second)
	}
	if len(b.got) != 5 || w.count["b InitiationReplayed"] != 0 {
		w.failf("b got %d of 5 packets, refused %d initiations", len(b.got), w.count["b InitiationReplayed"])
	}
}

// A peer that is configured and nothing else is small: a device may have a million.
func TestIdlePeerIsSmall(t *testing.T) {
	env := &Env{Rand: rand.NewChaCha8([32]byte{}), Indices: noIndices{}}
	public := identityOf("b").public
	if n := testing.AllocsPerRun(100, func() { NewPeer(env, public, nil) }); n > 3 {
		t.Errorf("%v allocations, want at most 3", n)
	}
}

func BenchmarkNewPeer(b *testing.B) {
	env := &Env{Rand: rand.NewChaCha8([32]byte{}), Indices: noIndices{}}
	public := identityOf("b").public
	b.ReportAllocs()
	for b.Loop() {
		NewPeer(env, public, nil)
	}
}

// A day of protocol time with persistent keepalive on both sides.
func BenchmarkDay(b *testing.B) {
	for b.Loop() {
		w, a, c := pair(b, 1)
		w.quiet = true
		a.setKeepalive(25)
		c.setKeepalive(25)
		w.advance(24 * time.Hour)
	}
}
