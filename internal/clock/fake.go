package clock

import (
	"sync"
	"time"

	"github.com/warrenvpn/warren/internal/mono"
)

// Fake is a clock that stands still until it is told to move. It needs no
// goroutine, so it works inside and outside a testing/synctest bubble.
type Fake struct {
	mu     sync.Mutex // guards what follows
	nanos  mono.Time
	day    time.Time
	timers map[*fakeTimer]struct{}
}

// NewFake returns a fake clock that shows the instant and the time of day.
func NewFake(now mono.Time, wall time.Time) *Fake {
	return &Fake{nanos: now, day: wall, timers: make(map[*fakeTimer]struct{})}
}

// Clock returns the clock that f drives.
func (f *Fake) Clock() *Clock { return &Clock{source: f} }

// Advance moves the instant and the time of day forward by d, or the time of
// day back too if d is negative, and signals the timers whose time has come.
// A suspended machine is one big step.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nanos = f.nanos.Add(max(d, 0))
	f.day = f.day.Add(d)
	for t := range f.timers {
		t.fireIfDue()
	}
}

// SetWall sets the time of day alone, as an administrator or NTP does.
func (f *Fake) SetWall(wall time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.day = wall
}

// Next returns the earliest instant that a timer is set to, zero if none is.
func (f *Fake) Next() mono.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	var next mono.Time
	for t := range f.timers {
		next = mono.Earliest(next, t.at)
	}
	return next
}

func (f *Fake) now() mono.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nanos
}

func (f *Fake) wall() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.day
}

func (f *Fake) newTimer() *Timer {
	t := &fakeTimer{fake: f, c: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.timers[t] = struct{}{}
	return &Timer{c: t.c, impl: t}
}

// fakeTimer is guarded by fake.mu.
type fakeTimer struct {
	fake *Fake
	c    chan struct{}
	at   mono.Time
}

func (t *fakeTimer) fireIfDue() {
	if t.at != 0 && t.at <= t.fake.nanos {
		t.at = 0
		fire(t.c)
	}
}

func (t *fakeTimer) reset(at mono.Time) {
	t.fake.mu.Lock()
	defer t.fake.mu.Unlock()
	t.at = at
	t.fireIfDue()
}

func (t *fakeTimer) stop() {
	t.fake.mu.Lock()
	defer t.fake.mu.Unlock()
	delete(t.fake.timers, t)
}
