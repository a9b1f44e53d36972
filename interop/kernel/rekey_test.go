//go:build linux && e2e

package kernel

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// One side forgets its sessions, the other does not: the next packet brings a
// new one about. Then both begin at once (T08), which ends in one session.
func testNewSessions(t *testing.T, p pair) {
	for n := range 6 {
		c := combination{kernelInitiates: n%2 == 1, preshared: n%3 == 0, outer6: n/2%2 == 1, inner6: n/3%2 == 1}
		t.Run(fmt.Sprintf("%d %s", n, c), func(t *testing.T) {
			initiator, responder := p.connect(t, c)
			to, back := responder.inner[index(c.inner6)], initiator.inner[index(c.inner6)]
			if err := initiator.ping(to, 3, patience); err != nil {
				t.Fatal(err)
			}
			p.forget(t, initiator)
			if err := initiator.ping(to, 3, atOnce); err != nil {
				t.Errorf("after %s has forgotten: %v", initiator, err)
			}
			// Now the responder knows where to turn to.
			p.forget(t, responder)
			if err := responder.ping(back, 3, atOnce); err != nil {
				t.Errorf("after %s has forgotten: %v", responder, err)
			}
			p.forget(t, initiator)
			p.forget(t, responder)
			var both sync.WaitGroup
			for _, s := range []*side{initiator, responder} {
				both.Go(func() {
					// Crossed initiations may cost a second attempt, five seconds later.
					if err := s.ping(p.other(s).inner[index(c.inner6)], 3, patience); err != nil {
						t.Errorf("both at once, from %s: %v", s, err)
					}
				})
			}
			both.Wait()
		})
	}
}

// forget has a side forget its sessions, as a link that goes down does. Its
// routes and IPv6 addresses are put back.
//
// A responder takes 50 initiations in a second from a peer, so none within 20 ms
// of the one before (compat 5.4), and the kernel's clock for that is a coarse one:
// the next would have to be repeated, five seconds later.
func (p pair) forget(t *testing.T, s *side) {
	t.Helper()
	time.Sleep(100 * time.Millisecond)
	s.ip(t, "link set %s down", s.link)
	s.noticed(t, false)
	s.ip(t, "link set %s up", s.link)
	s.ip(t, "address replace %s/64 dev %s nodad", s.inner[1], s.link)
	s.noticed(t, true)
}

// A session is renewed after 120 s by its initiator, the kernel or ours, without
// the loss of a packet; T01.
func testRekey(t *testing.T, p pair) {
	for _, c := range []combination{{preshared: true}, {kernelInitiates: true, outer6: true, inner6: true}} {
		t.Run(c.String(), func(t *testing.T) {
			initiator, responder := p.connect(t, c)
			if err := initiator.ping(responder.inner[index(c.inner6)], 1, patience); err != nil {
				t.Fatal(err)
			}
			before := p.handshake(t, responder)
			const gap = 100 * time.Millisecond
			sent, lost, slowest, err := initiator.steady(responder.inner[index(c.inner6)], gap, 130*time.Second)
			if err != nil || lost > 0 {
				t.Errorf("%d of %d echo requests were not answered (%v)", lost, sent, err)
			}
			after := p.handshake(t, responder)
			if d := after - before; d < 119 || d > 126 {
				t.Errorf("the second handshake came %d s after the first, want 120", d)
			}
			t.Logf("%d echo requests, all answered, the slowest after %v; the new session came after %d s", sent, slowest, after-before)
		})
	}
}
