//go:build linux && e2e

package tunnel_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A program that made the interface and then fails, or has to be killed, leaves
// neither interface nor daemon nor journal.
func TestProgramFailsLate(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "wg0.conf", keys.Replace("[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n"))
	check(t, unix.Mkfifo("/run/here", 0o600))
	before := state(t)
	for _, c := range []struct {
		name, end string
		code      int
	}{
		{"fails", "exit 7", 7},
		{"has to be killed", "echo > /run/here; sleep 100", 143},
	} {
		check(t, os.WriteFile("/run/maker", []byte("#!/bin/sh\n"+tools+"/wireguard-go $1\n"+c.end+"\n"), 0o700))
		cmd := command("/proc/self/exe", "up", "./wg0.conf")
		cmd.Env = append(os.Environ(), "WG_QUICK_USERSPACE_IMPLEMENTATION=/run/maker")
		check(t, cmd.Start())
		if c.code == 143 {
			read(t, "/run/here")
			check(t, cmd.Process.Signal(syscall.SIGTERM))
		}
		if r := finish(t, cmd); r.code != c.code {
			t.Errorf("a program that %s: exit code %d, want %d\n%s", c.name, r.code, c.code, r.text)
		}
		wantUnchanged(t, "a program that "+c.name, before)
		if left := sh(t, "pgrep -r R,S,D -x sleep || true"); strings.TrimSpace(left) != "" {
			t.Errorf("a program that %s left %s", c.name, left)
		}
	}
}
