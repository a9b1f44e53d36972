//go:build linux && e2e

package wg

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/uapi"
)

// The installed wg(8) and ours run the same commands against a model device
// behind a real control socket. What they print, their exit code and the state
// they leave have to be equal.
//
// The reference is $WG_REFERENCE, or wg in PATH. Distributions have old ones:
// what later versions changed is marked in the transcripts with the version it
// needs, and listed when it is left out.

// reference is the wg(8) to compare with.
type reference struct {
	path    string
	version int // date, as 20210914
}

func findReference(t *testing.T) reference {
	t.Helper()
	r := reference{path: os.Getenv("WG_REFERENCE")}
	if r.path == "" {
		var err error
		if r.path, err = exec.LookPath("wg"); err != nil {
			t.Fatal("the differential tests need wireguard-tools: ", err)
		}
	}
	out, err := exec.Command(r.path, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`v1\.0\.(\d{8})`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("%s --version says %q", r.path, out)
	}
	r.version, _ = strconv.Atoi(string(m[1]))
	t.Logf("comparing with %s", bytes.TrimSpace(out))
	return r
}

// The versions that brought what older ones lack.
const (
	incrementalSince = 20250521 // + and - in allowed IPs, and the usage text
	syncSince        = 20260223 // syncconf clears keepalives; preshared keys in 20250521
	endpointsSince   = 20250521 // `show all endpoints` names the interface
)

// transcript is one command on a state.
type transcript struct {
	state string   // of states; empty: full
	env   []string // beside the usual
	stdin string
	args  []string // IF stands for the interface's name, FILE:text for a file
	// since is the first version to compare with; 0: all of them.
	since int
	// differs says why ours is different on purpose. Then the outcomes must
	// not be equal, or the entry is out of date.
	differs string
}

// outcome is all that a transcript can be told by.
type outcome struct {
	code                  int
	stdout, stderr, state string
}

// rig runs transcripts.
type rig struct {
	t     *testing.T
	ref   reference
	iface string
	dir   string
	model *model
}

func newRig(t *testing.T) *rig {
	if os.Geteuid() != 0 {
		t.Fatal("needs root: control sockets of wg(8) are in " + uapi.Dir)
	}
	r := &rig{t: t, ref: findReference(t), iface: "wgt" + strconv.Itoa(os.Getpid()), dir: t.TempDir(), model: &model{}}
	serve(t, uapi.Dir, r.iface, r.model)
	return r
}

func (r *rig) run(c *transcript, now time.Time, path string, extra ...string) outcome {
	r.t.Helper()
	state := c.state
	if state == "" {
		state = "full"
	}
	r.model.reset(states(now)[state])
	cmd := exec.Command(path, r.args(c.args)...)
	cmd.Args[0] = "wg"
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "WG_ENDPOINT_RESOLUTION_RETRIES=0"}, extra...)
	cmd.Env = append(cmd.Env, c.env...)
	cmd.Stdin = strings.NewReader(c.stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String(), r.model.text(r.t)}
}

// args fills in the interface and writes the files.
func (r *rig) args(args []string) []string {
	out := slices.Clone(args)
	for i, a := range out {
		if text, ok := strings.CutPrefix(a, "FILE:"); ok {
			out[i] = filepath.Join(r.dir, fmt.Sprintf("file%d", i))
			if err := os.WriteFile(out[i], []byte(text), 0o600); err != nil {
				r.t.Fatal(err)
			}
			continue
		}
		if a == "IF" {
			out[i] = r.iface
		}
	}
	return out
}

func (r *rig) compare(t *testing.T, c *transcript) {
	var want, got outcome
	// A second may pass between the two: then "N seconds ago" differs once.
	for range 3 {
		now := time.Now().Truncate(time.Second)
		want = r.run(c, now, r.ref.path)
		got = r.run(c, now, os.Args[0], asTool+"=1")
		if c.differs != "" && got != want {
			return
		}
		if got == want {
			break
		}
	}
	if c.differs != "" {
		t.Errorf("wg %q: no difference, though %s", c.args, c.differs)
		return
	}
	for _, part := range []struct{ what, got, want string }{
		{"exit code", strconv.Itoa(got.code), strconv.Itoa(want.code)},
		{"stdout", got.stdout, want.stdout},
		{"stderr", got.stderr, want.stderr},
		{"state", got.state, want.state},
	} {
		if part.got != part.want {
			t.Errorf("wg %q: %s (- ours, + reference):\n%s", c.args, part.what, cmp.Diff(part.got, part.want))
		}
	}
}

