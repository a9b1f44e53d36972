package tun

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestGateShutWaitsForUsers(t *testing.T) {
	for range 1000 {
		g := newGate()
		var inside, after atomic.Int64
		shut := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for g.enter() {
					inside.Add(1)
					select {
					case <-shut:
						after.Add(1)
					default:
					}
					inside.Add(-1)
					g.leave()
				}
			})
		}
		g.shut()
		if n := inside.Load(); n != 0 {
			t.Fatalf("%d users inside a shut gate", n)
		}
		close(shut)
		wg.Wait()
		if n := after.Load(); n != 0 {
			t.Fatalf("%d users came in after it was shut", n)
		}
		if g.enter() {
			t.Fatal("a shut gate lets somebody in")
		}
	}
}
