//go:build linux && e2e

package tunnel_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/cmd/tunnel"
	"github.com/warrenvpn/warren/internal/hostnet"
	"github.com/warrenvpn/warren/internal/quick"
)

// dieEnv makes a command of this test binary kill itself at a moment of a step:
// the number of moments to go.
const dieEnv = "WARREN_TEST_DIE"

func dieWhereTold() {
	n, err := strconv.Atoi(os.Getenv(dieEnv))
	if err != nil {
		return
	}
	_ = os.Unsetenv(dieEnv)
	tunnel.SetProbe(func(m hostnet.Moment, _ quick.Step) {
		if m != hostnet.Intended && m != hostnet.Performed {
			return // nothing has happened since the moment before
		}
		if n--; n == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
}

// crashes are configurations in which every step may be the last.
var crashes = []struct{ name, text string }{
	{"nothing", "[Interface]\nPrivateKey = $KEY\n"},
	{"relay", "[Interface]\nAddress = 10.0.0.1/24, fd00:9::1/64\nListenPort = 51820\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = 10.0.0.3/32\n[Peer]\nPublicKey = $P2\nAllowedIPs = 192.168.1.0/24\n"},
	{"client", "[Interface]\nAddress = 10.0.0.3/32\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = 10.0.0.0/24\nEndpoint = 192.0.2.1:51820\nPersistentKeepalive = 25\n"},
	{"full tunnel", "[Interface]\nAddress = 10.0.0.3/32, fd00:9::3/128\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = 192.0.2.1:51820\n"},
	{"full tunnel of IPv4", "[Interface]\nAddress = 10.0.0.3/32\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = 0.0.0.0/0\n"},
	{"full tunnel of IPv6", "[Interface]\nAddress = fd00:9::3/128\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = ::/0\n"},
	{"full tunnel with FwMark", "[Interface]\nFwMark = 0x99\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = 0.0.0.0/0, ::/0\n"},
	{"full tunnel with DNS", "[Interface]\nAddress = 10.0.0.3/32\nDNS = 10.0.0.53, corp.example\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = 0.0.0.0/0\n"},
	{"DNS", "[Interface]\nAddress = 10.0.0.3/24\nDNS = 10.0.0.53\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = 10.0.0.0/24\n"},
	{"table", "[Interface]\nTable = 1234\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = 0.0.0.0/0, 10.0.0.0/8\n"},
	{"table by name", "[Interface]\nTable = default\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = 10.0.0.0/8\n"},
	{"table off", "[Interface]\nTable = off\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = 0.0.0.0/0\n"},
	{"hooks", "[Interface]\nPrivateKey = $KEY\nPreUp = true; true\nPostUp = echo up > /dev/null\nPreDown = true\nPostDown = true\n"},
	{"key by hook", "[Interface]\nPreUp = wg set %i private-key <(echo $KEY)\nAddress = 10.0.0.1/24\n[Peer]\nPublicKey = $P1\nAllowedIPs = 10.0.0.2/32\n"},
	{"default route by hook", "[Interface]\nPrivateKey = $KEY\nPreUp = wg set %i peer $P1 allowed-ips 0.0.0.0/0\n"},
	{"MTU", "[Interface]\nMTU = 1380\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n"},
	{"halves", "[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = 0.0.0.0/1, 128.0.0.0/1\n"},
	{"addresses", "[Interface]\nAddress = 10.0.0.1/24, 10.0.0.2/24, fd00:9::1/64\nAddress = fd00:9::2/64\nPrivateKey = $KEY\n"},
	{"nested", "[Interface]\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = 10.0.0.0/8, 10.1.0.0/16, 10.1.1.0/24\n"},
	{"user plane", "[Interface]\n# Warren.Plane = user\nPrivateKey = $KEY\nAddress = 10.0.0.1/24\n"},
	{"search domain", "[Interface]\nPrivateKey = $KEY\nDNS = 10.0.0.53, a.example, b.example\nPostUp = true\n"},
	{"full tunnel and more", "[Interface]\nAddress = 10.0.0.3/24, fd00:9::3/64\nDNS = 10.0.0.53\nMTU = 1400\nPrivateKey = $KEY\nPostUp = true\nPreDown = true\n[Peer]\nPublicKey = $P1\nAllowedIPs = 0.0.0.0/0, ::/0\n[Peer]\nPublicKey = $P2\nAllowedIPs = 10.1.0.0/16, fd00:10::/48\n"},
}

// Q20, Q23, Q24, U01: killed at every moment of every step of up, the host is as
// before after the next down, or the next up and down.
func TestKilledUp(t *testing.T)    { killedUp(t, 0) }
func TestKilledUpToo(t *testing.T) { killedUp(t, 1) }

func killedUp(t *testing.T, part int) {
	t.Parallel()
	if inside(t) {
		eachCrash(t, part, func(t *testing.T, before string) {
			for n := 1; ; n++ {
				if !killedAt(t, n, "up") {
					ourQuick(t, "down").wantDone(t)
					wantUnchanged(t, "down", before)
					if n < 8 {
						t.Errorf("only %d moments to die at", n-1)
					}
					return
				}
				if n%2 == 0 {
					recovered(t, ourQuick(t, "down"))
				} else {
					ourQuick(t, "up").wantDone(t)
					ourQuick(t, "down").wantDone(t)
				}
				wantUnchanged(t, fmt.Sprintf("up, killed at moment %d and recovered from,", n), before)
				if t.Failed() {
					return
				}
			}
		})
	}
}

// Q20, U01: the same for down.
func TestKilledDown(t *testing.T)    { killedDown(t, 0) }
func TestKilledDownToo(t *testing.T) { killedDown(t, 1) }

func killedDown(t *testing.T, part int) {
	t.Parallel()
	if inside(t) {
		eachCrash(t, part, func(t *testing.T, before string) {
			for n := 1; ; n++ {
				ourQuick(t, "up").wantDone(t)
				if !killedAt(t, n, "down") {
					wantUnchanged(t, "down", before)
					return
				}
				if r := ourQuick(t, "up"); r.code == 0 {
					ourQuick(t, "down").wantDone(t) // it had to be finished first
				} else {
					recovered(t, ourQuick(t, "down"))
				}
				wantUnchanged(t, fmt.Sprintf("down, killed at moment %d and recovered from,", n), before)
				if t.Failed() {
					return
				}
			}
		})
	}
}

// U01: killed at any time whatever, also in the middle of a step.
func TestKilledAnyTime(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 60 {
		c := crashes[random.IntN(len(crashes))]
		write(t, "/etc/wireguard/wg0.conf", keys.Replace(c.text))
		before := state(t)
		cmd := exec.Command(ours+"/wg-quick", "up", "wg0")
		check(t, cmd.Start())
		delay := time.Duration(random.Int64N(int64(150 * time.Millisecond)))
		time.Sleep(delay)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if i%2 == 0 {
			if r := ourQuick(t, "up"); r.code != 0 && !strings.Contains(r.text, "already exists") {
				t.Errorf("up after it was killed after %v: %d\n%s", delay, r.code, r.text)
			}
		}
		recovered(t, ourQuick(t, "down"))
		wantUnchanged(t, fmt.Sprintf("%s, killed after %v and recovered from,", c.name, delay), before)
	}
}

// eachCrash calls f with every other configuration as wg0.
func eachCrash(t *testing.T, part int, f func(t *testing.T, before string)) {
	for i, c := range crashes {
		if i%2 != part {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			write(t, "/etc/wireguard/wg0.conf", keys.Replace(c.text))
			f(t, state(t))
		})
	}
}

// killedAt runs a command that is to die at its nth moment, and reports whether
// it did.
func killedAt(t *testing.T, n int, verb string) bool {
	t.Helper()
	cmd := exec.Command(ours+"/wg-quick", verb, "wg0")
	cmd.Env = append(os.Environ(), dieEnv+"="+strconv.Itoa(n))
	r := finish(t, cmd)
	if r.code != -1 {
		r.wantDone(t)
	}
	return r.code == -1
}

func ourQuick(t *testing.T, verb string) result {
	t.Helper()
	return program(t, ours+"/wg-quick", verb, "wg0")
}

// recovered: a down either found something to clean up, or nothing at all.
func recovered(t *testing.T, r result) {
	t.Helper()
	if r.code != 0 && !strings.Contains(r.text, "is not a WireGuard interface") {
		t.Errorf("down ended with %d:\n%s", r.code, r.text)
	}
}
