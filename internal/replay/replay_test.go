package replay

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/warrenvpn/warren/internal/wire"
)

const (
	window = wire.ReplayWindow
	reject = wire.RejectAfterMessages
)

// P19: one window's life, 34 steps, from the first message to the last counters
// there are.
func TestOneSession(t *testing.T) {
	const (
		filled = window + 1 // greatest once the window is exactly full above 1
		far    = 5 * window // greatest after a jump over several windows
	)
	var w Window
	for i, s := range []struct {
		counter uint64
		want    bool
		why     string
	}{
		{0, true, "the first message"},
		{1, true, "the next"},
		{1, false, "its duplicate"},
		{12, true, "ten are missing"},
		{11, true, "the first latecomer"},
		{10, true, "the second"},
		{10, false, "its duplicate"},
		{filled, true, "the window's far end"},
		{filled - 1, true, "just before it"},
		{filled - 1, false, "its duplicate"},
		{filled - 2, true, "one more back"},
		{2, true, "old, but inside"},
		{2, false, "its duplicate"},
		{filled + 20, true, "the window moves by twenty"},
		{3, false, "what was inside is now outside"},
		{filled + 20, false, "the greatest again"},
		{far, true, "a jump that empties the whole window"},
		{far - window, true, "the oldest still inside"},
		{5, false, "long outside"},
		{far - window - 1, false, "one too old"},
		{far - window - 2, false, "two too old"},
		{far - window + 1, true, "the second oldest inside"},
		{far - window, false, "the oldest again"},
		{0, false, "the very first again"},
		{reject, false, "the limit, never seen"},
		{reject - 1, true, "the last counter there is"},
		{reject, false, "the limit again"},
		{reject - 1, false, "the last counter again"},
		{reject - 2, true, "the last but one, late"},
		{reject + 1, false, "above the limit"},
		{1<<64 - 1, false, "the greatest number of 64 bits"},
		{reject - 2, false, "the last but one again"},
		{reject - 1 - window, true, "the oldest inside the last window"},
		{0, false, "where it all began"},
	} {
		if got := w.Accept(s.counter); got != s.want {
			t.Fatalf("step %d, counter %d (%s): accepted = %v, want %v", i+1, s.counter, s.why, got, s.want)
		}
	}
}

// P19: six ways to walk through a whole window and look at its two ends.
func TestSweeps(t *testing.T) {
	up := func(from, to uint64) (c []uint64) {
		for ; from <= to; from++ {
			c = append(c, from)
		}
		return c
	}
	down := func(from, to uint64) (c []uint64) {
		for ; from >= to && from != 1<<64-1; from-- {
			c = append(c, from)
		}
		return c
	}
	type step struct {
		counter uint64
		want    bool
	}
	for _, s := range []struct {
		name string
		all  []uint64 // all accepted
		then []step
	}{
		{"up, leaving out 0", up(1, window), []step{{0, true}, {0, false}}},
		{"up one further, leaving out 0 and 1", up(2, window+1), []step{{1, true}, {0, false}}},
		{"down to 0", down(window, 0), []step{{0, false}, {window, false}}},
		{"down from one further", down(window+1, 1), []step{{0, false}}},
		{"down, then up, then the lost end", down(window, 1), []step{{window + 1, true}, {0, false}}},
		{"down, the end, then up", down(window, 1), []step{{0, true}, {window + 1, true}, {0, false}}},
	} {
		var w Window
		for _, c := range s.all {
			if !w.Accept(c) {
				t.Fatalf("%s: counter %d is refused", s.name, c)
			}
		}
		for _, x := range s.then {
			if got := w.Accept(x.counter); got != x.want {
				t.Errorf("%s: counter %d afterwards: accepted = %v, want %v", s.name, x.counter, got, x.want)
			}
		}
	}
}

// The window is exact at every alignment of its edge within a word.
func TestEdgeAtEveryAlignment(t *testing.T) {
	for greatest := uint64(3 * window); greatest < 3*window+2*wordBits; greatest++ {
		var w Window
		w.Accept(greatest)
		if w.Accept(greatest - window - 1) {
			t.Errorf("greatest %d: one too old is accepted", greatest)
		}
		if !w.Accept(greatest-window) || w.Accept(greatest-window) {
			t.Errorf("greatest %d: the oldest is not accepted exactly once", greatest)
		}
	}
}

// Jumps of every size around the ring's leave no bit of an earlier round behind.
func TestJumpsLeaveNothingBehind(t *testing.T) {
	for jump := uint64(1); jump < 2*wire.ReplayBits; jump += 61 {
		var w Window
		for c := range uint64(wire.ReplayBits) {
			w.Accept(c)
		}
		greatest := wire.ReplayBits - 1 + jump
		if !w.Accept(greatest) {
			t.Fatalf("jump %d: refused", jump)
		}
		for c := uint64(wire.ReplayBits); c < greatest; c++ {
			if want := c+window >= greatest; w.Accept(c) != want {
				t.Fatalf("jump %d: counter %d: accepted = %v, want %v", jump, c, !want, want)
			}
		}
	}
}

