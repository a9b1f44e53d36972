//go:build linux && e2e

package tunnel_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Processes that save the same file at the same time all succeed, and whoever
// reads it meanwhile finds it whole. What a save that died has left is no
// hindrance.
func TestSavesBesideEachOther(t *testing.T) {
	if !inside(t) {
		return
	}
	file := "/etc/wireguard/wg0.conf"
	text := keys.Replace("[Interface]\nPrivateKey = $KEY\nAddress = 10.0.0.1/24\nListenPort = 5555\nSaveConfig = true\n[Peer]\nPublicKey = $P1\nAllowedIPs = 10.9.0.0/16\n# the end\n")
	write(t, file, text)
	warren(t, "up", "wg0").wantDone(t)
	warren(t, "save", "wg0").wantDone(t)
	whole := read(t, file)
	if !strings.Contains(whole, "# the end") {
		t.Fatalf("saved is\n%s", whole)
	}
	write(t, file+".tmp", "[Interface")
	const savers, times = 6, 12
	results := make(chan string, savers*times)
	var all sync.WaitGroup
	for range savers {
		all.Go(func() {
			for range times {
				if out, err := exec.Command("/proc/self/exe", "save", "wg0").CombinedOutput(); err != nil {
					results <- err.Error() + "\n" + string(out)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for looking := true; looking; {
		select {
		case <-done:
			looking = false
		default:
		}
		if now := read(t, file); now != whole {
			t.Fatalf("saved beside each other, there is\n%s\nwant\n%s", now, whole)
		}
	}
	close(results)
	for r := range results {
		t.Errorf("save beside save: %s", r)
	}
	warren(t, "down", "wg0").wantDone(t)
	left, err := filepath.Glob("/etc/wireguard/*")
	check(t, err)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || len(left) != 1 {
		t.Errorf("afterwards there are %q, mode %v, %v", left, info.Mode(), err)
	}
}
