//go:build linux && e2e

package clock

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// A time namespace shifts both clocks of the process by fixed offsets; instants
// and timers have to go by the shifted boot-time clock (joint 18). The test
// runs itself inside one.
func TestTimeNamespace(t *testing.T) {
	const inside = "WARREN_CLOCK_TEST_INSIDE"
	if os.Getenv(inside) == "" {
		cmd := exec.Command("unshare", "--time", "--boottime", "1000000", "--monotonic", "2000000", "--fork",
			os.Args[0], "-test.run", "^(TestTimeNamespace|TestNowIsBootTime|TestTimerSignals.*|TestRefresh.*)$", "-test.count", "1")
		cmd.Env = append(os.Environ(), inside+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	now := System().Now()
	if now < 1_000_000e9 {
		t.Errorf("Now = %v, want more than the offset of the namespace", time.Duration(now))
	}
	timer := System().NewTimer()
	defer timer.Stop()
	timer.Reset(now.Add(10 * time.Millisecond))
	for System().Now() < now.Add(10*time.Millisecond) {
		<-timer.C()
		timer.Reset(now.Add(10 * time.Millisecond))
	}
}
