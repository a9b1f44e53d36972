//go:build linux && e2e

package interop

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/netlab"
)

// The distribution's wg-quick, its WG_QUICK_USERSPACE_IMPLEMENTATION pointing at
// this daemon, brings both hosts up; data flows; down leaves nothing (I12).
func TestDistributionsWgQuick(t *testing.T) {
	lab, err := netlab.New(netlab.Options{Name: "interop"})
	if err != nil {
		t.Fatal(err)
	}
	defer lab.Close()
	var all [2]*station
	for i := range all {
		h, err := lab.Host(string(rune('a' + i)))
		if err != nil {
			t.Fatal(err)
		}
		all[i] = &station{Host: h, t: t}
	}
	a, b := all[0], all[1]
	for i, s := range all {
		s.inner = []netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.9.0.%d", i+1)), netip.MustParseAddr(fmt.Sprintf("fd09::%d", i+1))}
		s.outer = []netip.Addr{netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", i+1)), netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i+1))}
	}
	if err := lab.Cable(netlab.Port{Host: a.Host, Name: "eth0", Addresses: subnets(a.outer)},
		netlab.Port{Host: b.Host, Name: "eth0", Addresses: subnets(b.outer)}); err != nil {
		t.Fatal(err)
	}
	for i, s := range all {
		o := all[1-i]
		s.quickFile(fmt.Sprintf("%s/24, %s/64", s.inner[0], s.inner[1]), i, o)
		if err := s.SetNames(map[string][]netip.Addr{"peer.example-vpn.dev": o.outer[:1]}); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range all {
		s.quick("up")
		if out := s.must("cat", "/run/hooks"); out != "up wg0\n" {
			t.Errorf("hooks wrote %q, want the interface's name", out)
		}
	}
	for _, inner := range b.inner {
		if err := a.copyTo(b, inner, 4<<20); err != nil {
			t.Errorf("to %s: %v", inner, err)
		}
	}
	for _, s := range all {
		s.quick("down")
		// The script deletes the link and does not wait for the daemon to see it.
		var there string
		for begin := time.Now(); time.Since(begin) < 2*time.Second; time.Sleep(5 * time.Millisecond) {
			if there = s.must("ls", "/run/wireguard"); !strings.Contains(there, ".sock") {
				break
			}
		}
		if strings.Contains(there, ".sock") {
			t.Errorf("after down /run/wireguard holds %q", there)
		}
		if out, err := s.Run(context.Background(), "wg", "show", "wg0"); err == nil {
			t.Errorf("after down there still is %s", out)
		}
	}
}

// The keys of TestDistributionsWgQuick.
var quickKeys = [2][2]string{
	{"IHtdh5ICTApSwsQi19o7Ti8TopBtYvr+5KBH+XCa0ls=", "weZhl7OEN4z3dp0MJt+Mq7r27W0rX8XE3otRZwihvmg="},
	{"8FwnUvUBjS+/LTmGqWJZm09uaOVqWmnrP8duQbbeI0k=", "/XU/9z76kXxv3Z8wwhbFBtS+v/xZadQOQCgB1mTrgmg="},
}

func (s *station) quickFile(addresses string, i int, o *station) {
	s.t.Helper()
	text := fmt.Sprintf(`# a comment
[Interface]
Address = %s
ListenPort = 51820
PrivateKey = %s
PostUp   = echo up %%i > /run/hooks
PreDown = echo down %%i >> /run/hooks

[Peer]
# Name = peer.example-vpn.dev
PublicKey = %s
AllowedIPs = %s/32,%s/128
Endpoint = peer.example-vpn.dev:51820
`, addresses, quickKeys[i][0], quickKeys[1-i][1], o.inner[0], o.inner[1])
	if err := s.WriteFile("/run/wg0.conf", []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *station) quick(what string) {
	s.t.Helper()
	cmd := s.Command(context.Background(), "wg-quick", what, "./wg0.conf")
	cmd.Dir = "/run"
	cmd.Env = append(cmd.Env, "WG_QUICK_USERSPACE_IMPLEMENTATION="+binaries.replacement)
	if _, err := s.Output(cmd); err != nil {
		s.t.Fatal(err)
	}
}

// The distribution's wg sets and shows our daemon exactly as it does
// wireguard-go: what it prints is the same (I10).
func TestDistributionsWgSeesNoDifference(t *testing.T) {
	script := func(s *station) (printed []string) {
		for _, line := range []string{
			"wg set wg0 private-key /run/key listen-port 4000 fwmark 0x20",
			"wg set wg0 peer %[1]s allowed-ips 10.0.0.1/8,fd00::1/8,10.0.0.0/8 endpoint [2001:db8::7]:7 persistent-keepalive 25",
			"wg set wg0 peer %[2]s preshared-key /run/psk allowed-ips 10.0.0.0/9,192.168.0.0/16 endpoint 192.0.2.7:1",
			"wg set wg0 peer %[2]s allowed-ips 10.0.0.0/8",
			"wg set wg0 peer %[2]s endpoint 192.0.2.8:65535 persistent-keepalive off preshared-key /dev/null",
			"wg addconf wg0 /run/add.conf",
			"wg syncconf wg0 /run/sync.conf",
			"wg set wg0 fwmark off listen-port 4001",
			"wg set wg0 peer %[1]s remove",
			"wg set wg0 peer %[2]s persistent-keepalive 65536",
			"wg set wg0 peer nonsense",
			"wg set wg0 peer %[2]s allowed-ips 10.0.0.0/33",
			"wg setconf wg0 /run/bad.conf",
			"wg setconf wg0 /run/sync.conf",
			"wg set wg0 private-key /dev/null",
		} {
			line = fmt.Sprintf(line+"%.0[1]s%.0[2]s", quickKeys[0][1], quickKeys[1][1])
			out, err := s.Run(context.Background(), "sh", "-c",
				line+" 2>&1; echo exit $?; wg show wg0; wg showconf wg0; wg show all dump")
			if err != nil {
				s.t.Fatal(err)
			}
			printed = append(printed, "# "+line+"\n"+string(out))
		}
		return printed
	}
	var results [2][]string
	for i, daemon := range []implementation{warrenDaemon(), referenceDaemon()} {
		lab, err := netlab.New(netlab.Options{Name: "interop"})
		if err != nil {
			t.Fatal(err)
		}
		defer lab.Close()
		h, err := lab.Host("a")
		if err != nil {
			t.Fatal(err)
		}
		s := &station{Host: h, t: t}
		for name, text := range map[string]string{
			"key": quickKeys[0][0], "psk": quickKeys[1][0],
			"add.conf":  "[Peer]\nPublicKey = " + quickKeys[0][1] + "\nAllowedIPs = 172.16.0.0/12\n[Peer]\nPublicKey = " + quickKeys[1][1] + "\nPersistentKeepalive = 9\n",
			"sync.conf": "[Interface]\nPrivateKey = " + quickKeys[0][0] + "\nListenPort = 4002\n[Peer]\nPublicKey = " + quickKeys[1][1] + "\nAllowedIPs = 10.1.0.0/16, fd00::/8\n",
			"bad.conf":  "[Interface]\nListenPort = 4003\nNonsense = 1\n",
		} {
			if err := s.WriteFile("/run/"+name, []byte(text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := s.Command(context.Background(), append(daemon.argv, "wg0")...)
		if _, err := s.Output(cmd); err != nil {
			t.Fatal(err)
		}
		s.eventually("the daemon answers", func() error {
			_, err := s.Run(context.Background(), "wg", "show", "wg0")
			return err
		})
		results[i] = script(s)
	}
	for n, ours := range results[0] {
		if theirs := results[1][n]; ours != theirs {
			t.Errorf("step %d differs.\nwarren:\n%s\nwireguard-go:\n%s", n, ours, theirs)
		}
	}
}
