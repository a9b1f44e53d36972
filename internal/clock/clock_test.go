package clock

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/internal/mono"
)

func TestNowNeverGoesBackAndIsNeverZero(t *testing.T) {
	for name, c := range map[string]*Clock{"system": System(), "portable": Portable()} {
		last := c.Now()
		if last <= 0 {
			t.Errorf("%s: Now = %d, want an instant above zero", name, last)
		}
		for range 100_000 {
			now := c.Now()
			if now < last {
				t.Fatalf("%s: Now went back by %v", name, last.Sub(now))
			}
			last = now
		}
	}
}

func TestNowDoesNotAllocate(t *testing.T) {
	c := System()
	if n := testing.AllocsPerRun(1000, func() { c.Now() }); n != 0 {
		t.Errorf("Now allocates %v times, want none", n)
	}
}

// Every kind of timer keeps the same contract. The real ones are given times
// that are short, and nothing is concluded from how long they take.
func TestTimerSignalsAfterItsInstant(t *testing.T) {
	for name, c := range map[string]*Clock{"system": System(), "portable": Portable()} {
		timer := c.NewTimer()
		at := c.Now().Add(2 * time.Millisecond)
		timer.Reset(at)
		for c.Now() < at {
			<-timer.C()
			if now := c.Now(); now < at {
				t.Logf("%s: signalled %v early, which is allowed", name, at.Sub(now))
				timer.Reset(at)
			}
		}
		timer.Reset(c.Now().Add(-time.Second))
		<-timer.C() // a passed instant fires at once
		timer.Reset(c.Now())
		<-timer.C() // and again
		timer.Reset(c.Now().Add(time.Hour))
		timer.Reset(0)
		timer.Stop()
	}
}

func TestTimerCanBeMovedAndUnset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Portable()
		start := c.Now()
		timer := c.NewTimer()
		defer timer.Stop()
		timer.Reset(start.Add(time.Hour))
		timer.Reset(start.Add(time.Minute))
		<-timer.C()
		if got := c.Now().Sub(start); got != time.Minute {
			t.Errorf("signalled after %v, want 1m", got)
		}
		timer.Reset(c.Now().Add(time.Second))
		timer.Reset(0)
		select {
		case <-timer.C():
			t.Error("an unset timer signalled")
		case <-time.After(time.Hour):
		}
	})
}

func TestFakeMovesOnlyWhenTold(t *testing.T) {
	day := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	f := NewFake(1, day)
	c := f.Clock()
	timer := c.NewTimer()
	timer.Reset(mono.Time(1).Add(time.Minute))
	if got, want := f.Next(), mono.Time(1).Add(time.Minute); got != want {
		t.Errorf("Next = %v, want %v", got, want)
	}
	f.Advance(59 * time.Second)
	if signalled(timer) {
		t.Error("signalled a second early")
	}
	f.Advance(time.Second)
	if !signalled(timer) {
		t.Error("not signalled at its instant")
	}
	if signalled(timer) {
		t.Error("signalled twice")
	}
	if got := c.Wall().Sub(day); got != time.Minute {
		t.Errorf("wall clock moved by %v, want 1m", got)
	}
	// The wall clock may go back, the instant may not (T12).
	before := c.Now()
	f.Advance(-time.Hour)
	f.SetWall(day)
	if c.Now() != before || !c.Wall().Equal(day) {
		t.Errorf("after going back: %v and %v, want %v and %v", c.Now(), c.Wall(), before, day)
	}
	timer.Reset(before)
	if !signalled(timer) {
		t.Error("a passed instant did not signal at once")
	}
	timer.Reset(before.Add(time.Second))
	timer.Stop()
	if got := f.Next(); got != 0 {
		t.Errorf("Next after Stop = %v, want none", got)
	}
}

// Key ages count suspended time (T13, F25, B61): one big step is a suspend.
func TestFakeSuspendIsOneStep(t *testing.T) {
	f := NewFake(1, time.Unix(0, 0))
	timer := f.Clock().NewTimer()
	timer.Reset(mono.Time(1).Add(10 * time.Second))
	f.Advance(8 * time.Hour)
	if !signalled(timer) {
		t.Error("the timer slept through the suspend")
	}
}

func signalled(t *Timer) bool {
	select {
	case <-t.C():
		return true
	default:
		return false
	}
}

func BenchmarkNow(b *testing.B) {
	c := System()
	for b.Loop() {
		c.Now()
	}
}
