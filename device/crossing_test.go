package device

import (
	"testing"
	"time"
)

// T08: two peers that begin at the same instant, and go on sending at the same
// instants, have a session after the first retry.
func TestSimultaneousOpenUnderTraffic(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		w.hold(10 * time.Millisecond) // a way there: initiations cross
		for range 35 {
			a.send(ping(a.inner, b.inner, 84, 1))
			b.send(ping(b.inner, a.inner, 84, 1))
			w.wait(200 * time.Millisecond)
		}
		if a.peer(b).LastHandshake.IsZero() || b.peer(a).LastHandshake.IsZero() {
			t.Error("no session after seven seconds of traffic both ways")
		}
	})
}
