//go:build linux && e2e

package wg

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/warrenvpn/warren/uapi"
)

// TestFilesEqualReference is Q01: 2000 files, good and bad, read by both.
func TestFilesEqualReference(t *testing.T) {
	const seed, count = 20260223, 2000
	t.Logf("seed %d", seed)
	r := newRig(t)
	g := generator{rand.New(rand.NewPCG(seed, 1)), r.ref.version}
	good := 0
	for range count {
		c := transcript{state: "keyed", args: []string{"setconf", "IF", "FILE:" + g.file()}}
		if g.IntN(3) == 0 {
			c.state = "full"
		}
		r.compare(t, &c)
		if r.run(&c, zeroTime, r.ref.path).code == 0 {
			good++
		}
		if t.Failed() {
			break
		}
	}
	if good < count/10 || good > count*9/10 {
		t.Errorf("%d of %d files are good: the generator is of little use", good, count)
	}
	t.Logf("%d files, %d of them good", count, good)
}

// generator makes configuration files.
type generator struct {
	*rand.Rand
	version int
}

func (g generator) pick(s ...string) string { return s[g.IntN(len(s))] }

// file is mostly right, so that reading gets far.
func (g generator) file() string {
	var b strings.Builder
	for range g.IntN(4) {
		if g.IntN(40) != 0 {
			b.WriteString(g.space() + g.pick("[Interface]", "[Peer]", "[Peer]", "[peer]", "[ interface ]", "[PEER]") + g.end())
		}
		section := b.String()
		peer := strings.LastIndex(strings.ToLower(section), "[p") > strings.LastIndex(strings.ToLower(section), "interface")
		if peer && g.IntN(30) != 0 {
			b.WriteString("PublicKey" + g.space() + "=" + g.space() + publicKey(g.IntN(12)).String() + g.end())
		}
		for range g.IntN(5) {
			b.WriteString(g.line(peer))
		}
	}
	text := b.String()
	if g.IntN(20) == 0 && len(text) > 0 {
		i := g.IntN(len(text))
		text = text[:i] + g.pick("\x00", "#", "\n", "=", " ", "\xff", "é", "[", "x", "1", ",", "\r") + text[i:]
	}
	if g.IntN(10) == 0 {
		text = strings.TrimSuffix(text, "\n")
	}
	return text
}

func (g generator) space() string { return g.pick("", "", "", " ", "\t", "  ", "\v", "\f") }

func (g generator) end() string {
	return g.space() + g.pick("\n", "\n", "\n", "\n", "\r\n", "\n\n", " # comment\n", "#\n", "\n# [Peer]\n")
}

func (g generator) line(peer bool) string {
	k, psk := privateKey(g.IntN(5)), presharedKeyOf(g.IntN(3))
	if g.IntN(25) == 0 {
		return g.pick("bogus=1", "Address=10.0.0.1/8", "=", "x", "ListenPort", "[Foo]", ";x", "Endpoint=", "FwMark=") + g.end()
	}
	if g.IntN(40) == 0 {
		peer = !peer
	}
	var key, value string
	if peer {
		key = g.pick("AllowedIPs", "AllowedIPs", "AllowedIPs", "Endpoint", "PersistentKeepalive", "PresharedKey", "allowedips", "ENDPOINT")
	} else {
		key = g.pick("ListenPort", "FwMark", "PrivateKey", "listenport", "FWMARK")
	}
	switch strings.ToLower(key) {
	case "allowedips":
		value = g.prefixes()
	case "endpoint":
		value = g.pick("192.0.2.%d:%d", "[2001:db8::%x]:%d", "2001:db8::%x:%d", "[fe80::%x%%lo]:%d", "10.%d:%d", "%d:%d", "[192.0.2.%d]:%d", "::ffff:192.0.2.%d:%d")
		value = fmt.Sprintf(value, g.IntN(260), g.IntN(65536))
		if g.IntN(20) == 0 {
			value = g.pick("1.2.3.4", "[::1]", "[::1", ":1", "1.2.3.4:x", "x y:1")
		}
	case "persistentkeepalive":
		value = g.pick("off", "0", "25", strconv.Itoa(g.IntN(70000)), "OFF", "2 5", "x")
	case "presharedkey":
		value = psk.Reveal()
	case "listenport":
		value = g.pick(strconv.Itoa(g.IntN(65536)), "0", "domain", "5 1820", "x")
	case "fwmark":
		value = g.pick(strconv.Itoa(g.IntN(1<<20)), "0x"+strconv.FormatInt(g.Int64N(1<<33), 16), "off", "0", "oFF", "0X1", "x")
	case "privatekey":
		value = k.Reveal()
		if g.IntN(10) == 0 {
			value = value[:g.IntN(44)]
		}
	}
	return g.space() + key + g.space() + "=" + g.space() + value + g.end()
}

