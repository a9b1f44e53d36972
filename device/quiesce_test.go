package device

import "testing"

// Joint 1: what a lane may still use is erased only after its batch boundary.
func TestErasureWaitsForBusyLanes(t *testing.T) {
	var c crew
	idle, busy := c.join(), c.join()
	busy.enter()
	erased := false
	c.bury(func() { erased = true })
	if erased {
		t.Fatal("erased under a lane that works")
	}
	idle.enter()
	if c.sweep(); erased {
		t.Fatal("erased before the busy lane came to its boundary")
	}
	busy.leave()
	busy.enter() // already on the next batch: it cannot have seen what was buried
	if waiting := c.sweep(); !erased || waiting {
		t.Errorf("erased = %v, waiting = %v after the boundary", erased, waiting)
	}
}

func TestErasureIsImmediateWhenAllLanesWait(t *testing.T) {
	var c crew
	c.join()
	erased := false
	c.bury(func() { erased = true })
	if !erased {
		t.Error("a parked lane has passed its boundary")
	}
}