// P17: no counter at or above the limit, ever, whatever came before.
func TestLimit(t *testing.T) {
	for _, before := range []uint64{0, 1 << 32, 1 << 60, reject - 1} {
		var w Window
		w.Accept(before)
		for c := uint64(reject); c != 0; c++ { // up to the greatest number there is
			if w.Accept(c) {
				t.Fatalf("after %d: counter %d is accepted", before, c)
			}
		}
		if before != reject-1 && !w.Accept(reject-1) {
			t.Errorf("after %d: the last counter is refused", before)
		}
	}
}

// P17, B46: counters beyond 32 bits are not confused with their low half.
func TestCountersAre64Bits(t *testing.T) {
	var w Window
	for _, c := range []uint64{5, 1<<32 + 5, 1<<33 + 5, 1<<60 + 5} {
		if !w.Accept(c) || w.Accept(c) || w.Accept(5) {
			t.Errorf("counter %#x", c)
		}
	}
}

// [W] 5.4.6: messages may come out of order; a counter is taken once, and is
// refused when it is too far behind. (The paper's window is about 2000, ours 8128.)
func TestPaper546ReorderedMessagesAreTakenOnce(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, 0))
	var w Window
	const n = 20 * window
	pending := make([]uint64, 0, 1000)
	taken := 0
	flush := func() {
		r.Shuffle(len(pending), func(i, j int) { pending[i], pending[j] = pending[j], pending[i] })
		for _, c := range pending {
			if w.Accept(c) {
				taken++
			}
			if w.Accept(c) {
				t.Fatalf("seed %d: counter %d is taken twice", seed, c)
			}
		}
		pending = pending[:0]
	}
	for c := range uint64(n) {
		if pending = append(pending, c); len(pending) == cap(pending) {
			flush()
		}
	}
	flush()
	if taken != n {
		t.Errorf("seed %d: %d of %d reordered messages are taken (F02)", seed, taken, n)
	}
}

// naive is the window as the RFC's text has it, without a ring.
type naive struct {
	seen     map[uint64]bool
	greatest uint64
	any      bool
}

func (n *naive) accept(c uint64) bool {
	tooOld := n.any && n.greatest > c && n.greatest-c > window
	if c >= reject || tooOld || n.seen[c] {
		return false
	}
	if n.seen == nil {
		n.seen = map[uint64]bool{}
	}
	n.seen[c] = true
	if n.greatest, n.any = max(n.greatest, c), true; len(n.seen) > 4*window {
		for old := range n.seen {
			if n.greatest-old > window {
				delete(n.seen, old)
			}
		}
	}
	return true
}

// P19, Z07: a million counters of mixed kinds against the naive set.
func TestAgainstNaiveSet(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 0))
	var w Window
	var n naive
	for i := range 1_000_000 {
		if i%100_000 == 0 {
			w, n = Window{}, naive{greatest: 0}
			if i%200_000 != 0 { // half of the rounds begin near the limit
				near := reject - 1 - r.Uint64N(20*window)
				w.Accept(near)
				n.accept(near)
			}
		}
		c := pick(r, n.greatest)
		if got, want := w.Accept(c), n.accept(c); got != want {
			t.Fatalf("seed %d, operation %d: counter %d with greatest %d: %v, want %v", seed, i, c, n.greatest, got, want)
		}
	}
}

// pick draws a counter: mostly near the greatest, at times at the edges, a jump,
// or anything.
func pick(r *rand.Rand, greatest uint64) uint64 {
	switch r.IntN(20) {
	case 0:
		return r.Uint64()
	case 1:
		return greatest + r.Uint64N(3*window)
	case 2, 3:
		return greatest - window + r.Uint64N(4) - 2
	case 4, 5, 6:
		return greatest - r.Uint64N(2*window)
	default:
		return greatest + r.Uint64N(10) - 4
	}
}

// Z07: bytes are read as differences from the greatest counter.
func FuzzWindow(f *testing.F) {
	f.Add(uint64(0), []byte{1, 0, 1, 0, 255, 255, 0, 0x80})
	f.Add(uint64(reject-10), []byte{9, 0, 1, 0, 1, 0})
	f.Fuzz(func(t *testing.T, first uint64, ops []byte) {
		var w Window
		var n naive
		if got, want := w.Accept(first), n.accept(first); got != want {
			t.Fatalf("first counter %d: %v, want %v", first, got, want)
		}
		for ; len(ops) >= 2; ops = ops[2:] {
			c := n.greatest + uint64(int64(int16(binary.LittleEndian.Uint16(ops))))
			if got, want := w.Accept(c), n.accept(c); got != want {
				t.Fatalf("counter %d with greatest %d: %v, want %v", c, n.greatest, got, want)
			}
		}
	})
}

func TestAcceptDoesNotAllocate(t *testing.T) {
	var w Window
	c := uint64(0)
	if n := testing.AllocsPerRun(1000, func() { w.Accept(c); c += 3 }); n != 0 {
		t.Errorf("allocates %v times, want 0", n)
	}
}

func BenchmarkAcceptInOrder(b *testing.B) {
	var w Window
	c := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		w.Accept(c)
		c++
	}
}
