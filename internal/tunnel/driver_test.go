package tunnel

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/wire"
)

// A driver plays commands of one letter on a pair, for exhaustive, random and
// fuzzed tests. Checks are those of the simulation: model, indices, keys,
// counters, timers. Both hosts stay configured for each other.
type driver struct {
	w      *world
	a, b   *host
	keys   int
	played []string
}

// The commands. The first nine are the alphabet of the exhaustive test (P06).
var commands = []struct {
	name string
	play func(*driver)
}{
	{"a sends", func(d *driver) { d.link(d.a).data("x") }},
	{"b sends", func(d *driver) { d.link(d.b).data("y") }},
	{"deliver", func(d *driver) { d.w.advance(25 * time.Millisecond) }},
	{"lose", func(d *driver) { d.w.queue = nil }},
	{"replay", (*driver).replay},
	{"load", func(d *driver) { d.b.load = !d.b.load }},
	{"timer", (*driver).nextTimer},
	{"new key", (*driver).newKey},
	{"remove", (*driver).remove},

	{"a keepalive", func(d *driver) { d.link(d.a).setKeepalive([]uint16{0, 3, 25, 200}[d.keys%4]); d.keys++ }},
	{"b keepalive", func(d *driver) { d.link(d.b).setKeepalive([]uint16{7, 0}[d.keys%2]); d.keys++ }},
	{"a down or up", func(d *driver) { d.a.setUp(!d.a.up) }},
	{"b down or up", func(d *driver) { d.b.setUp(!d.b.up) }},
	{"psk", (*driver).psk},
	{"a without key", func(d *driver) { d.a.setIdentity("") }},
	{"hold", func(d *driver) { d.w.rules = []*rule{{left: 3, act: "hold"}} }},
	{"release", func(d *driver) { d.w.release(true) }},
	{"dup", func(d *driver) { d.w.rules = []*rule{{left: 5, act: "dup"}} }},
	{"delay", func(d *driver) { d.w.rules = []*rule{{left: 2, act: "delay", delay: 5100 * time.Millisecond}} }},
	{"drop", func(d *driver) { d.w.rules = []*rule{{left: 4, act: "drop"}} }},
	{"second", func(d *driver) { d.w.advance(time.Second) }},
	{"minute", func(d *driver) { d.w.advance(61 * time.Second) }},
	{"suspend", func(d *driver) { d.w.suspend(200 * time.Second) }},
	{"a moves", (*driver).move},
	{"a limit", func(d *driver) { d.nearLimit(d.link(d.a)) }},
	{"a key again", func(d *driver) { d.setKey(d.a.id) }},
}

func newDriver(t testing.TB, seed uint64) *driver {
	w, a, b := pair(t, seed)
	return &driver{w: w, a: a.h, b: b.h}
}

func (d *driver) play(command byte) {
	c := commands[int(command)%len(commands)]
	d.played = append(d.played, c.name)
	d.w.logf("-- %s", c.name)
	c.play(d)
	d.w.check()
}

func (d *driver) link(h *host) *link { return h.links[0] }

func (d *driver) replay() {
	for _, k := range []string{"a->b initiation", "b->a response", "b->a initiation", "a->b response", "a->b data", "b->a cookie"} {
		if d.w.last[k] != nil {
			path, kind, _ := strings.Cut(k, " ")
			c := d.w.last[k]
			if c.to != nil {
				d.w.replay(path, kind, c.src)
			}
		}
	}
}

func (d *driver) nextTimer() {
	if at, l := d.w.nextTimer(); l != nil && at > d.w.now {
		d.w.advance(at.Sub(d.w.now))
	}
}

// newKey gives a another identity, and b the peer that has it.
func (d *driver) newKey() {
	d.keys++
	d.setKey(fmt.Sprintf("a%d", d.keys%3))
}

func (d *driver) setKey(id string) {
	if id == "" {
		id = "a"
	}
	d.a.setIdentity(id)
	old := d.link(d.b)
	l := d.b.addLink(id)
	l.endpoint = old.endpoint
	if p := old.peer.Preshared(); p != nil {
		l.peer.SetPreshared(p)
		l.model.psk = old.model.psk
	}
	d.b.removeLink(old)
}

// remove makes b's peer anew.
func (d *driver) remove() {
	old := d.link(d.b)
	l := d.b.addLink(old.remote)
	l.endpoint = old.endpoint
	d.b.removeLink(old)
}

func (d *driver) psk() {
	d.keys++
	text := []string{"one", "none", "two"}[d.keys%3]
	d.link(d.a).setPSK(text)
	d.link(d.b).setPSK(text)
}

func (d *driver) move() {
	a := d.a.addr
	b := a.Addr().As4()
	b[2]++
	d.w.host("a").addr = addrPort(b, a.Port())
}

func (d *driver) nearLimit(l *link) {
	if s := l.peer.current; s != nil && s.next.Load() < wire.RejectAfterMessages-4 {
		s.next.Store(wire.RejectAfterMessages - 4)
		l.model.current.sent = s.next.Load()
	}
}

