//go:build linux && e2e

package kernel

import (
	"strings"
	"testing"

	"github.com/warrenvpn/warren/interop/kernel/vm"
)

// story is a sequence of commands on a fresh interface called wgt.
type story struct {
	name  string
	files map[string]string
	lines []string
}

// Each story is told by both tools, one after the other; what they say and what
// the interface is afterwards has to be the same.
func testStories(t *testing.T, b *bed) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			b.files(t, s.files)
			ours, theirs := b.tell(t, ourWG(), s.lines), b.tell(t, b.theirs, s.lines)
			for i := range ours {
				if ours[i] != theirs[i] {
					line := "(the state at the end)"
					if i < len(s.lines) {
						line = "wg " + s.lines[i]
					}
					t.Errorf("%s\nours:\n%s\ntheirs:\n%s", line, show(ours[i]), show(theirs[i]))
				}
			}
		})
	}
}

// tell has a tool do all commands on a fresh interface, and returns the results
// and at last what upstream's tool finds.
func (b *bed) tell(t *testing.T, w tool, lines []string) (results []vm.Result) {
	t.Helper()
	b.guest(t, "ip", "link", "add", "dev", "wgt", "type", "wireguard")
	defer b.guest(t, "ip", "link", "del", "dev", "wgt")
	for _, l := range lines {
		if command, ok := strings.CutPrefix(l, "$ "); ok {
			b.guest(t, strings.Fields(command)...)
			results = append(results, vm.Result{})
			continue
		}
		results = append(results, b.wg(t, w, say(l)))
	}
	return append(results, b.wg(t, b.theirs, say("show wgt dump")))
}

var stories = []story{
	{name: "interface", lines: []string{
		"set wgt listen-port 51900 fwmark 0xca6c private-key /run/f/key1",
		"show wgt dump",
		"set wgt fwmark off",
		"set wgt fwmark 51820 listen-port 0",
		"set wgt private-key /dev/stdin < PRIV2",
		"show wgt dump",
		"set wgt private-key /dev/null",
		"set wgt private-key /run/f/psk1", // not clamped: the kernel does that
		"show wgt private-key",
		"set wgt fwmark 1 nonsense", "set wgt", "set", "set wgt listen-port", "set wgt fwmark 0x100000000",
		"$ ip link set wgt up",
		"set wgt listen-port 51901",
		"set wgt private-key /run/f/empty",
	}},
	{name: "peers", lines: []string{
		"set wgt private-key /run/f/key1 peer PUB2",
		"set wgt peer PUB2 preshared-key /run/f/psk2 endpoint 192.0.2.9:1234 persistent-keepalive 25 allowed-ips 10.0.0.0/8,fd00::/8,192.168.1.77/24",
		"set wgt peer PUB3 endpoint [2001:db8::9]:99 allowed-ips 10.0.0.0/8", // moves
		"show wgt dump",
		"set wgt peer PUB4 endpoint [fe80::1%eth0]:99 persistent-keepalive 65535",
		"set wgt peer PUB2 persistent-keepalive off preshared-key /dev/null allowed-ips ''",
		"show wgt dump",
		"set wgt peer PUB5 remove",
		"set wgt peer PUB3 remove peer PUB4 allowed-ips 0.0.0.0/0,::/0 peer PUB6 allowed-ips 10.0.0.0/8,10.0.0.0/9,10.0.0.0/10",
		"set wgt peer PUB1 allowed-ips 10.9.0.0/16",                                   // its own key
		"set wgt peer PUB6 preshared-key /dev/stdin endpoint localhost:domain < PSK3", // a name, a service
		"set wgt peer PUB6 allowed-ips 10.0.0.0/33",
		"set wgt peer PUB6 endpoint 192.0.2.1",
		"set wgt peer nonsense remove",
		"show wgt",
		"set wgt private-key /run/f/key2", // PUB2 is a peer, and vanishes
		"show wgt peers",
	}},
	{name: "files", files: map[string]string{
		"/run/f/rich.conf": richConf,
		"/run/f/more.conf": "[Interface]\nFwMark = 9\n[Peer]\nPublicKey = PUB2\n[Peer]\nPublicKey = PUB6\nAllowedIPs = 10.6.0.0/16, fd06::/16\nPersistentKeepalive = 6\n",
		"/run/f/sync.conf": "[Interface]\nPrivateKey = PRIV1\nListenPort = 51999\n[Peer]\nPublicKey = PUB6\nAllowedIPs = 10.6.0.0/16\n[Peer]\nPublicKey = PUB2\nAllowedIPs = 10.2.0.0/16\n[Peer]\nPublicKey = PUB5\n",
		"/run/f/bare.conf": "[Interface]\n",
	}, lines: []string{
		"setconf wgt /run/f/rich.conf",
		"showconf wgt",
		"addconf wgt /run/f/more.conf",
		"showconf wgt",
		"syncconf wgt /run/f/sync.conf",
		"showconf wgt",
		"syncconf wgt /dev/stdin < [Interface]\nPrivateKey=PRIV1\n[Peer]\nPublicKey=PUB2\nAllowedIPs=10.2.0.0/16\n",
		"show wgt dump",
		"syncconf wgt /run/f/bare.conf",
		"showconf wgt",
		"setconf wgt /run/f/rich.conf",
		"setconf wgt /run/f/bare.conf",
	}},
	{name: "overlapping prefixes", lines: []string{
		"set wgt peer PUB2 allowed-ips 0.0.0.0/0,128.0.0.0/1,192.0.0.0/2,192.168.0.0/16,192.168.4.0/24,192.168.4.4/32,::/0,2000::/3,2001:db8::/32",
		"set wgt peer PUB3 allowed-ips 192.168.4.0/24,2001:db8::/32",
		"set wgt peer PUB4 allowed-ips 192.168.4.0/25,128.0.0.0/1",
		"show wgt allowed-ips",
		"set wgt peer PUB3 allowed-ips ''",
		"set wgt peer PUB2 allowed-ips 192.168.4.4/32,0.0.0.0/0",
		"set wgt peer PUB2 remove",
		"set wgt peer PUB3 allowed-ips 192.168.4.4/32",
	}},
}