func TestTranscriptsEqualReference(t *testing.T) {
	r := newRig(t)
	all := slices.Concat(showTranscripts(), setTranscripts(), fileTranscripts(), keyTranscripts(), usageTranscripts())
	if len(all) < 150 {
		t.Errorf("%d transcripts, want at least 150", len(all))
	}
	compared := 0
	for _, c := range all {
		if c.since > r.ref.version {
			t.Logf("left out, as this reference is older than %d: wg %q", c.since, c.args)
			continue
		}
		compared++
		r.compare(t, &c)
	}
	t.Logf("%d transcripts compared", compared)
}

// zeroTime is for states whose times do not matter.
var zeroTime = time.Unix(1700000000, 0)

var fields = []string{
	"public-key", "private-key", "listen-port", "fwmark", "peers", "preshared-keys", "endpoints", "allowed-ips",
	"latest-handshakes", "transfer", "persistent-keepalive", "dump",
}

func showTranscripts() (all []transcript) {
	add := func(state string, args ...string) { all = append(all, transcript{state: state, args: args}) }
	for state := range states(time.Now()) {
		for _, f := range fields {
			add(state, "show", "IF", f)
		}
		add(state, "show", "IF")
		add(state, "showconf", "IF")
		for _, env := range [][]string{
			{"WG_COLOR_MODE=always"},
			{"WG_COLOR_MODE=never"},
			{"WG_COLOR_MODE=auto"},
			{"WG_COLOR_MODE="},
			{"WG_HIDE_KEYS=never"},
			{"WG_HIDE_KEYS=always"},
			{"WG_HIDE_KEYS="},
			{"WG_COLOR_MODE=always", "WG_HIDE_KEYS=never"},
		} {
			all = append(all, transcript{state: state, env: env, args: []string{"show", "IF"}})
			all = append(all, transcript{state: state, env: env, args: []string{"showconf", "IF"}})
		}
	}
	for _, f := range fields {
		c := transcript{args: []string{"show", "all", f}}
		if f == "endpoints" {
			c.since = endpointsSince
		}
		all = append(all, c)
	}
	add("")
	add("", "show")
	add("", "show", "all")
	add("", "show", "interfaces")
	add("", "show", "interfaces", "dump")
	add("", "show", "IF", "bogus")
	add("", "show", "all", "bogus")
	add("", "show", "nosuch")
	add("", "show", "nosuch", "dump")
	add("", "show", "nosuch", "bogus")
	add("", "show", "")
	add("", "show", "IF", "")
	add("", "show", "a/b")
	add("", "show", ".")
	add("", "show", "..")
	add("", "show", "IF", "dump", "x")
	add("", "show", "IF", "Dump")
	add("", "showconf", "nosuch")
	add("", "showconf", "IF", "x")
	return all
}

func usageTranscripts() (all []transcript) {
	for _, args := range [][]string{
		{"help"},
		{"-h"},
		{"--help"},
		{"help", "x"},
		{"-h", "x"},
		{"--version", "x"},
		{"foo"},
		{""},
		{"Show"},
		{"sho"},
		{"show", "help"},
		{"show", "-h"},
		{"show", "--help"},
		{"show", "--help", "x"},
		{"showconf"},
		{"setconf"},
		{"setconf", "IF"},
		{"setconf", "IF", "a", "b"},
		{"addconf"},
		{"syncconf", "x"},
		{"genkey", "x"},
		{"genpsk", "x"},
		{"pubkey", "x"},
	} {
		all = append(all, transcript{args: args})
	}
	all = append(all,
		transcript{args: []string{"set"}, since: incrementalSince},
		transcript{args: []string{"set", "IF"}, since: incrementalSince},
		transcript{args: []string{"setconf", "--help"}, differs: "help that was asked for is no error"},
		transcript{args: []string{"genkey", "--help"}, differs: "help that was asked for is no error"},
		transcript{args: []string{"pubkey", "-h"}, differs: "help that was asked for is no error"},
		transcript{args: []string{"showconf", "--help"}, differs: "help that was asked for is no interface"},
		transcript{args: []string{"--version"}, differs: "the name and version are our own"},
	)
	return all
}

