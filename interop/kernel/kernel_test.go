//go:build linux && e2e

package kernel

import (
	"context"
	"testing"
)

// Everything that is tested with a kernel of Linux, in one boot of it each. The
// short form has all of it with what servers run, and with the newest what differs
// between kernels, the configuration and a few handshakes; and wg-quick, since it
// has the time.
func TestKernels(t *testing.T) {
	for _, k := range kernels(t) {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, k)
			b.all = full || k.name == "6.12"
			b.run(t, "without the module", testWithoutModule)
			if err := b.vm.Load(context.Background(), guestModules[4:]...); err != nil {
				t.Fatal(err)
			}
			b.run(t, "tools", testTools)
			if full || !b.all {
				b.run(t, "quick", testQuick)
			}
			b.run(t, "tunnel", testTunnels)
			if full {
				b.run(t, "I04 bad road", testBadRoad)
			}
		})
	}
}
