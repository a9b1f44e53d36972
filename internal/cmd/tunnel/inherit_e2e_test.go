//go:build linux && e2e

package tunnel_test

import (
	"os"
	"os/exec"
	"testing"
)

// A daemon keeps nothing open that its caller had: not the lock under which a
// script brings a tunnel up. Hooks have it, as under wg-quick.
func TestDaemonKeepsNoLock(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "/etc/wireguard/wg0.conf", keys.Replace("[Interface]\nPrivateKey = $KEY\nPostUp = test /proc/self/fd/9 -ef /run/lk && touch /run/inherited\n"))
	self, err := os.Executable()
	check(t, err)
	for name, up := range map[string]string{
		"warren":       self + " up wg0",
		"wg-quick":     ours + "/wg-quick up wg0",
		"wireguard-go": tools + "/wireguard-go wg0",
	} {
		// The descriptor of the lock, and one among those that are passed on.
		cmd := exec.Command("bash", "-c", "exec 9>/run/lk 4>/run/lk; flock 9; exec "+up)
		finish(t, cmd).wantDone(t)
		if out, err := exec.Command("flock", "-n", "/run/lk", "true").CombinedOutput(); err != nil {
			t.Errorf("%s: the lock is held afterwards: %v %s", name, err, out)
		}
		if name != "wireguard-go" {
			check(t, os.Remove("/run/inherited"))
			warren(t, "down", "wg0").wantDone(t)
		} else {
			sh(t, "ip link delete wg0")
		}
		daemons(t)
	}
}
