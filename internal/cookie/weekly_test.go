//go:build weekly

package cookie

import (
	"testing"

	"github.com/warrenvpn/warren/internal/vectors/timing"
	"github.com/warrenvpn/warren/internal/wire"
)

// A25: whether the first byte of a MAC is wrong or the last one, refusing the
// message takes as long.
func TestTimingOfMACs(t *testing.T) {
	n := newScene(1)
	n.teach(t, start, home)
	m := n.message(start, wire.TypeInitiation)
	for name, tc := range map[string]struct {
		mac   []byte
		right func() bool
	}{
		"mac1": {wire.MAC1(m), func() bool { return n.c.CheckMAC1(m) }},
		"mac2": {wire.MAC2(m), func() bool { return n.c.CheckMAC2(start, m, home) }},
	} {
		t.Run(name, func(t *testing.T) {
			if !tc.right() {
				t.Fatal("refused before it is changed")
			}
			right, accepted := [wire.MACSize]byte(tc.mac), 0
			wrong := [2][wire.MACSize]byte{right, right}
			wrong[0][0] ^= 1
			wrong[1][wire.MACSize-1] ^= 1
			timing.Test(t, 1_000_000, func(class int) {
				timing.Choose(class, tc.mac, wrong[0][:], wrong[1][:])
			}, func() {
				if tc.right() {
					accepted++
				}
			})
			copy(tc.mac, right[:])
			if accepted != 0 {
				t.Errorf("%d wrong MACs were accepted", accepted)
			}
		})
	}
}
