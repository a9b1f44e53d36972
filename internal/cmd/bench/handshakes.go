package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
)

// shakeHands runs the program that counts handshakes. It is one of its own
// since it links what it compares with.
func shakeHands(ctx context.Context, s *suite) error {
	if s.handshakes == "" {
		return nil
	}
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, s.handshakes, "-runs", strconv.Itoa(s.runs))
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", s.handshakes, err, bytes.TrimSpace(errs.Bytes()))
	}
	// Samples by contestant, in handshakes per second.
	var got samples
	if err := json.Unmarshal(out, &got); err != nil {
		return fmt.Errorf("%s: %w", s.handshakes, err)
	}
	for _, who := range []string{ours, reference} {
		s.add(rowHandshakes, who, got[who]...)
	}
	return nil
}
