package device

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/conf"
)

// many is a device with n peers.
type many int

func (n many) Status() conf.Device     { return conf.Device{Peers: make([]conf.Peer, n)} }
func (n many) Apply(conf.Change) error { return nil }

// Memory goes back before a large change is answered, and once after the last of
// large answers; small ones are not worth it.
func TestMemoryOfLargeRequestsGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		released := 0
		check := func(what string, want int) {
			t.Helper()
			synctest.Wait()
			if released != want {
				t.Errorf("%s: memory was given back %d times, want %d", what, released, want)
			}
		}
		large, small := newThrifty(many(bulk)), newThrifty(many(bulk-1))
		large.release = func() { released++ }
		small.release = large.release
		_ = small.Apply(conf.Change{Peers: make([]conf.PeerChange, bulk-1)})
		small.Status()
		time.Sleep(2 * settle)
		check("small", 0)
		_ = large.Apply(conf.Change{Peers: make([]conf.PeerChange, bulk)})
		check("large change", 1)
		for range 5 {
			large.Status()
			time.Sleep(settle / 2)
		}
		check("while it is asked again and again", 1)
		time.Sleep(settle)
		check("large answer", 2)
	})
}
