//go:build linux && e2e

package kernel

import (
	"context"
	"testing"
)

// Everything that is tested with a kernel of Linux, in one boot of it each.
func TestKernels(t *testing.T) {
	for _, k := range kernels(t) {
		t.Run(k.name, func(t *testing.T) {
			b := newBed(t, k)
			b.run(t, "without the module", testWithoutModule)
			if err := b.vm.Load(context.Background(), "wireguard", "tun", "dummy", "sch_netem"); err != nil {
				t.Fatal(err)
			}
			b.run(t, "tools", testTools)
			b.run(t, "tunnel", testTunnels)
		})
	}
}
