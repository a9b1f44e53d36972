package tunnel

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
)

type noIndices struct{}

func (noIndices) Reserve(*Peer) uint32 { return 1 }
func (noIndices) Release(uint32)       {}

// alone returns a peer that is up and has nobody to talk to.
func alone(seed uint64) *Peer {
	var s [32]byte
	s[0], s[1] = byte(seed), byte(seed>>8)
	p := NewPeer(&Env{
		Rand: rand.NewChaCha8(s), Indices: noIndices{},
		Stamp: func() tai64n.Stamp { return tai64n.FromTime(1<<30, 0) },
	}, key.Public{9}, new(Activity))
	p.HandleUp(epoch, nil)
	return p
}

func TestActivityArmsAndCancels(t *testing.T) {
	type step func(*Activity, mono.Time)
	sent := func(a *Activity, now mono.Time) { a.DataSent(now) }
	received := func(a *Activity, now mono.Time) { a.DataReceived(now) }
	keepalive := func(a *Activity, now mono.Time) { a.KeepaliveReceived(now) }
	for _, c := range []struct {
		name               string
		steps              []step // a second apart
		silent, unanswered time.Duration
	}{
		{"nothing", nil, 0, 0},
		{"data sent", []step{sent}, 1, 0},
		{"more data sent counts from the first", []step{sent, sent}, 1, 0},
		{"data received", []step{received}, 0, 1},
		{"more data received counts from the first", []step{received, received}, 0, 1},
		{"data answered with data", []step{received, sent}, 2, 0},
		{"data sent and answered", []step{sent, received}, 0, 2},
		{"data sent and answered with a keepalive", []step{sent, keepalive}, 0, 0},
		{"a keepalive arms nothing", []step{keepalive}, 0, 0},
		{"a keepalive does not answer what was received", []step{received, keepalive}, 0, 1},
		{"armed again after an answer", []step{sent, keepalive, sent}, 3, 0},
	} {
		p := alone(1)
		for i, f := range c.steps {
			f(p.activity, epoch.Add(time.Duration(i+1)*time.Second))
		}
		var silent, owed mono.Time
		if c.silent != 0 {
			t0 := epoch.Add(c.silent * time.Second)
			silent = t0.Add(15*time.Second + p.jitter(t0))
		}
		if c.unanswered != 0 {
			owed = epoch.Add(c.unanswered * time.Second).Add(10 * time.Second)
		}
		if got := p.silentAt(); got != silent {
			t.Errorf("%s: counts as silent at %v, want %v", c.name, got, silent)
		}
		if got := p.keepaliveAt(); got != owed {
			t.Errorf("%s: keepalive due at %v, want %v", c.name, got, owed)
		}
	}
}

func TestActivityWakesOnlyAPeerThatIsAsleep(t *testing.T) {
	p := alone(1)
	a := p.activity
	if a.KeepaliveReceived(epoch); p.Deadline() != 0 {
		t.Error("a keepalive woke the peer")
	}
	if !a.DataSent(epoch) {
		t.Error("the first data did not wake the peer")
	}
	if d := p.Deadline(); d == 0 || d > epoch.Add(wire.KeepaliveTimeout) {
		t.Errorf("awake, but deadline is %v", d)
	}
	if a.DataSent(epoch+1) || a.DataReceived(epoch+2) {
		t.Error("an awake peer was woken")
	}
	at := epoch
	for rounds := 0; p.Deadline() != 0; rounds++ {
		if rounds > 10 {
			t.Fatal("does not go to sleep")
		}
		at = p.Deadline()
		p.HandleTimeout(at, nil)
	}
	if at > epoch.Add(21*time.Second) {
		t.Errorf("went to sleep after %v, want about 20 s", at.Sub(epoch))
	}
	if !a.DataReceived(at) {
		t.Error("data did not wake the peer again")
	}
}

// A steady stream costs one early timeout in ten seconds.
func TestActivityCostOfAStream(t *testing.T) {
	p := alone(1)
	timeouts, wakes := 0, 0
	now := epoch
	for range 1000 * 60 {
		now = now.Add(time.Millisecond)
		if p.activity.DataSent(now) {
			wakes++
		}
		if p.activity.DataReceived(now) {
			wakes++
		}
		if d := p.Deadline(); d <= now {
			timeouts++
			if fx := p.HandleTimeout(now, nil); len(fx) != 0 {
				t.Fatalf("effects of a healthy stream: %v", fx)
			}
		}
	}
	if wakes != 1 || timeouts > 7 {
		t.Errorf("a minute of traffic: %d wakes and %d timeouts, want 1 and at most 7", wakes, timeouts)
	}
}

