package tunnel

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/aead"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/wire"
)

// sessionPair returns both ends of a session.
func sessionPair() (initiator, responder *Session) {
	var k, r noise.Keys
	for i := range k.Send {
		k.Send[i], k.Receive[i] = byte(i+1), byte(0x80+i)
	}
	r.Send, r.Receive = k.Receive, k.Send
	return NewSession(1, 2, true, &k, epoch), NewSession(2, 1, false, &r, epoch)
}

func TestSessionCarriesPackets(t *testing.T) {
	s, r := sessionPair()
	for _, n := range []int{0, 16, 1420, 65504} {
		plain := bytes.Repeat([]byte{0xa5}, n)
		buf := make([]byte, wire.TransportHeaderSize+n+wire.TagSize)
		copy(buf[wire.TransportHeaderSize:], plain)
		c, ok, _ := s.Reserve(epoch, 1)
		if !ok {
			t.Fatal("no counter")
		}
		s.Seal(buf, c)
		m := wire.Transport(buf)
		if typ, ok := wire.Classify(buf); !ok || typ != wire.TypeTransport || m.ReceiverIndex() != r.LocalIndex || m.Counter() != c {
			t.Fatalf("header of counter %d is wrong: % x", c, buf[:16])
		}
		damaged := bytes.Clone(buf)
		damaged[len(damaged)-1] ^= 1
		if _, ok := r.Open(damaged, c); ok {
			t.Fatal("a damaged message opened")
		}
		if _, ok := r.Open(bytes.Clone(buf), c+1); ok {
			t.Fatal("a message opened under another counter")
		}
		got, ok := r.Open(buf, c)
		if !ok || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes do not come back", n)
		}
	}
}

// P17, B46: the counter is 64 bits wide on every platform; the compiler checks.
var _ uint64 = new(Session).next.Load()

// P17, B47: preset to limit-2, exactly two more counters, then never any again.
func TestReserveStopsAtTheLimit(t *testing.T) {
	for _, n := range []int{1, 2} {
		s, _ := sessionPair()
		s.next.Store(wire.RejectAfterMessages - 2)
		for want := wire.RejectAfterMessages - 2; want < wire.RejectAfterMessages; want += uint64(n) {
			if first, ok, _ := s.Reserve(epoch, n); !ok || first != want {
				t.Fatalf("Reserve(%d) = %d, %v, want %d", n, first, ok, want)
			}
		}
		for range 3 {
			if first, ok, _ := s.Reserve(epoch, n); ok {
				t.Fatalf("Reserve(%d) gave %d beyond the limit", n, first)
			}
		}
		if s.Sendable() || s.usable(epoch) {
			t.Error("the session still counts as sendable")
		}
	}
}

func TestReserveRefusesARunThatCrossesTheLimit(t *testing.T) {
	s, _ := sessionPair()
	s.next.Store(wire.RejectAfterMessages - 2)
	if _, ok, _ := s.Reserve(epoch, 3); ok {
		t.Error("a run of 3 was given the last 2 counters")
	}
	s, _ = sessionPair()
	s.next.Store(1<<64 - 1) // cannot happen; must not wrap to 0 even then
	if first, ok, _ := s.Reserve(epoch, 1); ok {
		t.Errorf("the counter wrapped to %d", first)
	}
}

// [W] 6.2: the rekey is asked for from the first message after
// Rekey-After-Messages on, by either role; after Rekey-After-Time by the
// initiator.
func TestReserveAsksForARekey(t *testing.T) {
	i, r := sessionPair()
	for _, c := range []struct {
		name string
		s    *Session
		next uint64
		age  time.Duration
		want bool
	}{
		{"young", i, 0, wire.RekeyAfterTime - 1, false},
		{"old, initiator", i, 0, wire.RekeyAfterTime, true},
		{"old, responder", r, 0, wire.RejectAfterTime - 1, false},
		{"message 2^60, initiator", i, wire.RekeyAfterMessages - 1, 0, false},
		{"message 2^60+1, initiator", i, wire.RekeyAfterMessages, 0, true},
		{"message 2^60, responder", r, wire.RekeyAfterMessages - 1, 0, false},
		{"message 2^60+1, responder", r, wire.RekeyAfterMessages, 0, true},
		{"message 2^63", r, 1 << 63, 0, true},
	} {
		c.s.next.Store(c.next)
		if first, ok, due := c.s.Reserve(epoch.Add(c.age), 1); !ok || first != c.next || due != c.want {
			t.Errorf("%s: Reserve = %d, %v, %v, want %d, true, %v", c.name, first, ok, due, c.next, c.want)
		}
	}
}

