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
			t.Run("without the module", func(t *testing.T) { testWithoutModule(t, b) })
			if err := b.vm.Load(context.Background(), "wireguard", "tun", "dummy", "sch_netem"); err != nil {
				t.Fatal(err)
			}
			t.Run("tools", func(t *testing.T) { testTools(t, b) })
			t.Run("tunnel", func(t *testing.T) { testTunnels(t, b) })
		})
	}
}
