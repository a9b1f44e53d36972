package ratelimit

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/wire"
)

const start = mono.Time(1000 * time.Second)

func protocolLimiter() *Limiter { return New(wire.RatePerSecond, wire.RateBurst, wire.RateEntries) }

// host returns an IPv4 address with number i.
func host(i uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], i)
	return netip.AddrFrom4(b)
}

// A03: five at once, then one each twentieth of a second.
func TestBurstThenRate(t *testing.T) {
	l, a := protocolLimiter(), netip.MustParseAddr("192.0.2.1")
	for i := range 8 {
		if got, want := l.Allow(start, a), i < 5; got != want {
			t.Errorf("event %d at once: %v, want %v", i+1, got, want)
		}
	}
	for _, s := range []struct {
		after time.Duration
		want  bool
	}{
		{49 * time.Millisecond, false},
		{50 * time.Millisecond, true},
		{50 * time.Millisecond, false},
		{99 * time.Millisecond, false}, // refused events cost nothing
		{100 * time.Millisecond, true},
		{150 * time.Millisecond, true},
	} {
		if got := l.Allow(start.Add(s.after), a); got != s.want {
			t.Errorf("after %v: %v, want %v", s.after, got, s.want)
		}
	}
}

// A03: in the long run twenty a second, however hard one tries.
func TestLongRunRate(t *testing.T) {
	l, a := protocolLimiter(), netip.MustParseAddr("2001:db8::1")
	allowed := 0
	for ms := range 60_000 {
		if l.Allow(start.Add(time.Duration(ms)*time.Millisecond), a) {
			allowed++
		}
	}
	if allowed < 20*60 || allowed > 20*60+5 {
		t.Errorf("%d events allowed in a minute, want 1200 and the burst", allowed)
	}
}

// A03, E7, B51: what one source is.
func TestSources(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		same       bool
	}{
		{"two IPv4 hosts", "192.0.2.1", "192.0.2.2", false},
		{"two addresses of a /64", "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true},
		{"two /64 networks", "2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"mapped and plain IPv4", "::ffff:192.0.2.1", "192.0.2.1", true},
		{"two mapped IPv4 hosts", "::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		{"zones", "fe80::1%eth0", "fe80::1%eth1", true},
		{"IPv6 whose prefix reads like an IPv4 address", "0:0:c000:201::1", "192.0.2.1", false},
	} {
		l := protocolLimiter()
		for range wire.RateBurst {
			l.Allow(start, netip.MustParseAddr(c.a))
		}
		if got := l.Allow(start, netip.MustParseAddr(c.b)); got == c.same {
			t.Errorf("%s: the second is limited by the first: %v, want %v", c.name, !got, c.same)
		}
	}
}

func TestInvalidAddressMayNothing(t *testing.T) {
	l := protocolLimiter()
	if l.Allow(start, netip.Addr{}) || l.Len() != 0 {
		t.Error("the invalid address is a source")
	}
}

// A04: a full table refuses new sources and goes on serving the known ones.
func TestFullTable(t *testing.T) {
	const size = 100
	l := New(20, 5, size)
	for i := range uint32(size) {
		if !l.Allow(start, host(i)) {
			t.Fatalf("source %d is refused", i)
		}
	}
	at := start.Add(100 * time.Millisecond)
	for i := uint32(size); i < 10*size; i++ {
		if l.Allow(at, host(i)) {
			t.Fatalf("source %d has room in a full table", i)
		}
	}
	for i := range uint32(size) {
		if !l.Allow(at, host(i)) {
			t.Errorf("source %d lost its place", i)
		}
	}
	if l.Len() != size {
		t.Errorf("%d sources, want %d", l.Len(), size)
	}
	// A quarter of a second of silence frees all places.
	if at = at.Add(250 * time.Millisecond); !l.Allow(at, host(5000)) || l.Len() != 1 {
		t.Errorf("after the silence: %d sources remembered", l.Len())
	}
}

// A04: a million sources in a second. What is allowed is bounded by the table,
// not by the number of sources, and so is the table.
func TestManySources(t *testing.T) {
	const size = 1000
	l := New(20, 5, size)
	allowed := 0
	for i := range uint32(1_000_000) {
		if l.Allow(start.Add(time.Duration(i)*time.Microsecond), host(i)) {
			allowed++
		}
		if l.Len() > size || len(l.entries) > size+1 {
			t.Fatalf("%d sources, %d entries in a table of %d", l.Len(), len(l.entries), size)
		}
	}
	// Each place is taken for 250 ms at least: four rounds, and the fifth begins.
	if allowed > 5*size {
		t.Errorf("%d events allowed, want at most %d", allowed, 5*size)
	}
}

// A20: after a flood the memory goes back, without any further message.
func TestCollectGivesMemoryBack(t *testing.T) {
	l := protocolLimiter()
	for i := range uint32(10 * keep) {
		l.Allow(start, host(i))
	}
	l.Collect(start.Add(249 * time.Millisecond))
	if l.Len() != 10*keep {
		t.Errorf("%d sources before the time, want all", l.Len())
	}
	l.Collect(start.Add(250 * time.Millisecond))
	if l.Len() != 0 || cap(l.entries) > keep {
		t.Errorf("%d sources, room for %d entries afterwards", l.Len(), cap(l.entries))
	}
	if !l.Allow(start.Add(time.Second), host(1)) {
		t.Error("the limiter does not work afterwards")
	}
}

// A clock read in another order than the messages are handled does no harm.
func TestTimeMayStepBack(t *testing.T) {
	l, a := protocolLimiter(), host(1)
	l.Allow(start, a)
	for i := range 4 {
		if !l.Allow(start.Add(-time.Hour), a) {
			t.Errorf("event %d of the burst is refused", i+2)
		}
	}
	if l.Allow(start.Add(-time.Hour), a) || l.Allow(start, a) {
		t.Error("a step back gave tokens")
	}
}

func TestNewRefusesNonsense(t *testing.T) {
	for _, c := range [][3]int{{0, 1, 1}, {1, 0, 1}, {1, 1, 0}, {-1, 1, 1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New%v does not panic", c)
				}
			}()
			New(c[0], c[1], c[2])
		}()
	}
}