func (g generator) prefixes() string {
	var all []string
	for range 1 + g.IntN(4) {
		s := g.pick(
			fmt.Sprintf("10.%d.%d.%d", g.IntN(3), g.IntN(3), g.IntN(258)), fmt.Sprintf("fd00::%x", g.IntN(1<<17)),
			fmt.Sprintf("0.0.0.0/%d", g.IntN(34)), fmt.Sprintf("10.0.0.0/%d", g.IntN(34)), fmt.Sprintf("2001:DB8::/%d", g.IntN(130)), "::ffff:1.2.3.4/120")
		if g.IntN(30) == 0 {
			s = g.pick("", "x", "1.2.3", "1.2.3.4/", "::/x", "1.2.3.4/1/2", "01.2.3.4", "::1%lo")
		}
		if g.version >= incrementalSince && g.IntN(8) == 0 {
			s = g.pick("+", "-") + s
		}
		all = append(all, s)
	}
	if len(all) == 1 && all[0] == "" {
		return "x" // an empty list is a known difference
	}
	return strings.Join(all, g.pick(",", ", ", " ,"))
}

// TestRepliesEqualReference gives both clients the same answers, good and bad
// (Z14 with its oracle; B103).
func TestRepliesEqualReference(t *testing.T) {
	r := newRig(t)
	name := r.iface + "r"
	const peer = "public_key=0000000000000000000000000000000000000000000000000000000000000001\n"
	get := []string{
		"", "\n", "errno=0\n\n", "errno=0\n", "errno=0", "errno=19\n\n", "errno=-19\n\n", "errno=95\n\n", "errno=4000\n\n", "errno=2147483647\n\n",
		"errno=2147483648\n\n", "errno=x\n\n", "errno=\n\n", "errno=+1\n\n", "errno= 1\n\n", "errno=01\n\n", "errno=0x1\n\n",
		"listen_port=5\n\n", "listen_port=5\nerrno=0\n\n", "errno=0\nlisten_port=5\n\n", "listen_port=65536\nerrno=0\n\n", "listen_port=-1\nerrno=0\n\n",
		"listen_port=\nerrno=0\n\n", "listen_port= 5\nerrno=0\n\n", "listen_port=5 \nerrno=0\n\n", "listen_port=5\r\nerrno=0\n\n", "listen_port=x\nerrno=0\n\n",
		"fwmark=4294967295\nerrno=0\n\n", "fwmark=4294967296\nerrno=0\n\n", "fwmark=0x5\nerrno=0\n\n", "unknown=x\nerrno=0\n\n", "novalue\nerrno=0\n\n", "=\nerrno=0\n\n",
		"private_key=x\nerrno=0\n\n", "private_key=" + strings.Repeat("a", 63) + "\nerrno=0\n\n", "private_key=" + strings.Repeat("A", 62) + "40" + "\nerrno=0\n\n",
		peer + "errno=0\n\n", "public_key=x\nerrno=0\n\n", peer + "preshared_key=x\nerrno=0\n\n", "preshared_key=x\nerrno=0\n\n", "allowed_ip=x\nerrno=0\n\n", "endpoint=x\nerrno=0\n\n",
		peer + "allowed_ip=1.2.3.4/32\nallowed_ip=::/0\nerrno=0\n\n", peer + "allowed_ip=1.2.3.4\nerrno=0\n\n", peer + "allowed_ip=1.2.3.4/33\nerrno=0\n\n",
		peer + "allowed_ip=x/1\nerrno=0\n\n", peer + "allowed_ip=1.2.3.4/x\nerrno=0\n\n", peer + "allowed_ip=1.2.3.4/\nerrno=0\n\n", peer + "allowed_ip=::/129\nerrno=0\n\n", peer + "allowed_ip=\nerrno=0\n\n",
		peer + "endpoint=1.2.3.4:5\nerrno=0\n\n", peer + "endpoint=[::1]:5\nerrno=0\n\n", peer + "endpoint=::1:5\nerrno=0\n\n", peer + "endpoint=x:5\nerrno=0\n\n", peer + "endpoint=1.2.3.4\nerrno=0\n\n",
		peer + "endpoint=[::1\nerrno=0\n\n", peer + "endpoint=[::1]\nerrno=0\n\n", peer + "endpoint=\nerrno=0\n\n", peer + "endpoint=1.2.3.4:\nerrno=0\n\n", peer + "endpoint=[fe80::1%lo]:5\nerrno=0\n\n",
		peer + "endpoint=[fe80::1%1]:5\nerrno=0\n\n", peer + "rx_bytes=18446744073709551615\nerrno=0\n\n", peer + "tx_bytes=-1\nerrno=0\n\n", peer + "tx_bytes=x\nerrno=0\n\n",
		peer + "last_handshake_time_sec=5\nerrno=0\n\n", peer + "last_handshake_time_sec=-5\nerrno=0\n\n", peer + "last_handshake_time_sec=9223372036854775808\nerrno=0\n\n",
		peer + "last_handshake_time_nsec=5\nerrno=0\n\n", peer + "persistent_keepalive_interval=65536\nerrno=0\n\n", peer + "persistent_keepalive_interval=off\nerrno=0\n\n",
		peer + "listen_port=5\nerrno=0\n\n", peer + "private_key=x\nerrno=0\n\n", peer + "protocol_version=7\nerrno=0\n\n", peer + peer + "errno=0\n\n", peer + "errno=0\n\ntrailing\n",
		"rx_bytes=x\nerrno=0\n\n", "last_handshake_time_sec=x\nerrno=0\n\n", "persistent_keepalive_interval=99999\nerrno=0\n\n",
		"errno=5\nerrno=0\n\n", "errno=0\nerrno=5\n\n", "listen_port=5=6\nerrno=0\n\n", "\nerrno=0\n\n", "LISTEN_PORT=5\nerrno=0\n\n",
	}
	set := []string{
		"", "\n", "errno=0\n\n", "errno=0\n", "errno=0", "errno=-22\n\n", "errno=-22", "errno=22\n\n", "errno=-98\n\n", "errno=-4000\n\n", "errno=x\n\n", "errno=\n\n",
		"errno=+5\n\n", "errno=+0\n\n", "errno= -5\n\n", "errno=-5x\n\n", "x=1\nerrno=0\n\n", "\nerrno=0\n\n", "ERRNO=0\n\n", "errno=-1\n\n", "errno=-71\n\n",
	}
	reply := answerAll(t, uapi.Dir, name)
	differs := map[string]string{
		"private_key=" + strings.Repeat("A", 62) + "40" + "\nerrno=0\n\n": "private keys are clamped",
		peer + "endpoint=x:5\nerrno=0\n\n":                                "the reference crashes",
	}
	for _, text := range get {
		*reply = text
		compareReplies(t, r, &transcript{args: []string{"show", name, "dump"}, differs: differs[text]}, text)
	}
	for _, text := range set {
		*reply = text
		compareReplies(t, r, &transcript{args: []string{"set", name, "fwmark", "5"}}, text)
	}
}