// settle ends all mischief and checks that packets cross within 30 s: 15 s to
// find out that a session is dead, the rest for a handshake and a crossing.
func (d *driver) settle() {
	w := d.w
	w.rules, w.queue, w.held = nil, nil, nil
	d.a.load, d.b.load = false, false
	d.setKey(d.a.id)
	for _, h := range []*host{d.a, d.b} {
		if !h.up {
			h.setUp(true)
		}
		d.link(h).setPSK("none")
	}
	d.link(d.a).endpoint.Remote, d.link(d.b).endpoint.Remote = d.b.addr, d.a.addr
	w.logf("-- settle")
	d.link(d.a).got, d.link(d.b).got = nil, nil
	for range 30 {
		d.link(d.a).data("probe a")
		d.link(d.b).data("probe b")
		w.advance(time.Second)
		if len(d.link(d.a).got) > 0 && len(d.link(d.b).got) > 0 {
			return
		}
	}
	w.failf("no packets crossed in 30 s after %v", d.played)
}

// Random sequences of all commands, against the model.
func TestRandomCommands(t *testing.T) {
	t.Parallel()
	for seed := range uint64(randomRuns) {
		r := rand.New(rand.NewPCG(seed, 7))
		d := newDriver(t, seed)
		for range 40 {
			d.play(byte(r.IntN(len(commands))))
		}
		d.settle()
	}
}

// P06: all sequences of up to exhaustiveLength of the first nine commands.
func TestExhaustive(t *testing.T) {
	t.Parallel()
	const alphabet = 9
	sequence := make([]byte, 0, exhaustiveLength)
	n := 0
	var explore func()
	explore = func() {
		if len(sequence) == exhaustiveLength {
			d := newDriver(t, 1)
			for _, c := range sequence {
				d.play(c)
			}
			if n%settleEvery == 0 {
				d.settle()
			}
			n++
			return
		}
		for c := range byte(alphabet) {
			sequence = append(sequence, c)
			explore()
			sequence = sequence[:len(sequence)-1]
		}
	}
	explore() // every shorter sequence is the beginning of one of these
	t.Logf("%d sequences of length %d", n, exhaustiveLength)
}

// Z04: bytes as a scenario over two peers, against the model.
func FuzzCommands(f *testing.F) {
	f.Add([]byte{0, 2, 2, 2, 1, 2})
	f.Add([]byte{0, 1, 2, 2, 6, 6, 2, 2, 2})
	f.Add([]byte{9, 2, 2, 2, 21, 21, 21, 6, 6, 7, 0, 2, 2, 2, 8, 1, 2, 22, 0, 2, 2})
	f.Add([]byte{0, 5, 2, 2, 6, 2, 2, 2, 4, 2, 14, 0, 1, 2, 25, 2, 2, 2, 24, 0, 0, 0, 0, 0, 0, 2})
	f.Fuzz(func(t *testing.T, script []byte) {
		d := newDriver(t, uint64(len(script)))
		for _, c := range script[:min(len(script), 200)] {
			d.play(c)
		}
		d.settle()
	})
}

// The same inputs at the same times with the same randomness give the same bytes.
func TestDeterminism(t *testing.T) {
	for seed := range uint64(20) {
		var traces [2]string
		for i := range traces {
			r := rand.New(rand.NewPCG(seed, 9))
			d := newDriver(t, seed)
			for range 60 {
				d.play(byte(r.IntN(len(commands))))
			}
			traces[i] = fmt.Sprintf("%s\n%x", strings.Join(d.w.trace, "\n"), d.w.bytes.Sum(nil))
		}
		if traces[0] != traces[1] {
			t.Fatalf("seed %d: two runs differ:\n%s\n\n%s", seed, traces[0], traces[1])
		}
	}
}

// P07: whatever the network does for six seconds, a session is there 20 s after
// the first packet, whoever has something to say: time for a retry whose initiation
// crosses another, and for one more.
func TestSessionWithinTwentySeconds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(impairedRuns) {
		r := rand.New(rand.NewPCG(seed, 3))
		w, a, b := pair(t, seed)
		w.delay = time.Duration(r.IntN(150)+1) * time.Millisecond
		for t := time.Duration(0); t < 6*time.Second; t += 500 * time.Millisecond {
			w.rules = randomRules(r)
			if r.IntN(3) > 0 || t == 0 {
				a.data("x")
			}
			if r.IntN(3) == 0 {
				b.data("y")
			}
			w.advance(500 * time.Millisecond)
		}
		w.rules = nil
		w.release(true)
		w.advance(14 * time.Second)
		if a.peer.current == nil || b.peer.current == nil ||
			a.peer.current.RemoteIndex != b.peer.current.LocalIndex && len(a.got)+len(b.got) == 0 {
			w.failf("no session after 20 s")
		}
	}
}

func randomRules(r *rand.Rand) []*rule {
	acts := []string{"drop", "drop", "dup", "delay", "hold", "corrupt"}
	var rules []*rule
	for range r.IntN(3) {
		rules = append(rules, &rule{
			left: r.IntN(3) + 1, act: acts[r.IntN(len(acts))],
			path:  []string{"", "a->b", "b->a"}[r.IntN(3)],
			delay: time.Duration(r.IntN(3000)) * time.Millisecond,
		})
	}
	return rules
}