// naive keeps a bucket for every source it ever saw, and a list of those that are
// not full, which is all that the table may forget.
type naive struct {
	full, cost time.Duration
	max        int
	buckets    map[netip.Prefix]*bucket
}

type bucket struct {
	tokens time.Duration
	seen   mono.Time
}

func (n *naive) allow(now mono.Time, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	p := netip.PrefixFrom(a, 32)
	if a.Is6() {
		p = netip.PrefixFrom(a, 64).Masked()
	}
	for q, b := range n.buckets {
		if now.Sub(b.seen) >= n.full {
			delete(n.buckets, q)
		}
	}
	b := n.buckets[p]
	if b == nil {
		if len(n.buckets) == n.max {
			return false
		}
		b = &bucket{tokens: n.full, seen: now}
		n.buckets[p] = b
	}
	b.tokens = min(n.full, b.tokens+now.Sub(b.seen))
	b.seen = now
	if b.tokens < n.cost {
		return false
	}
	b.tokens -= n.cost
	return true
}

// Random events of few and many sources against the naive table.
func TestAgainstNaiveTable(t *testing.T) {
	const seed = 3
	r := rand.New(rand.NewPCG(seed, 0))
	for _, sources := range []uint32{1, 5, 40, 200} {
		l := New(20, 5, 30)
		n := &naive{full: l.full, cost: l.cost, max: 30, buckets: map[netip.Prefix]*bucket{}}
		now := start
		for i := range 20_000 {
			now = now.Add(time.Duration(r.Int64N(int64(10 * time.Millisecond))))
			if r.IntN(500) == 0 {
				now = now.Add(time.Second)
			}
			a := host(r.Uint32N(sources))
			if r.IntN(3) == 0 {
				b := a.As4()
				a = netip.AddrFrom16([16]byte{0x20, 1, 7: b[3], 15: byte(r.Uint32())})
			}
			if got, want := l.Allow(now, a), n.allow(now, a); got != want {
				t.Fatalf("seed %d, %d sources, event %d of %v: %v, want %v", seed, sources, i, a, got, want)
			}
			checkRing(t, l)
		}
	}
}

// checkRing holds the table's invariants.
func checkRing(t *testing.T, l *Limiter) {
	t.Helper()
	count := 0
	for i, last := l.entries[0].next, int32(0); i != 0; last, i = i, l.entries[i].next {
		if l.entries[i].prev != last || l.index[l.entries[i].source] != i {
			t.Fatalf("entry %d is linked wrongly", i)
		}
		if count++; count > len(l.index) {
			t.Fatal("the ring does not close")
		}
	}
	if count != len(l.index) {
		t.Fatalf("%d entries in the ring, %d in the index", count, len(l.index))
	}
}

// Bytes are read as events: a source and a wait each.
func FuzzLimiter(f *testing.F) {
	f.Add([]byte{1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 2, 255})
	f.Fuzz(func(t *testing.T, events []byte) {
		l := New(20, 5, 4)
		n := &naive{full: l.full, cost: l.cost, max: 4, buckets: map[netip.Prefix]*bucket{}}
		now := start
		for ; len(events) >= 2; events = events[2:] {
			now = now.Add(time.Duration(events[1]) * time.Millisecond)
			a := host(uint32(events[0] % 8))
			if got, want := l.Allow(now, a), n.allow(now, a); got != want {
				t.Fatalf("source %v at %v: %v, want %v", a, now.Sub(start), got, want)
			}
			checkRing(t, l)
		}
	})
}

func BenchmarkAllowKnown(b *testing.B) {
	l, a := protocolLimiter(), host(1)
	b.ReportAllocs()
	for b.Loop() {
		l.Allow(start, a)
	}
}

func BenchmarkAllowManySources(b *testing.B) {
	l := protocolLimiter()
	i := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		l.Allow(start.Add(time.Duration(i)*time.Microsecond), host(i*2654435761))
		i++
	}
}
