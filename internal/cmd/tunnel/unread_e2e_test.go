//go:build linux && e2e

package tunnel_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Nobody reads what an up or a down prints, as with `2>&1 | head -1`: it is done
// to the end all the same, and hooks find SIGPIPE as it always is.
func TestNobodyReads(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "wg0.conf", keys.Replace("[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\nPostUp = grep SigIgn /proc/self/status > /run/ignored\n[Peer]\nPublicKey = $P1\nAllowedIPs = 0.0.0.0/0\n"))
	before := state(t)
	for _, program := range []string{"/proc/self/exe", ours + "/wg-quick"} {
		for _, verb := range []string{"up", "down"} {
			cmd := exec.Command(program, verb, "/run/wg0.conf")
			r, w, err := os.Pipe()
			check(t, err)
			check(t, r.Close())
			cmd.Stdout, cmd.Stderr = w, w
			if err := cmd.Run(); err != nil {
				t.Errorf("%s %s: %v", program, verb, err)
			}
			check(t, w.Close())
		}
		ignored := strings.TrimSpace(strings.TrimPrefix(read(t, "/run/ignored"), "SigIgn:"))
		set, err := strconv.ParseUint(ignored, 16, 64)
		if err != nil || set&(1<<(syscall.SIGPIPE-1)) != 0 {
			t.Errorf("a hook ignores SIGPIPE: of all signals %q", ignored)
		}
		wantUnchanged(t, program+" that nobody reads", before)
	}
	// What is printed for its own sake ends as cat does.
	for _, program := range []string{"/proc/self/exe", ours + "/wg-quick"} {
		cmd := exec.Command(program, "strip", "/run/wg0.conf")
		r, w, err := os.Pipe()
		check(t, err)
		check(t, r.Close())
		cmd.Stdout = w
		if r := finish(t, cmd); r.code != 141 || r.text != "" {
			t.Errorf("%s strip: exit code %d, want 141 and silence\n%s", program, r.code, r.text)
		}
		check(t, w.Close())
	}
}
