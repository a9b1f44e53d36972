//go:build linux && e2e

package tunnel_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// server makes a host behind eth0, in a namespace of its own, with a WireGuard
// interface, an address that is only reached through it, and one that is
// reached by the physical link too.
//
//	here eth0 192.0.2.10 --- 192.0.2.1 far (default route), wg0 10.0.0.1, public 198.51.100.1
const serverScript = `ip link del eth0
ip netns add server
ip link add eth0 type veth peer name far netns server
ip address add 192.0.2.10/24 dev eth0
ip address add 2001:db8::10/64 dev eth0 nodad
ip link set eth0 addrgenmode none up
ip -n server link set far addrgenmode none up
ip -n server link set lo up
ip -n server address add 192.0.2.1/24 dev far
ip -n server address add 2001:db8::1/64 dev far nodad
ip -n server address add 198.51.100.1/32 dev lo
ip -n server address add 2001:db8:100::1/128 dev lo nodad
ip route add default via 192.0.2.1
ip -6 route add default via 2001:db8::1
ip netns exec server env LOG_LEVEL=silent wireguard-go server0 >/dev/null 2>&1
ip netns exec server wg set server0 listen-port 51820 private-key <(echo $SERVER_KEY) peer $CLIENT allowed-ips 10.0.0.2/32,fd00:9::2/128 peer $CLIENT2 allowed-ips 10.0.0.3/32,fd00:9::3/128
ip -n server address add 10.0.0.1/24 dev server0
ip -n server address add fd00:9::1/64 dev server0 nodad
ip -n server link set server0 up
nft -f - <<X
table inet watch {
	counter clear4 { }
	counter clear6 { }
	chain out {
		type filter hook postrouting priority 300;
		oifname eth0 ip daddr 198.51.100.1 counter name clear4
		oifname eth0 ip6 daddr 2001:db8:100::1 counter name clear6
	}
}
X`

const serverKey = "mFpzS0EtcXmZ5jAiYMAzJIb07WNlgiHBAmcXKRrRHGY="

// public returns the public key of a private one.
func public(t *testing.T, private string) string {
	t.Helper()
	cmd := exec.Command("wg", "pubkey")
	cmd.Stdin = strings.NewReader(private + "\n")
	out, err := cmd.Output()
	check(t, err)
	return strings.TrimSpace(string(out))
}

func startServer(t *testing.T) {
	t.Helper()
	check(t, os.MkdirAll("/run/netns", 0o755))
	for k, v := range map[string]string{
		"SERVER_KEY": serverKey, "CLIENT": public(t, privateKey), "CLIENT2": public(t, serverKey2), "PATH": tools + ":" + os.Getenv("PATH"),
	} {
		check(t, os.Setenv(k, v))
	}
	sh(t, serverScript)
}

// serverKey2 is that of a second client.
const serverKey2 = "UFU1vE26vH/L8Jx0WXPNSgzJ9XFHZDQ2dWTYh6cqsUg="

func client(t *testing.T, private, address string) string {
	t.Helper()
	return fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = 10.0.0.%s/32, fd00:9::%s/128\n[Peer]\nPublicKey = %s\nAllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = 192.0.2.1:51820\n",
		private, address, address, public(t, serverKey))
}

// reachable waits until both public addresses are reached: neighbours may have
// to be found again.
const reachable = `for to in 198.51.100.1 2001:db8:100::1; do
	for n in $(seq 20); do ping -q -c1 -W1 $to >/dev/null && break; echo $to $n; ip neigh; ip netns exec server ip neigh; done
done
`

// clear returns how many packets for the public addresses left eth0 in clear
// text.
func clearPackets(t *testing.T) string {
	t.Helper()
	return strings.Join(strings.Fields(sh(t, `nft list counters | grep -o 'packets [0-9]*'`)), " ")
}