func TestReserveStopsAtTheAge(t *testing.T) {
	s, _ := sessionPair()
	if _, ok, _ := s.Reserve(epoch.Add(wire.RejectAfterTime-1), 1); !ok {
		t.Error("refused one nanosecond early")
	}
	if _, ok, _ := s.Reserve(epoch.Add(wire.RejectAfterTime), 1); ok {
		t.Error("given at Reject-After-Time")
	}
	if _, ok, _ := s.Reserve(epoch, 1); ok {
		t.Error("given again after the clock went back (T12)")
	}
	if !s.Receivable(epoch.Add(wire.RejectAfterTime-1)) || s.Receivable(epoch.Add(wire.RejectAfterTime)) {
		t.Error("Receivable does not end at Reject-After-Time")
	}
}

// P17: also with many lanes at once, no counter is given twice and none at or
// above the limit, across both ways of counting.
func TestReserveConcurrently(t *testing.T) {
	const lanes, rounds = 8, 2000
	for name, start := range map[string]uint64{
		"from zero":           0,
		"where adding ends":   sharedLimit - 3000,
		"up to the limit":     wire.RejectAfterMessages - 20000,
		"beyond rekey limits": wire.RekeyAfterMessages - 3000,
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := sessionPair()
			s.next.Store(start)
			type run struct{ first, n uint64 }
			got := make([][]run, lanes)
			var wg sync.WaitGroup
			for lane := range lanes {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(1, uint64(lane)))
					for range rounds {
						n := r.IntN(5) + 1
						if first, ok, _ := s.Reserve(epoch, n); ok {
							got[lane] = append(got[lane], run{first, uint64(n)})
						}
					}
				})
			}
			wg.Wait()
			all := slices.Concat(got...)
			slices.SortFunc(all, func(a, b run) int {
				if a.first < b.first {
					return -1
				}
				return 1
			})
			next := start
			for _, r := range all {
				if r.first != next {
					t.Fatalf("run at %d, want %d: a counter was given twice or lost", r.first, next)
				}
				next += r.n
			}
			if next > wire.RejectAfterMessages {
				t.Errorf("counters up to %d, limit is %d", next, wire.RejectAfterMessages)
			}
		})
	}
}

func TestFirstReceiptOnce(t *testing.T) {
	i, r := sessionPair()
	if i.FirstReceipt() {
		t.Error("a session we began needs no confirmation")
	}
	if n := raceFor(8, r.FirstReceipt); n != 1 {
		t.Errorf("true %d times, want once", n)
	}
	if !r.Confirmed() {
		t.Error("not confirmed")
	}
}

func TestRekeyDueOnReceiveOnce(t *testing.T) {
	i, r := sessionPair()
	at := epoch.Add(165 * time.Second)
	if i.RekeyDueOnReceive(at - 1) {
		t.Error("due a nanosecond early")
	}
	if r.RekeyDueOnReceive(at) {
		t.Error("due for the responder")
	}
	if n := raceFor(8, func() bool { return i.RekeyDueOnReceive(at) }); n != 1 {
		t.Errorf("true %d times, want once", n)
	}
}