func keyTranscripts() (all []transcript) {
	k := privateKey(7)
	text := k.Reveal()
	for _, in := range []string{
		text, text + "\n", text + " \t\r\n\v\f\n", text + "\x00\x00\n", text + "x", text + "\nx", "", "\n", text[:43], " " + text,
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", text[:42] + "==", strings.Repeat("/", 43) + "=", text[:43] + "A",
		strings.Repeat("=", 44), strings.Repeat("A", 44), text[:42] + "B=", "//////////////////////////////////////////8=",
	} {
		all = append(all, transcript{args: []string{"pubkey"}, stdin: in})
	}
	return all
}

func setTranscripts() (all []transcript) {
	p1, p9 := publicKey(1).String(), publicKey(9).String()
	set := func(args ...string) { all = append(all, transcript{args: append([]string{"set", "IF"}, args...)}) }
	since := func(version int, args ...string) {
		all = append(all, transcript{since: version, args: append([]string{"set", "IF"}, args...)})
	}
	differs := func(why string, args ...string) {
		all = append(all, transcript{differs: why, args: append([]string{"set", "IF"}, args...)})
	}
	for _, v := range []string{"0", "1", "65535", "domain", "-1", "", "x", "0x10", "51820 "} {
		set("listen-port", v)
	}
	differs("a port beyond 65535 does not wrap", "listen-port", "65536")
	differs("a port beyond 65535 does not wrap", "listen-port", "70000")
	differs("a port has no sign", "listen-port", "+80")
	for _, v := range []string{"off", "OFF", "0", "0x0", "010", "0xffffffff", "4294967296", "0x100000000", "0X1", "0x", "-1", "+1", "", "1a", " 1", "0x1g", "ofF"} {
		set("fwmark", v)
	}
	for _, v := range []string{"off", "Off", "0", "25", "65535", "65536", "-1", "", "1s", "0x1", "+1"} {
		set("peer", p1, "persistent-keepalive", v)
	}
	for _, v := range []string{
		"192.0.2.7:1", "[2001:db8::7]:65535", "2001:db8::7:51820", "[fe80::1%lo]:5", "[fe80::1%nosuch]:5", "[2001:db8::1%lo]:5",
		"127.1:5", "0x7f.1:5", "0177.0.0.1:5", "2130706433:5", "1.2.3:5", "1.2.3.256:5", "256:5", "1.2.3.4.5:5",
		"192.0.2.7:domain", "192.0.2.7:nosuchservice", "192.0.2.7:", "192.0.2.7", ":5", "[]:5", "[::1", "[::1]", "[::1]5", "[::1]x:5", "", "]:5",
		"nosuchname.invalid:5", "a:b:c", "192.0.2.7:-1", "[192.0.2.7]:5", "[::ffff:192.0.2.7]:5", "192.0.2.7:5]", "[::]:0", "0.0.0.0:0",
	} {
		set("peer", p1, "endpoint", v)
	}
	differs("a port beyond 65535 does not wrap", "peer", p1, "endpoint", "192.0.2.7:70000")
	for _, v := range []string{
		"", " ", "10.0.0.9/32", "10.0.0.9", "10.0.0.9/8", "fd00::9/8", "fd00::9", "10.0.0.0/8, fd00::/8", "10.0.0.9,", ",10.0.0.9", ",",
		"10.0.0.9/33", "fd00::/129", "10.0.0.9/", "10.0.0.9/-1", "10.0.0.9/a", "10.0.0.9/1/2", "10.1", "10.0.0.09", "fe80::1%lo", "0.0.0.0/0",
		"::/0", "::ffff:1.2.3.4/128", "10.0.0.9/0032", "1.2.3.4/99999999999999999999", "10.0.0.2/32", "x", "/8", "1.2.3.4 5", "FD00::A/128",
		"10.0.0.1/32,10.0.0.1/32", "10.0.0.9,10.0.0.2,10.0.0.9", "0:0:0:0:0:0:0:0/0", "1::2::3", ":", "12345::",
	} {
		set("peer", p1, "allowed-ips", v)
	}
	for _, v := range []string{
		"+10.0.0.9/32", "-10.0.0.1/32", "-10.0.0.2/32", "+10.0.0.9,-10.0.0.1", "10.0.0.9,-10.0.0.1/32", "+", "-", "++1.2.3.4", "+10.1", "-10.0.0.1/33",
		"+ 10.0.0.9/32", "-10.0.0.9/8", "+10.0.0.9/8", "+-1.2.3.4", "+,-",
	} {
		since(incrementalSince, "peer", p1, "allowed-ips", v)
	}
	since(incrementalSince, "peer", p1, "allowed-ips", "10.0.0.9", "allowed-ips", "+10.0.0.8")
	since(incrementalSince, "peer", p1, "allowed-ips", "+10.0.0.9", "allowed-ips", "10.0.0.8")
	set("peer", p1, "allowed-ips", "10.0.0.9", "allowed-ips", "10.0.0.8")
	set("peer", p1)
	set("peer", p9)
	set("peer", p1, "remove")
	set("peer", p9, "remove")
	set("peer", p1, "remove", "allowed-ips", "10.0.0.2/32", "endpoint", "1.2.3.4:5")
	set("peer", p1, "remove", "peer", p1)
	set("peer", p9, "allowed-ips", "10.0.0.1/32,10.0.0.2/32")
	set("peer", p1, "remove", "remove")
	set("peer", p9, "endpoint", "192.0.2.1:1", "persistent-keepalive", "1", "allowed-ips", "1.2.3.4", "peer", p1, "persistent-keepalive", "off")
	set("peer", p1, "endpoint", "192.0.2.1:1", "endpoint", "192.0.2.2:2")
	set("fwmark", "5", "listen-port", "6", "fwmark", "7")
	own := privateKey(1)
	set("peer", own.Public().String(), "allowed-ips", "10.9.0.0/16")
	for _, args := range [][]string{
		{"peer"},
		{"peer", "abc"},
		{"peer", ""},
		{"remove"},
		{"listen-port"},
		{"bogus"},
		{"bogus", "x"},
		{"peer", p1, "bogus"},
		{"peer", p1, "listen-port", "5"},
		{"peer", p1, "fwmark", "5"},
		{"peer", p1, "private-key", "/dev/null"},
		{"endpoint", "1.2.3.4:5"},
		{"allowed-ips", "1.2.3.4"},
		{"preshared-key", "/dev/null"},
		{"persistent-keepalive", "5"},
		{"peer", p1, "endpoint"},
		{"peer", p1, "allowed-ips"},
		{"peer", p1, "preshared-key"},
		{"fwmark", "x", "bogus"},
		{"fwmark", "5", "bogus"},
		{"Peer", p1},
		{"peer", p1, "Remove"},
		{""},
		{"peer", p1, ""},
		{"peer", p1 + "x"},
		{"peer", p1[:43] + " "},
		{"peer", p1, "allowed-ips", "1.2.3.4/8", "bogus"},
	} {
		set(args...)
	}
	k := privateKey(3)
	for _, content := range []string{
		k.Reveal(), k.Reveal() + "\n", k.Reveal() + " \t\r\n\n", k.Reveal() + "x", k.Reveal() + "\n\nx", "", "\n", k.Reveal()[:43], " " + k.Reveal(),
		strings.Repeat("A", 43) + "=", strings.Repeat("A", 44), strings.Repeat("!", 44), k.Reveal()[:43] + "\n" + "x", strings.Repeat("!", 44) + "x",
	} {
		set("private-key", "FILE:"+content)
		set("peer", p1, "preshared-key", "FILE:"+content)
		all = append(all, transcript{stdin: content, args: []string{"set", "IF", "private-key", "/dev/stdin"}})
	}
	set("private-key", "/dev/null")
	set("private-key", "/nonexistent")
	set("private-key", "")
	set("private-key", "/")
	set("private-key", "/dev/zero")
	set("peer", p1, "preshared-key", "/dev/null")
	set("peer", p1, "preshared-key", "/nonexistent")
	for _, name := range []string{"nosuch", "", "a/b", "..", "/"} {
		all = append(all, transcript{args: []string{"set", name, "fwmark", "1"}})
	}
	all = append(all,
		transcript{args: []string{"set", "nosuchinterface0", "fwmark", "1"}, differs: "a name that is too long is not cut off"},
		transcript{env: []string{"WG_ENDPOINT_RESOLUTION_RETRIES=x"}, args: []string{"set", "IF", "peer", p1, "endpoint", "192.0.2.1:5"}},
		transcript{env: []string{"WG_ENDPOINT_RESOLUTION_RETRIES=-1"}, args: []string{"set", "IF", "peer", p1, "endpoint", "192.0.2.1:5"}},
		transcript{env: []string{"WG_ENDPOINT_RESOLUTION_RETRIES=2147483648"}, args: []string{"set", "IF", "peer", p1, "endpoint", "192.0.2.1:5"}},
		transcript{env: []string{"WG_ENDPOINT_RESOLUTION_RETRIES=2147483647"}, args: []string{"set", "IF", "peer", p1, "endpoint", "192.0.2.1:5"}},
		transcript{env: []string{"WG_ENDPOINT_RESOLUTION_RETRIES="}, args: []string{"set", "IF", "peer", p1, "endpoint", "192.0.2.1:5"}},
		transcript{env: []string{"WG_ENDPOINT_RESOLUTION_RETRIES=infinity"}, args: []string{"set", "IF", "peer", p1, "endpoint", "192.0.2.1:5"}},
		transcript{env: []string{"WG_ENDPOINT_RESOLUTION_RETRIES=x"}, args: []string{"set", "IF", "fwmark", "5"}},
		transcript{env: []string{"WG_ENDPOINT_RESOLUTION_RETRIES=x"}, args: []string{"setconf", "IF", "FILE:[Peer]\nPublicKey=" + p1 + "\nEndpoint=1.2.3.4:5\n"}},
	)
	return all
}

