//go:build linux && e2e

package tunnel_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// daemon returns the process of the only device in this process namespace.
func daemon(t *testing.T) *os.Process {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	check(t, err)
	for _, f := range files {
		words, _ := os.ReadFile(f)
		if args := strings.Split(string(words), "\x00"); len(args) > 2 && args[1] == "device" {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			check(t, err)
			p, err := os.FindProcess(pid)
			check(t, err)
			return p
		}
	}
	t.Fatal("there is no daemon")
	return nil
}

// A daemon that does not answer keeps nobody: a signal ends the wait, and after
// a while its interface is removed without it.
func TestStuckDaemon(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "wg0.conf", keys.Replace("[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = 0.0.0.0/0\n"))
	before := state(t)
	warren(t, "up", "./wg0.conf").wantDone(t)
	stuck := daemon(t)
	check(t, stuck.Signal(syscall.SIGSTOP))

	up := state(t)
	cmd := command("/proc/self/exe", "down", "./wg0.conf")
	check(t, cmd.Start())
	// Two connections are to see whether anybody listens, the next is it.
	waitFor(t, "the wait", func() bool {
		fields := strings.Fields(sh(t, "ss -Hxl | grep wg0.sock"))
		queued, err := strconv.Atoi(fields[2])
		check(t, err)
		return queued > 2
	})
	began := time.Now()
	check(t, cmd.Process.Signal(syscall.SIGINT))
	if r := finish(t, cmd); r.code != 130 || time.Since(began) > 5*time.Second {
		t.Errorf("a signal while a daemon is waited for: exit code %d after %v, want 130 at once\n%s", r.code, time.Since(began), r.text)
	}
	if now := state(t); now != up {
		t.Errorf("a down that was ended changed the host:\n%s", difference(up, now))
	}

	r := warren(t, "down", "./wg0.conf")
	r.wantDone(t)
	if !strings.Contains(r.text, "[!] the interface wg0 is gone; its daemon does not answer and may still run\n") {
		t.Errorf("not a word of the daemon:\n%s", r.text)
	}
	ports := regexp.MustCompile(`(?m)^UNCONN.*\n`) // which it keeps
	if now := ports.ReplaceAllString(state(t), ""); now != before {
		t.Errorf("down with a stuck daemon left\n%s", difference(before, now))
	}
	warren(t, "up", "./wg0.conf").wantDone(t)
	warren(t, "down", "./wg0.conf").wantDone(t)
	check(t, stuck.Signal(syscall.SIGCONT))
	wantUnchanged(t, "a stuck daemon that went on", before)
}

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time", what)
		}
	}
}
