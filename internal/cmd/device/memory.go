package device

import (
	"runtime/debug"
	"sync"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/uapi"
)

// bulk is the number of peers from which a request leaves so much behind that it
// is given back to the system at once. Else the memory of one `wg setconf` would
// stay with the process for minutes or, where nothing else happens, for ever.
const bulk = 10_000

// settle is how long after a large answer its memory is given back: it is still
// being sent, and whoever asks again soon needs it again.
const settle = 3 * time.Second

// thrifty is a device that gives back the memory of large requests.
type thrifty struct {
	uapi.LargeBackend
	release func()

	mu    sync.Mutex // guards timer
	timer *time.Timer
}

func newThrifty(b uapi.LargeBackend) *thrifty {
	return &thrifty{LargeBackend: b, release: debug.FreeOSMemory}
}

// Release gives back the memory of a set of so many peers.
func (t *thrifty) Release(peers int) {
	if peers >= bulk {
		t.release()
	}
}

// Status returns the present state. The memory of a large one is returned later.
func (t *thrifty) Status() conf.Device {
	d := t.LargeBackend.Status()
	if len(d.Peers) >= bulk {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.timer == nil {
			t.timer = time.AfterFunc(settle, t.release)
		} else {
			t.timer.Reset(settle)
		}
	}
	return d
}
