//go:build linux && e2e

package kernel

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// atOnce bounds what must not need a second attempt of the tunnel: those come
// five seconds after the first.
const atOnce = 4 * time.Second

// I07: one side moves, to another port, address or family; its first packet from
// there is answered, and the other side has followed. Both sides move, in turns.
func testRoaming(t *testing.T, p pair) {
	p.connect(t, combination{})
	if err := p.ours.ping(p.kernel.inner[0], 1, patience); err != nil {
		t.Fatal(err)
	}
	six := false // the family outside
	moves := []struct {
		name string
		move func(t *testing.T, s *side)
	}{
		{"port", func(t *testing.T, s *side) {
			s.port += 100
			s.wg(t, "set %s listen-port %d", s.link, s.port)
		}},
		{"family", func(t *testing.T, s *side) {
			six = !six
			s.wg(t, "set %s peer %s endpoint %s", s.link, p.other(s).pub(), p.other(s).at(six))
		}},
		{"address", func(t *testing.T, s *side) { s.readdress(t, six) }},
		{"port and address", func(t *testing.T, s *side) {
			s.port += 100
			s.wg(t, "set %s listen-port %d", s.link, s.port)
			s.readdress(t, six)
		}},
		{"endpoint of the other, then family and port", func(t *testing.T, s *side) {
			six = !six
			s.port += 100
			s.wg(t, "set %s listen-port %d peer %s endpoint %s", s.link, s.port, p.other(s).pub(), p.other(s).at(six))
		}},
	}
	for n := range 20 {
		mover, m := []*side{p.ours, p.kernel}[n%2], moves[n/2%len(moves)]
		other := p.other(mover)
		t.Run(fmt.Sprintf("%02d %s %s", n, mover, m.name), func(t *testing.T) {
			m.move(t, mover)
			if err := mover.ping(other.inner[n/4%2], 1, atOnce); err != nil {
				t.Errorf("the first packet after the move: %v", err)
			}
			if got, want := p.endpoint(t, other), mover.at(six); got != want {
				t.Errorf("%s believes its peer at %s, want %s", other, got, want)
			}
			if err := other.ping(mover.inner[0], 1, atOnce); err != nil {
				t.Errorf("the way back: %v", err)
			}
		})
	}
}

// readdress replaces the address of a family on the cable by another one.
func (s *side) readdress(t *testing.T, six bool) {
	t.Helper()
	bits, more := 24, ""
	if six {
		bits, more = 64, " nodad"
	}
	old := s.outer[index(six)]
	b := old.AsSlice()
	b[len(b)-1] ^= 0x40
	s.outer[index(six)], _ = netip.AddrFromSlice(b)
	s.ip(t, "address add %s/%d dev %s%s", s.outer[index(six)], bits, s.cable, more)
	s.ip(t, "address del %s/%d dev %s", old, bits, s.cable)
}