// raceFor calls f from n goroutines at once and counts how often it was true.
func raceFor(n int, f func() bool) int {
	var wg sync.WaitGroup
	hits := make([]int, n)
	for i := range n {
		wg.Go(func() {
			for range 1000 {
				if f() {
					hits[i]++
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, h := range hits {
		sum += h
	}
	return sum
}

// A06: each counter is admitted once, however the lanes share the runs.
func TestAdmitRefusesReplays(t *testing.T) {
	_, r := sessionPair()
	if r.window != nil {
		t.Fatal("window before the first receipt")
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	admitted := map[uint64]int{}
	for range 4 {
		wg.Go(func() {
			for base := uint64(0); base < 4000; base += 40 {
				counters, ok := make([]uint64, 40), make([]bool, 40)
				for i := range counters {
					counters[i], ok[i] = base+uint64(i), true
				}
				ok[39] = false // did not authenticate
				r.Admit(counters, ok)
				mu.Lock()
				for i, c := range counters {
					if ok[i] {
						admitted[c]++
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for c := range uint64(4000) {
		want := 1
		if c%40 == 39 {
			want = 0
		}
		if admitted[c] != want {
			t.Fatalf("counter %d admitted %d times, want %d", c, admitted[c], want)
		}
	}
}

// Messages of one call have a counter each, in the header and for the cipher, and
// the last one may be shorter: what is sealed together is what Seal makes of each.
func TestFrameCountsMessages(t *testing.T) {
	s, _ := sessionPair()
	const size, last, n = 16 + 48 + 16, 16 + 16 + 16, 5
	buf := make([]byte, (n-1)*size+last)
	for i := range buf {
		buf[i] = byte(i)
	}
	first := uint64(1<<32 - 2) // the halves of a counter
	var want []byte
	for i := range uint64(n) {
		m := slices.Clone(buf[i*size : min((i+1)*size, uint64(len(buf)))])
		s.Seal(m, first+i)
		want = append(want, m...)
	}
	var r aead.Run
	s.Frame(&r, buf, size, first)
	s.SealRun(&r)
	if !bytes.Equal(buf, want) {
		t.Errorf("sealed together: %x, want %x", buf, want)
	}
	if counters := []uint64{first, first + 1, first + 2, first + 3, first + 4}; !slices.Equal(r.Counters, counters) {
		t.Errorf("counters %x, want %x", r.Counters, counters)
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	s, r := sessionPair()
	var a Activity
	now := epoch
	buf := make([]byte, 3*(16+1424+16))
	var run aead.Run
	counters, ok := make([]uint64, 8), make([]bool, 8)
	r.Admit(counters, ok) // makes the window
	for name, f := range map[string]func(){
		"Reserve": func() { s.Reserve(now, 4) },
		"seal and open": func() {
			first, _, _ := s.Reserve(now, 3)
			s.Frame(&run, buf, len(buf)/3, first)
			s.SealRun(&run)
			r.OpenRun(&run)
			if len(run.OK) != 3 || slices.Contains(run.OK, false) {
				t.Errorf("opened: %v, want 3 messages", run.OK)
			}
			run.Reset()
		},
		"Admit": func() {
			for i := range counters {
				counters[i]++
				ok[i] = true
			}
			r.Admit(counters, ok)
		},
		"questions": func() {
			r.FirstReceipt()
			s.RekeyDueOnReceive(now)
			r.Receivable(now)
			s.Sendable()
		},
		"activity": func() {
			now++
			a.DataSent(now)
			a.DataReceived(now)
			a.KeepaliveReceived(now)
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

// P36: NewSession leaves no copy of the keys with its caller, and Clear none in
// the session.
func TestClearErasesKeys(t *testing.T) {
	var k noise.Keys
	for i := range k.Send {
		k.Send[i], k.Receive[i] = byte(0x11+3*i), byte(0xf1-5*i)
	}
	send, receive := k.Send, k.Receive
	s := NewSession(1, 2, true, &k, epoch)
	if k.Send != [32]byte{} || k.Receive != [32]byte{} {
		t.Error("the caller's keys were not cleared")
	}
	if !holds(s, send[:]) || !holds(s, receive[:]) {
		t.Error("the search does not find the keys of a live session, so it proves nothing")
	}
	s.Clear()
	if holds(s, send[:]) || holds(s, receive[:]) {
		t.Error("a key can still be reached from the session")
	}
	if s.Sendable() {
		t.Error("a cleared session counts as sendable")
	}
	if _, ok, _ := s.Reserve(epoch, 1); ok {
		t.Error("a cleared session gives counters")
	}
}

func BenchmarkReserve(b *testing.B) {
	s, _ := sessionPair()
	b.ReportAllocs()
	for b.Loop() {
		s.Reserve(epoch, 16)
	}
}

func BenchmarkActivityBothWays(b *testing.B) {
	var a Activity
	a.persistent.Store(25)
	now := epoch
	b.ReportAllocs()
	for b.Loop() {
		now++
		a.DataSent(now)
		a.DataReceived(now)
	}
}
