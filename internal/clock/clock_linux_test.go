package clock

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func bootTime(t *testing.T) int64 {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		t.Fatal(err)
	}
	return ts.Nano()
}

func TestNowIsBootTime(t *testing.T) {
	before := bootTime(t)
	now := int64(System().Now())
	after := bootTime(t)
	// The offset is measured once, with the noise of reading two clocks.
	if slack := int64(least); now < before-slack || now > after+slack {
		t.Errorf("Now = %d, want within [%d, %d]", now, before, after)
	}
}

// A suspend cannot be had here, but it looks like this: boot time is ahead of
// the offset that lanes use (joint 18).
func TestRefreshFindsSuspend(t *testing.T) {
	real := offset.Load()
	defer offset.Store(real)
	offset.Store(real - int64(time.Hour))
	before := System().Now()
	if !refresh() {
		t.Error("refresh saw no suspend")
	}
	if slept := System().Now().Sub(before); slept < time.Hour-least {
		t.Errorf("the clock moved by %v over a suspend of 1h", slept)
	}
	if refresh() {
		t.Error("refresh saw the same suspend twice")
	}
}

func TestTimersLeakNothing(t *testing.T) {
	count := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	System().NewTimer().Stop() // opens the poller's own descriptors
	before := count()
	for range 1000 {
		timer := System().NewTimer()
		timer.Reset(System().Now().Add(time.Microsecond))
		timer.Stop()
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors after 1000 timers, %d before (S08)", after, before)
	}
}
