package clock

import (
	"time"

	"github.com/warrenvpn/warren/internal/mono"
)

// portableTimer is a timer of package time.
type portableTimer struct {
	clock *Clock
	timer *time.Timer
}

func newPortableTimer(clock *Clock) *Timer {
	c := make(chan struct{}, 1)
	t := time.AfterFunc(time.Hour, func() { fire(c) })
	t.Stop()
	return &Timer{c: c, impl: &portableTimer{clock: clock, timer: t}}
}

func (t *portableTimer) reset(at mono.Time) {
	if at == 0 {
		t.timer.Stop()
		return
	}
	t.timer.Reset(max(at.Sub(t.clock.Now()), 0))
}

func (t *portableTimer) stop() { t.timer.Stop() }
