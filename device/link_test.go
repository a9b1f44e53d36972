package device

import (
	"slices"
	"testing"
	"testing/synctest"
)

// The kernel takes no packet before the interface is up with its sockets; here
// a lane may have the first ones before control has heard of it. They wait.
func TestPacketsBeforeWordThatTheLinkIsUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.host.SetUp(false)
		synctest.Wait()
		held, release := make(chan struct{}), make(chan struct{})
		go a.call(func() { close(held); <-release })
		<-held
		a.host.SetUp(true)
		var sent [][]byte
		for i := range 3 {
			sent = append(sent, ping(a.inner, b.inner, 84, uint16(i)))
			a.send(sent[i])
			synctest.Wait() // the lane has it, or waits with the one before
		}
		close(release)
		if got := b.received(); !slices.EqualFunc(got, sent, slices.Equal) {
			t.Errorf("received %x, want %x", got, sent)
		}
		if n := a.Drops()["send_failed"]; n != 0 {
			t.Errorf("send_failed = %d, want 0", n)
		}
	})
}

// What comes out of an interface that stays down is dropped soon, and does not
// keep the device from ending.
func TestPacketsOfALinkThatStaysDown(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		join(a, b)
		a.host.SetUp(false)
		synctest.Wait()
		a.send(ping(a.inner, b.inner, 84, 1))
		w.wait(upWait)
		if n := a.Drops()["send_failed"]; n != 1 {
			t.Errorf("send_failed = %d after %v, want 1", n, upWait)
		}
		a.host.SetUp(true)
		synctest.Wait()
		a.reaches(b)
		a.host.SetUp(false)
		synctest.Wait()
		a.send(ping(a.inner, b.inner, 84, 2))
		synctest.Wait()
		a.expect = ErrInterfaceGone
		a.host.Remove()
		synctest.Wait()
		if n := len(a.lanes); n != 0 { // control has ended, or waits for these
			t.Errorf("%d lanes are left when nothing moves any more", n)
		}
	})
}