// The protocol of falling asleep, step by step: all interleavings of a lane that
// arms a deadline with a machine that finds nothing armed. Each letter is one
// atomic operation of Activity.
func TestSleepLosesNoDeadlineInAnyInterleaving(t *testing.T) {
	type state struct {
		armed, awake    bool
		laneSawAsleep   bool
		woke            bool // the lane returned wake
		machineSawArmed bool
	}
	lane := []func(*state){
		func(s *state) { s.armed = true },
		func(s *state) { s.laneSawAsleep = !s.awake },
		func(s *state) {
			if s.laneSawAsleep && !s.awake {
				s.awake, s.woke = true, true
			}
		},
	}
	machine := []func(*state){
		func(s *state) { s.awake = false },
		func(s *state) { s.machineSawArmed = s.armed },
		func(s *state) {
			if s.machineSawArmed {
				s.awake = true
			}
		},
	}
	n := 0
	var explore func(s state, l, m int, path string)
	explore = func(s state, l, m int, path string) {
		if l == len(lane) && m == len(machine) {
			n++
			if !s.awake {
				t.Errorf("%s: armed, but asleep", path)
			}
			if !s.machineSawArmed && !s.woke {
				t.Errorf("%s: neither side knows of the deadline", path)
			}
			return
		}
		if l < len(lane) {
			next := s
			lane[l](&next)
			explore(next, l+1, m, path+"L")
		}
		if m < len(machine) {
			next := s
			machine[m](&next)
			explore(next, l, m+1, path+"M")
		}
	}
	explore(state{awake: true}, 0, 0, "")
	if n != 20 {
		t.Errorf("explored %d interleavings, want 20", n)
	}
}

// The same with the code itself and two goroutines that start at the same moment,
// as often as it takes to meet in every step.
func TestSleepMeetsALane(t *testing.T) {
	var a Activity
	var start, done atomic.Int64
	const rounds = 40_000
	now := epoch.Add(time.Hour)
	go func() {
		for round := int64(1); round <= rounds; round++ {
			spinUntil(&start, round)
			a.DataReceived(now)
			done.Add(1)
		}
	}()
	for round := int64(1); round <= rounds; round++ {
		a.reset()
		a.awake.Store(int64(epoch))
		start.Store(round)
		for range round % 32 { // drift across the lane's steps
			_ = a.another.Load()
		}
		a.settle(now)
		spinUntil(&done, round)
		if a.awake.Load() == 0 {
			t.Fatalf("round %d: armed, but asleep", round)
		}
	}
}

// spinUntil waits for v to become n, most of the time without yielding.
func spinUntil(v *atomic.Int64, n int64) {
	for i := 1; v.Load() != n; i++ {
		if i%10_000 == 0 {
			runtime.Gosched()
		}
	}
}

// And with several lanes: they arm and cancel while
// control goes to sleep as often as it can. Whenever all is quiet, either nothing
// is armed, or the machine has a deadline it was told of.
func TestSleepLosesNoDeadlineUnderRace(t *testing.T) {
	p := alone(1)
	a := p.activity
	var clock atomic.Int64
	clock.Store(int64(epoch))
	for round := range 3000 {
		var told atomic.Bool
		var lanes, control sync.WaitGroup
		var stop atomic.Bool
		for lane := range 2 {
			lanes.Go(func() {
				for i := range 3 {
					now := mono.Time(clock.Add(int64(time.Millisecond)))
					var wake bool
					switch (round + lane + i) % 4 {
					case 0:
						wake = a.DataSent(now)
					case 1:
						wake = a.DataReceived(now)
					case 2:
						a.KeepaliveReceived(now)
					case 3:
						wake = a.DataSent(now)
					}
					if wake {
						told.Store(true)
					}
				}
			})
		}
		armed := mono.Time(0) // the entry control has in its heap
		control.Go(func() {
			for {
				last := stop.Load()
				if told.Swap(false) || armed != 0 {
					// The clock leaps, so that every look is one that may sleep.
					now := mono.Time(clock.Add(int64(lookAgain)))
					p.HandleTimeout(now, nil)
					armed = p.Deadline()
				}
				if last {
					return
				}
			}
		})
		lanes.Wait()
		stop.Store(true)
		control.Wait()
		if told.Load() {
			armed = p.Deadline()
		}
		if a.armed() && (armed == 0 || !told.Load() && a.awake.Load() == 0) {
			t.Fatalf("round %d: something is armed, and control has the deadline %v", round, armed)
		}
		p.HandleDown(epoch, nil)
		p.HandleUp(epoch, nil)
	}
}

// T11, B29: the jitter is below a third of a second, the same for the same peer
// and time, and unrelated between peers: chi-square over 1000 peers.
func TestJitter(t *testing.T) {
	const peers, buckets = 1000, 10
	for _, at := range []mono.Time{epoch, epoch + 1, epoch.Add(time.Hour)} {
		var count [buckets]int
		for seed := range uint64(peers) {
			p := alone(seed)
			j := p.jitter(at)
			if j < 0 || j >= time.Second/3 || j != p.jitter(at) {
				t.Fatalf("jitter %v, want it steady and within [0, 333ms]", j)
			}
			count[int(j*buckets/wire.RekeyTimeoutJitterMax)]++
		}
		chi := 0.0
		for _, n := range count {
			d := float64(n) - peers/buckets
			chi += d * d / (peers / buckets)
		}
		if chi > 27.9 { // 9 degrees of freedom, p = 0.001
			t.Errorf("at %v: chi-square %.1f over %v, want below 27.9", at, chi, count)
		}
	}
}

// TestEffectsArePrintable keeps the names complete.
func TestEffectsArePrintable(t *testing.T) {
	var names []string
	for k := Transmit; k <= Report; k++ {
		names = append(names, k.String())
	}
	for e := HandshakeComplete; e <= KeysErased; e++ {
		names = append(names, e.String())
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != int(Report)+int(KeysErased) || slices.Contains(names, "none") {
		t.Errorf("names are not complete: %s", strings.Join(names, " "))
	}
	if got := fmt.Sprint(Kind(0), Event(200)); got != "none none" {
		t.Errorf("names of no kind and no event: %q", got)
	}
}
