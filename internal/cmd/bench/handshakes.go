package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
)

// shakeHands runs the program that counts handshakes. It is one of its own
// since it links what it compares with.
func shakeHands(ctx context.Context, s *suite) error {
	if s.handshakes == "" {
		s.sayf("%s: left out: --handshakes names the program that counts them", rowHandshakes)
		return nil
	}
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, s.handshakes, "-json", "-n", strconv.Itoa(s.runs))
	cmd.Stderr = &errs
	runtime.LockOSThread() // its death would be taken for ours
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = endsWithUs()
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", s.handshakes, err, bytes.TrimSpace(errs.Bytes()))
	}
	// What they made per second, turn by turn.
	var got struct{ OursAll, TheirsAll []float64 }
	if err := json.Unmarshal(out, &got); err != nil {
		return fmt.Errorf("%s: %w", s.handshakes, err)
	}
	if len(got.OursAll) == 0 || len(got.TheirsAll) == 0 {
		return fmt.Errorf("%s: no figures in %s", s.handshakes, bytes.TrimSpace(out))
	}
	s.add(rowHandshakes, ours, got.OursAll...)
	s.add(rowHandshakes, reference, got.TheirsAll...)
	return nil
}