// Q22, Q20: all traffic of both families goes through the tunnel, with every
// setting of rp_filter; none of it leaves in clear text while the tunnel is up,
// also under load; and before and after it goes as ever.
func TestFullTunnelCarriesEverything(t *testing.T) {
	if !inside(t) {
		return
	}
	startServer(t)
	write(t, "/etc/wireguard/wg0.conf", client(t, privateKey, "2"))
	for _, filter := range []string{"0", "1", "2"} {
		sh(t, "sysctl -q net.ipv4.conf.all.rp_filter="+filter+" net.ipv4.conf.eth0.rp_filter="+filter)
		t.Log(sh(t, reachable))
		sh(t, "nft reset counters >/dev/null")
		before := state(t)
		ourQuick(t, "up").wantDone(t)
		sh(t, "nft reset counters >/dev/null")
		sh(t, `ping -q -c20 -i0.01 -W5 198.51.100.1 & a=$!; ping -q -c20 -i0.01 -W5 2001:db8:100::1; wait $a
			ping -q -f -c500 198.51.100.1 >/dev/null`)
		if got := clearPackets(t); got != "packets 0 packets 0" {
			t.Errorf("rp_filter %s: %s left in clear text", filter, got)
		}
		if got := strings.TrimSpace(sh(t, "ip -4 route get 198.51.100.1; ip -6 route get 2001:db8:100::1; ip route get 192.0.2.1 mark 51820")); strings.Count(got, "dev wg0") != 2 || strings.Count(got, "dev eth0") != 1 {
			t.Errorf("routes:\n%s", got)
		}
		// From the link, the tunnel's address cannot be reached.
		if out, err := exec.Command("ip", "netns", "exec", "server", "bash", "-c",
			"ip route add 10.0.0.2 via 192.0.2.10 dev far; ping -q -c3 -i0.2 -W1 -I 192.0.2.1 10.0.0.2; r=$?; ip route del 10.0.0.2 via 192.0.2.10 dev far; exit $r").CombinedOutput(); err == nil {
			t.Errorf("a packet to the tunnel's address was taken from the link\n%s", out)
		}
		sh(t, "nft reset counters >/dev/null")
		ourQuick(t, "down").wantDone(t)
		wantUnchanged(t, "a full tunnel", before)
		sh(t, reachable+"nft reset counters >/dev/null")
	}
}

// Q29, Q30: two full tunnels, in any order of going down, by either program:
// exactly what each one added goes, and the other works on.
func TestTwoFullTunnels(t *testing.T) {
	if !inside(t) {
		return
	}
	startServer(t)
	write(t, "/etc/wireguard/wg0.conf", client(t, privateKey, "2"))
	write(t, "/etc/wireguard/wg1.conf", client(t, serverKey2, "3"))
	quick := func(verb, name string) { program(t, ours+"/wg-quick", verb, name).wantDone(t) }
	works := func(what, name string) {
		sh(t, "ping -q -c2 -i0.1 -W5 198.51.100.1; ping -q -c2 -i0.1 -W5 2001:db8:100::1")
		if got := sh(t, "ip -4 route get 198.51.100.1; ip -6 route get 2001:db8:100::1"); strings.Count(got, "dev "+name) != 2 {
			t.Errorf("%s: want all through %s:\n%s", what, name, got)
		}
	}
	sh(t, "ping -q -c1 -W2 198.51.100.1; ping -q -c1 -W2 2001:db8:100::1")
	before := state(t)
	for _, first := range []string{"wg0", "wg1"} {
		quick("up", "wg0")
		one := state(t)
		works("one", "wg0")
		quick("up", "wg1")
		works("two", "wg1")
		quick("down", first)
		if first == "wg1" {
			if after := state(t); after != one {
				t.Errorf("the second changed what the first had made:\n%s", difference(one, after))
			}
		}
		other := map[string]string{"wg0": "wg1", "wg1": "wg0"}[first]
		works("without "+first, other)
		if got := strings.TrimSpace(sh(t, "sysctl -n net.ipv4.conf.all.src_valid_mark; ip -4 rule | grep -c suppress; ip -6 rule | grep -c suppress")); got != "1\n1\n1" {
			t.Errorf("without %s: src_valid_mark and rules: %q, want one of each", first, got)
		}
		quick("down", other)
		wantUnchanged(t, "two full tunnels, "+first+" down first,", before)
	}
}

// What wg-quick of the distribution brought up, ours takes down, and the other
// way round.
func TestTakesOverFromWgQuick(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "/etc/wireguard/wg0.conf", keys.Replace("[Interface]\nPrivateKey = $KEY\nAddress = 10.0.0.3/24, fd00:9::3/64\n[Peer]\nPublicKey = $P1\nAllowedIPs = 0.0.0.0/0, ::/0\n"))
	sh(t, "sysctl -q net.ipv4.conf.all.src_valid_mark=1") // which wg-quick does not restore
	before := state(t)
	wgQuick(t, "up", "wg0").wantDone(t)
	ourQuick(t, "down").wantDone(t)
	wantUnchanged(t, "our down after wg-quick's up", before)
	ourQuick(t, "up").wantDone(t)
	wgQuick(t, "down", "wg0").wantDone(t)
	if r := ourQuick(t, "down"); r.code != 1 || !strings.HasSuffix(r.text, "wg-quick: `wg0' is not a WireGuard interface\n") {
		t.Errorf("down of what wg-quick took down: %d\n%s", r.code, r.text)
	}
	wantUnchanged(t, "wg-quick's down after our up", before)
}