func fileTranscripts() (all []transcript) {
	p1, p2, p9 := publicKey(1).String(), publicKey(2).String(), publicKey(9).String()
	k, psk := privateKey(5), presharedKeyOf(5)
	files := []string{
		"", "\n", "# nothing\n", "[Interface]\n", "[interface]", "[INTERFACE]\r\nfwmark = 5\r\n", "[Peer]\n", "[Interface]\nListenPort = 5\n[Interface]\nFwMark=7",
		"[Interface]\nPrivateKey = " + k.Reveal() + "\nListenPort = 1234\nFwMark = 0x10\n\n[Peer]\nPublicKey = " + p1 + "\nAllowedIPs = 10.0.0.1/32\n",
		"[Peer]\nPublicKey = " + p1 + "\n", "[Peer]\nPublicKey = " + p1 + "\n[Peer]\nPublicKey = " + p1 + "\nPersistentKeepalive = 3\n",
		"[Peer]\nPublicKey = " + p1 + "\nPresharedKey = " + psk.Reveal() + "\nEndpoint = 192.0.2.3:4\nPersistentKeepalive = off\nAllowedIPs = 1.2.3.4/32, 5.6.7.8/32\nAllowedIPs = ::/0\n",
		"[Peer]\nPublicKey = " + p9 + "\nAllowedIPs = 10.0.0.1/32, 10.0.0.2/32\n[Peer]\nPublicKey = " + p2 + "\nAllowedIPs = 10.0.0.2/32\n",
		"[ P e e r ]\nP u b l i c K e y = " + p1 + "\n a l l o w e d I P s=1 0.0.0.0/ 8 # comment = x\n", "[Peer]\nPublicKey = " + p1 + " # c\n#AllowedIPs = x\n",
		"ListenPort = 5\n", "[Foo]\n", "[Interface]\nfoo = 1\n", "[Interface]\nPublicKey = " + p1 + "\n", "[Peer]\nListenPort = 5\n", "[Interface]\nListenPort\n",
		"[Interface]\nListenPort =\n", "[Interface]\nListenPort = 5 ; x\n", "[Interface]\nListenPort = x\n", "[Interface]\nFwMark = x\n", "[Interface]\nPrivateKey = x\n",
		"[Peer]\nPublicKey = x\n", "[Peer]\nPublicKey = " + p1 + "\nPresharedKey = x\n", "[Peer]\nPublicKey = " + p1 + "\nEndpoint = x\n",
		"[Peer]\nPublicKey = " + p1 + "\nPersistentKeepalive = x\n", "[Peer]\nPublicKey = " + p1 + "\nAllowedIPs = x\n", "[Peer]\nAllowedIPs = 1.2.3.4\n[Peer]\nPublicKey = " + p1 + "\n",
		"[Peer]\nPublicKey = " + p1 + "\nAllowedIPs = 10.0.0.9/8, fd00::1/8\n", "[Interface]\nListenPort = 5\x00junk\nFwMark = 6\n", "[Interface]\n= 5\n", "[Interface]\n=\n",
		"[Interface]\nListenPort == 5\n", "[Interface]]\n", "[Interface\n", "[Interface] x\n", "[Interface] # x\nFwMark=off\n", "[Peer]\nPublicKey=" + p1 + "\nEndpoint=192.0.2.1:5#x\n",
		"[Interface]\nPrivateKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", "[Peer]\nPublicKey = " + p1 + "\nPresharedKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"[Interface]\nAddress = 10.0.0.1/24\n", "[Interface]\nPostUp = echo\n", "[Peer]\nPublicKey = " + p1 + "\nAllowedIPs = 1.2.3.4,\n", "[Interface]\nListenPort = domain\n",
		"[Peer]\nPublicKey = " + k.Public().String() + "\n[Interface]\nPrivateKey = " + k.Reveal() + "\n", "[Peer]\nPublicKey=" + p1 + "\nEndpoint=nosuchname.invalid:1\nbogus\n",
		"[Peer]\nPublicKey=" + p1 + "\nEndpoint=[fe80::1%lo]:5\n", "[Peer]\nPublicKey=" + p1 + "\nPublicKey=" + p9 + "\n", "[Interface]\nListenPort=\t5\v\f\n",
		"[Peer]\nPublicKey=" + p1 + "\nAllowedIPs=1.2.3.4\nAllowedIPs=x\n", "\xff\xfe[Interface]\n", "[Interface]\nListenPort = 5", "[Peer]\nPublicKey = " + p1 + "\nEndpoint = 2001:db8::1:51820",
	}
	for _, text := range files {
		for _, command := range []string{"setconf", "addconf", "syncconf"} {
			c := transcript{args: []string{command, "IF", "FILE:" + text}}
			if command == "syncconf" && strings.Contains(text, p1) {
				c.since = syncSince
			}
			all = append(all, c)
		}
		all = append(all, transcript{state: "keyed", args: []string{"syncconf", "IF", "FILE:" + text}})
	}
	for _, v := range []string{"+10.0.0.9/32", "-10.0.0.1/32", "1.2.3.4/32\nAllowedIPs=+5.6.7.8", "+1.2.3.4/32\nAllowedIPs=5.6.7.8", "-10.0.0.1,+fd01::/64"} {
		for _, command := range []string{"setconf", "addconf", "syncconf"} {
			all = append(all, transcript{since: syncSince, args: []string{command, "IF", "FILE:[Peer]\nPublicKey=" + p1 + "\nAllowedIPs=" + v + "\n"}})
		}
	}
	all = append(all,
		transcript{args: []string{"setconf", "IF", "/dev/stdin"}, stdin: "[Interface]\nFwMark = 9\n"},
		transcript{args: []string{"setconf", "IF", "/nonexistent"}},
		transcript{args: []string{"setconf", "nosuch", "/dev/null"}},
		transcript{args: []string{"syncconf", "nosuch", "/dev/null"}},
		transcript{args: []string{"syncconf", "nosuch", "FILE:[Peer]\nPublicKey=" + p1 + "\n"}},
		transcript{args: []string{"setconf", "nosuch", "FILE:bogus"}},
		transcript{args: []string{"setconf", "IF", "/dev/null"}},
		transcript{args: []string{"setconf", "IF", "/"}, differs: "a directory is not an empty file"},
		transcript{args: []string{"setconf", "IF", "FILE:\ufeff[Interface]\nFwMark=3\n"}, differs: "a byte-order mark is skipped"},
		transcript{args: []string{"setconf", "IF", "FILE:[Peer]\nPublicKey=" + p1 + "\nAllowedIPs =\n"}, differs: "an empty list is a list"},
		transcript{args: []string{"setconf", "IF", "FILE:[Interface]\nListenPort=70000\n"}, differs: "a port beyond 65535 does not wrap"},
	)
	return all
}
