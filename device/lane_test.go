package device

import (
	"slices"
	"testing"
	"testing/synctest"
)

// A load that is worked on out of turn does not overtake the one before it.
func TestWorkNowKeepsTheOrder(t *testing.T) {
	for plan, pipelined := range map[string]bool{"inline": false, "pipelined": true} {
		t.Run(plan, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				made, release := 0, make(chan struct{})
				var passed *int
				var order []string
				c, load := newConveyor(pipelined, func() *int { made++; return new(int) }, func(l *int) {
					if l == passed && len(order) == 0 {
						<-release
						order = append(order, "passed")
						return
					}
					order = append(order, "now")
				})
				passed = load
				ended := make(chan struct{})
				go func() {
					load = c.pass(load)
					c.workNow(load)
					c.pass(load) // as many loads as before
					c.close()
					close(ended)
				}()
				synctest.Wait() // for whoever would overtake
				close(release)
				<-ended
				if want := []string{"passed", "now", "now"}; !slices.Equal(order, want) {
					t.Errorf("order = %v, want %v", order, want)
				}
			})
		})
	}
}
