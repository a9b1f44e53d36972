package clock

import (
	"sync/atomic"
	"time"

	"github.com/warrenvpn/warren/internal/mono"
)

// Clock tells the time and makes timers. It is safe for concurrent use.
type Clock struct {
	// source is nil for the clock over package time, whose Now is then a
	// direct call.
	source source
	// boot makes boot-time timers where the system has them.
	boot bool
}

// source is a clock that is not read from the system.
type source interface {
	now() mono.Time
	wall() time.Time
	newTimer() *Timer
}

var (
	system   = &Clock{boot: true}
	portable = &Clock{}
)

// System returns the real clock.
func System() *Clock { return system }

// Portable returns a clock over package time alone. It counts suspended time
// only where Go's monotonic clock does, and once a Timer of System found out.
func Portable() *Clock { return portable }

// base is the instant that Now counts from; offset is what the suspended time
// and the origin add to the monotonic time since then, in nanoseconds.
var (
	base   = time.Now()
	offset atomic.Int64
)

// Now returns the present instant. It never goes back.
//
// hot path
func (c *Clock) Now() mono.Time {
	if c.source != nil {
		return c.source.now()
	}
	return mono.Time(int64(time.Since(base)) + offset.Load())
}

// Wall returns the time of day.
func (c *Clock) Wall() time.Time {
	if c.source != nil {
		return c.source.wall()
	}
	return time.Now()
}

// NewTimer returns a timer that is not set. Its owner stops it at the end.
func (c *Clock) NewTimer() *Timer {
	switch {
	case c.source != nil:
		return c.source.newTimer()
	case c.boot:
		return newBootTimer(c)
	default:
		return newPortableTimer(c)
	}
}

// Timer signals that an instant has come. Only one goroutine may call Reset
// and Stop.
type Timer struct {
	c    chan struct{}
	impl timer
}

// timer is what a kind of Timer does. What has come is signalled on the channel
// it was made with.
type timer interface {
	reset(at mono.Time)
	stop()
}

// fire signals c without waiting: one pending signal is as good as two.
func fire(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// C is ready when the instant has come. It may be ready too early, after a
// Reset or after the machine was suspended: the receiver looks at the clock.
func (t *Timer) C() <-chan struct{} { return t.c }

// Reset sets the instant, in place of one set before. An instant that has
// passed fires at once; the zero instant means never.
func (t *Timer) Reset(at mono.Time) { t.impl.reset(at) }

// Stop unsets the timer and frees what it holds. It cannot be used again.
func (t *Timer) Stop() { t.impl.stop() }