func compareReplies(t *testing.T, r *rig, c *transcript, reply string) {
	t.Helper()
	if !t.Run(fmt.Sprintf("%.60q", reply), func(t *testing.T) { r.compare(t, c) }) {
		t.Logf("the reply was %q", reply)
	}
}

// TestPermissionDenied: a user who may not connect to the socket is told so, and
// the socket stays.
func TestPermissionDenied(t *testing.T) {
	r := newRig(t)
	bin := filepath.Join(shortDir(t), "wg")
	text, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bin, text, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"show", r.iface}, {"show", "interfaces"}, {"show", "all", "dump"}, {"set", r.iface, "fwmark", "1"}, {"showconf", r.iface}} {
		run := func(path string, env ...string) string {
			cmd := exec.Command(path, args...)
			cmd.Args[0] = "wg"
			cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			out, _ := cmd.CombinedOutput()
			return fmt.Sprintf("%d %s", cmd.ProcessState.ExitCode(), out)
		}
		if got, want := run(bin, asTool+"=1"), run(r.ref.path); got != want {
			t.Errorf("wg %q: %q, want %q", args, got, want)
		}
	}
}

// shortDir is a temporary directory that everybody may enter.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// answerAll gives whatever is asked on a control socket the same answer.
func answerAll(t *testing.T, dir, name string) *string {
	t.Helper()
	path := filepath.Join(dir, name+".sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(); _ = os.Remove(path) })
	reply := new(string)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				var got string
				for !strings.Contains(got, "\n\n") {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					got += string(buf[:n])
				}
				_, _ = c.Write([]byte(*reply))
			}()
		}
	}()
	return reply
}