// The file is gone: what was recorded does.
func TestDownWithoutFile(t *testing.T) {
	if !inside(t) {
		return
	}
	before := state(t)
	write(t, "/etc/wireguard/wg0.conf", keys.Replace("[Interface]\nPrivateKey = $KEY\nAddress = 10.0.0.3/24\nDNS = 10.0.0.53\nPreDown = echo pre >> /run/hooks\nPostDown = echo post %i >> /run/hooks\n[Peer]\nPublicKey = $P1\nAllowedIPs = 0.0.0.0/0, ::/0\n"))
	ourQuick(t, "up").wantDone(t)
	check(t, os.Remove("/etc/wireguard/wg0.conf"))
	r := ourQuick(t, "down")
	r.wantDone(t)
	if !strings.Contains(r.text, "[!] /etc/wireguard/wg0.conf is gone") || read(t, "/run/hooks") != "pre\npost wg0\n" {
		t.Errorf("hooks %q\n%s", read(t, "/run/hooks"), r.text)
	}
	wantUnchanged(t, "down without a file", before)
	if r := ourQuick(t, "down"); r.code != 1 || r.text != "wg-quick: `/etc/wireguard/wg0.conf' does not exist\n" {
		t.Errorf("a second down: %d, %q", r.code, r.text)
	}
}

// The daemon died, and with it the interface: the next up or down removes the
// rest.
func TestDeadDaemon(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "/etc/wireguard/wg0.conf", keys.Replace("[Interface]\nPrivateKey = $KEY\nAddress = 10.0.0.3/24\nDNS = 10.0.0.53\n[Peer]\nPublicKey = $P1\nAllowedIPs = 0.0.0.0/0, ::/0\n"))
	before := state(t)
	for _, next := range []string{"down", "up"} {
		ourQuick(t, "up").wantDone(t)
		sh(t, "ip link delete wg0")
		if left := daemons(t); len(left) > 0 {
			t.Fatalf("the daemon lives without its interface: %q", left)
		}
		if r := ourQuick(t, next); next == "down" && (r.code != 1 || !strings.HasSuffix(r.text, "wg-quick: `wg0' is not a WireGuard interface\n")) || next == "up" && r.code != 0 {
			t.Errorf("%s: %d\n%s", next, r.code, r.text)
		}
		if next == "up" {
			ourQuick(t, "down").wantDone(t)
		}
		wantUnchanged(t, next+" after the daemon died", before)
	}
}

// Q24: a container: settings that cannot be written, no programs but bash and
// what hooks bring, no rights but NET_ADMIN.
func TestContainer(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "/etc/wireguard/wg0.conf", keys.Replace("[Interface]\nPrivateKey = $KEY\nAddress = 10.0.0.3/24\nDNS = 10.0.0.53\nPostUp = wg show %i > /run/shown\n[Peer]\nPublicKey = $P1\nAllowedIPs = 10.0.0.0/24, 0.0.0.0/0\n"))
	check(t, os.MkdirAll("/run/bin", 0o755))
	sh(t, "ln -s $(command -v bash) /run/bin/bash")
	contained := func(verb string) result {
		cmd := exec.Command("/usr/sbin/capsh", "--drop=cap_sys_admin,cap_net_raw,cap_sys_module,cap_sys_ptrace", "--", "-c", "PATH=/run/bin exec "+ours+"/wg-quick "+verb+" wg0")
		cmd.Env = []string{"PATH=/run/bin"}
		return finish(t, cmd)
	}
	readOnly := func() {
		check(t, unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND, ""))
		check(t, unix.Mount("", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	}
	for _, c := range []struct {
		mark, filter string
		says         string // of an up that fails
	}{
		{"1", "1", ""}, {"0", "0", ""}, {"0", "2", ""},
		{"0", "1", "wg-quick: /etc/wireguard/wg0.conf:8: AllowedIPs: the setting net.ipv4.conf.all.src_valid_mark is 0 and has to be 1"},
	} {
		sh(t, "sysctl -q net.ipv4.conf.all.src_valid_mark="+c.mark+" net.ipv4.conf.all.rp_filter="+c.filter+" net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.far.rp_filter=0 net.ipv4.conf.default.rp_filter=0")
		before := state(t)
		readOnly()
		r := contained("up")
		if (r.code == 0) != (c.says == "") || c.says != "" && !strings.Contains(r.text, c.says) {
			t.Errorf("src_valid_mark %s, rp_filter %s: %d\n%s", c.mark, c.filter, r.code, r.text)
		}
		if r.code == 0 {
			if shown := read(t, "/run/shown"); !strings.Contains(shown, "interface: wg0") {
				t.Errorf("the hook's wg said %q", shown)
			}
			contained("down").wantDone(t)
		}
		check(t, unix.Unmount("/proc/sys", 0))
		wantUnchanged(t, "up and down in a container", before)
	}
}
