//go:build linux && e2e

package kernel

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/interop/kernel/vm"
	"github.com/warrenvpn/warren/key"
)

// cast are keys and files by the names that the commands below use for them.
var cast = makeCast()

type people struct {
	names *strings.Replacer
	files map[string]string // in the guest
}

func makeCast() people {
	rnd := rand.NewChaCha8([32]byte{42})
	p := people{files: map[string]string{"/run/f/empty": ""}}
	var pairs []string
	for n := 1; n <= 6; n++ {
		k, err := key.GeneratePrivate(rnd)
		if err != nil {
			panic(err)
		}
		psk, err := key.GeneratePreshared(rnd)
		if err != nil {
			panic(err)
		}
		pairs = append(pairs, fmt.Sprintf("PRIV%d", n), k.Reveal(), fmt.Sprintf("PUB%d", n), k.Public().String(), fmt.Sprintf("PSK%d", n), psk.Reveal())
		p.files[fmt.Sprintf("/run/f/key%d", n)] = k.Reveal() + "\n"
		p.files[fmt.Sprintf("/run/f/psk%d", n)] = psk.Reveal() + "\n"
	}
	p.names = strings.NewReplacer(append(pairs, "''", "")...)
	return p
}

// say returns a command with the names replaced. Words are separated by blanks,
// and ” is an empty one; what follows < is standard input; what begins with
// NAME= before the word wg is environment.
func say(line string) call {
	var c call
	line, stdin, _ := strings.Cut(line, " < ")
	c.stdin = cast.names.Replace(stdin)
	for _, w := range strings.Fields(line) {
		if len(c.args) == 0 && strings.Contains(w, "=") {
			c.env = append(c.env, w)
			continue
		}
		c.args = append(c.args, cast.names.Replace(w))
	}
	return c
}

func (b *bed) files(t *testing.T, files map[string]string) {
	t.Helper()
	for path, text := range files {
		if err := b.vm.WriteFile(context.Background(), path, []byte(cast.names.Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// same has both tools do a command that changes nothing, and wants the same
// bytes and status from both. It returns what ours said.
func (b *bed) same(t *testing.T, c call) vm.Result {
	t.Helper()
	ours, theirs := b.wg(t, ourWG(), c), b.wg(t, b.theirs, c)
	if ours != theirs {
		t.Errorf("wg %s%s\nours:\n%s\ntheirs:\n%s", strings.Join(c.args, " "), asUser(c), show(ours), show(theirs))
	}
	return ours
}

func asUser(c call) string {
	s := ""
	if c.uid != 0 {
		s = fmt.Sprintf(" as user %d", c.uid)
	}
	if len(c.env) > 0 {
		s += " with " + strings.Join(c.env, " ")
	}
	return s
}

func show(r vm.Result) string {
	s := fmt.Sprintf("exit status %d", r.Status)
	for _, part := range []struct{ mark, text string }{{"1", r.Stdout}, {"2", r.Stderr}} {
		for line := range strings.Lines(shorten(part.text)) {
			s += "\n  " + part.mark + " " + strings.TrimSuffix(line, "\n")
		}
	}
	return s
}

func shorten(s string) string {
	if len(s) > 3000 {
		return s[:3000] + fmt.Sprintf("... (%d more bytes)\n", len(s)-3000)
	}
	return s
}

func testTools(t *testing.T, b *bed) {
	b.files(t, cast.files)
	b.run(t, "incremental", testIncremental)
	b.run(t, "stories", testStories)
	if b.all {
		b.run(t, "read", testRead)
		b.run(t, "errors", testErrors)
		b.run(t, "planes", testPlanes)
		b.run(t, "large", testLarge)
	}
}

// link makes an interface of the kernel's WireGuard; it is gone with the test.
func (b *bed) link(t *testing.T, name string) {
	t.Helper()
	b.guest(t, "ip", "link", "add", "dev", name, "type", "wireguard")
	t.Cleanup(func() { b.guest(t, "ip", "link", "del", "dev", name) })
}

// A state with all that there can be: everything that is read is the same.
func testRead(t *testing.T, b *bed) {
	b.link(t, "wgr")
	b.link(t, "wgbare")
	b.files(t, map[string]string{"/run/f/rich.conf": richConf})
	b.must(t, b.theirs, "setconf wgr /run/f/rich.conf")
	for _, line := range readLines {
		b.same(t, say(line))
	}
}

const richConf = `[Interface]
PrivateKey = PRIV1
ListenPort = 51999
FwMark = 0xca6c
[Peer]
PublicKey = PUB2
PresharedKey = PSK2
AllowedIPs = 10.0.0.0/8, fd00::/8, 0.0.0.0/0
Endpoint = 192.0.2.77:1234
PersistentKeepalive = 25
[Peer]
PublicKey = PUB3
Endpoint = [2001:db8::77]:4321
AllowedIPs = ::/0
[Peer]
PublicKey = PUB4
Endpoint = [fe80::77%eth0]:4321
PersistentKeepalive = 65535
[Peer]
PublicKey = PUB5
`

var readLines = []string{
	"", "show", "show all", "show wgr", "show wgbare", "show interfaces",
	"show wgr dump", "show wgbare dump", "show all dump",
	"showconf wgr", "showconf wgbare",
	"show wgr public-key", "show wgr private-key", "show wgr listen-port", "show wgr fwmark", "show wgr peers", "show wgr preshared-keys",
	"show wgr endpoints", "show wgr allowed-ips", "show wgr latest-handshakes", "show wgr transfer", "show wgr persistent-keepalive",
	"show wgbare public-key", "show wgbare private-key", "show wgbare listen-port", "show wgbare fwmark", "show wgbare peers",
	"show all public-key", "show all allowed-ips", "show all endpoints", "show all fwmark",
	"WG_HIDE_KEYS=never show wgr", "WG_COLOR_MODE=always show wgr", "WG_COLOR_MODE=always WG_HIDE_KEYS=never show",
	"show wgr nonsense", "pubkey < PRIV3", "pubkey < PRIV",
}

// compat 1.12: what is wrong is said in the same words, with the same status.
func testErrors(t *testing.T, b *bed) {
	b.link(t, "wgr")
	b.must(t, b.theirs, "set wgr private-key /run/f/key1 peer %s", cast.names.Replace("PUB2"))
	b.files(t, map[string]string{"/run/f/rich.conf": richConf, "/run/f/bad.conf": "[Interface]\nNonsense = 1\n", "/run/f/nokey.conf": "[Peer]\nAllowedIPs = 10.0.0.0/8\n"})
	for _, c := range []struct {
		line string
		uid  uint32
		want string // on standard error
	}{
		{"show nope", 0, "Unable to access interface: No such device\n"},
		{"show lo", 0, "Unable to access interface: Operation not supported\n"},
		{"show lo dump", 0, "Unable to access interface: Operation not supported\n"},
		{"showconf nope", 0, "Unable to access interface: No such device\n"},
		{"showconf eth0", 0, "Unable to access interface: Operation not supported\n"},
		{"set nope fwmark 1", 0, "Unable to modify interface: No such device\n"},
		{"set lo fwmark 1", 0, "Unable to modify interface: Operation not supported\n"},
		{"setconf nope /run/f/rich.conf", 0, "Unable to modify interface: No such device\n"},
		{"addconf lo /run/f/rich.conf", 0, "Unable to modify interface: Operation not supported\n"},
		{"syncconf nope /run/f/rich.conf", 0, "Unable to retrieve current interface configuration: No such device\n"},
		{"syncconf lo /run/f/rich.conf", 0, "Unable to retrieve current interface configuration: Operation not supported\n"},
		{"setconf wgr /run/f/bad.conf", 0, "Line unrecognized: `Nonsense=1'\nConfiguration parsing error\n"},
		{"setconf wgr /run/f/nokey.conf", 0, "A peer is missing a public key\nInvalid configuration\n"},
		{"setconf wgr /run/f/none", 0, "fopen: No such file or directory\n"},
		{"set wgr nonsense", 0, "Invalid argument: nonsense\n"},
		{"show 0123456789abcdef", 0, ""},
		{"show wgr", 1000, "Unable to access interface: Operation not permitted\n"},
		{"show", 1000, "Unable to access interface wgr: Operation not permitted\n"},
		{"show all dump", 1000, "Unable to access interface wgr: Operation not permitted\n"},
		{"show interfaces", 1000, ""},
		{"show nope", 1000, ""},
		{"show lo", 1000, ""},
		{"set wgr fwmark 1", 1000, "Unable to modify interface: Operation not permitted\n"},
		{"showconf wgr", 1000, "Unable to access interface: Operation not permitted\n"},
	} {
		command := say(c.line)
		command.uid = c.uid
		r := b.same(t, command)
		if c.want != "" && r.Stderr != c.want {
			t.Errorf("wg %s: %q, want %q", c.line, r.Stderr, c.want)
		}
	}
	if got := b.must(t, b.theirs, "show wgr fwmark"); got != "off\n" {
		t.Errorf("a command that failed changed the mark to %q", got)
	}
}

// Before the module is there, there is no such protocol.
func testWithoutModule(t *testing.T, b *bed) {
	b.files(t, map[string]string{"/run/f/rich.conf": richConf})
	for line, want := range map[string]string{
		"show wg0":                      "Unable to access interface: Protocol not supported\n",
		"show lo dump":                  "Unable to access interface: Protocol not supported\n",
		"showconf wg0":                  "Unable to access interface: Protocol not supported\n",
		"show":                          "",
		"show all dump":                 "",
		"show interfaces":               "",
		"set wg0 fwmark 1":              "Unable to modify interface: Protocol not supported\n",
		"setconf wg0 /run/f/rich.conf":  "Unable to modify interface: Protocol not supported\n",
		"syncconf wg0 /run/f/rich.conf": "Unable to retrieve current interface configuration: Protocol not supported\n",
	} {
		if r := b.same(t, say(line)); r.Stderr != want {
			t.Errorf("wg %s: %q, want %q", line, r.Stderr, want)
		}
	}
}

// Interfaces of both kinds are listed together, and a control socket hides an
// interface of the kernel with its name (compat 1.13).
func testPlanes(t *testing.T, b *bed) {
	b.link(t, "wgz")
	b.guest(t, "/ours/warren", "device", "user0")
	t.Cleanup(func() { b.guest(t, "ip", "link", "del", "dev", "user0") })
	b.link(t, "wga")
	b.must(t, ourWG(), "set user0 private-key /run/f/key1 fwmark 7")
	b.must(t, ourWG(), "set wga private-key /run/f/key2 fwmark 8")
	if got, want := b.same(t, say("show interfaces")).Stdout, "wgz wga user0\n"; got != want {
		t.Errorf("show interfaces: %q, want %q", got, want)
	}
	for _, line := range []string{"show", "show all dump", "show user0 dump", "show wga dump"} {
		b.same(t, say(line))
	}
	user := say("show user0")
	user.uid = 1000
	if r := b.same(t, user); r.Stderr != "Unable to access interface: Permission denied\n" {
		t.Errorf("the socket of somebody else: %q", r.Stderr)
	}
	b.guest(t, "ln", "-s", "user0.sock", "/run/wireguard/wga.sock")
	if got := b.same(t, say("show wga fwmark")).Stdout; got != "0x7\n" {
		t.Errorf("wga with a control socket: mark %q, want the socket's 0x7", got)
	}
	b.must(t, ourWG(), "set wga fwmark 9")
	b.guest(t, "rm", "/run/wireguard/wga.sock")
	if got := b.same(t, say("show wga fwmark")).Stdout; got != "0x8\n" {
		t.Errorf("wga without a control socket: mark %q, want the kernel's 0x8", got)
	}
}
