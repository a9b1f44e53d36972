//go:build linux && e2e

package tunnel_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/cmd/device"
	"github.com/warrenvpn/warren/internal/cmd/tunnel"
	"github.com/warrenvpn/warren/internal/cmd/wg"
	"github.com/warrenvpn/warren/internal/cmd/wgquick"
)

// The test binary is also the program under test: with a first word of warren's
// it behaves as warren, and called as one of the programs that it replaces, as
// that.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "wireguard-go":
		os.Exit(device.Main("wireguard-go", os.Args[1:], "test"))
	case "wg":
		os.Exit(wg.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
	case "wg-quick":
		dieWhereTold()
		os.Exit(wgquick.Main("wg-quick", os.Args[1:]))
	}
	if len(os.Args) > 1 {
		switch word := os.Args[1]; word {
		case "device":
			os.Exit(device.Main("warren device", os.Args[2:], "test"))
		case "up", "down", "save", "strip":
			dieWhereTold()
			os.Exit(tunnel.Main("warren "+word, os.Args[1:], "test"))
		}
	}
	os.Exit(m.Run())
}

// insideEnv is set in the process that runs a test's body.
const insideEnv = "WARREN_TEST_INSIDE"

// inside makes a test run in a process of its own, alone in new network, mount
// and process namespaces with an empty /run and /etc/wireguard. It reports
// whether this is that process.
//
//	eth0 192.0.2.10/24, 2001:db8::10/64 --- far 192.0.2.1/24 (no namespace of its own)
func inside(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideEnv) == t.Name() {
		setUpInside(t)
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v=true", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), insideEnv+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	case !bytes.Contains(out, []byte("--- PASS: "+t.Name())):
		t.Errorf("the test did not run\n%s", out)
	}
	return false
}

// tools is a directory with wg-quick's user-space program in it.
const tools = "/run/tools"

// ours is a directory with our wg-quick in it.
const ours = "/run/ours"

func setUpInside(t *testing.T) {
	t.Helper()
	check(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	check(t, unix.Mount("proc", "/proc", "proc", 0, ""))
	check(t, unix.Mount("run", "/run", "tmpfs", 0, "mode=0755"))
	sh(t, "cp -a /etc /run/etc && rm -f /run/etc/resolv.conf")
	check(t, unix.Mount("/run/etc", "/etc", "", unix.MS_BIND, ""))
	write(t, "/etc/resolv.conf", "nameserver 192.0.2.53\n")
	check(t, unix.Mount("etc", "/etc/wireguard", "tmpfs", 0, "mode=0700"))
	check(t, os.Mkdir(tools, 0o755))
	self, err := os.Executable()
	check(t, err)
	check(t, os.Symlink(self, filepath.Join(tools, "wireguard-go")))
	check(t, os.Mkdir(ours, 0o755))
	check(t, os.Symlink(self, ours+"/wg-quick"))
	check(t, os.WriteFile("/proc/sys/net/ipv6/conf/all/accept_dad", []byte("0"), 0))
	check(t, os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0))
	sh(t, `ip link set lo up
		ip link add eth0 type veth peer name far
		ip address add 192.0.2.10/24 dev eth0
		ip address add 2001:db8::10/64 dev eth0
		ip link set eth0 addrgenmode none up
		ip link set far addrgenmode none up
		while ip address show | grep -q 'tentative\|NO-CARRIER'; do :; done`)
	check(t, os.Chdir("/run"))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sh(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.Command("bash", "-e", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// result is what a command did.
type result struct {
	code int
	text string // stderr
}

func warren(t *testing.T, args ...string) result { return program(t, "/proc/self/exe", args...) }

func wgQuick(t *testing.T, args ...string) result { return program(t, "wg-quick", args...) }

func program(t *testing.T, name string, args ...string) result {
	t.Helper()
	return finish(t, command(name, args...))
}

func command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	if name == "wg-quick" {
		cmd.Env = append(os.Environ(), "WG_QUICK_USERSPACE_IMPLEMENTATION="+tools+"/wireguard-go")
	}
	return cmd
}

// finish runs a command with its stderr in a file: a daemon may keep it.
func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	f, err := os.CreateTemp("", "stderr")
	check(t, err)
	defer os.Remove(f.Name())
	defer f.Close()
	cmd.Stderr = f
	if cmd.Process == nil {
		check(t, cmd.Start())
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.Name())
	check(t, err)
	return result{cmd.ProcessState.ExitCode(), string(text)}
}

// wantDone fails the test unless a command succeeded.
func (r result) wantDone(t *testing.T) {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit code %d:\n%s", r.code, r.text)
	}
}

// write makes a configuration file that only root may read.
func write(t *testing.T, path, text string) {
	t.Helper()
	check(t, os.WriteFile(path, []byte(text), 0o600))
}

const (
	privateKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHl8="
	peer1      = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
	peer2      = "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8="
)

// keys stand for themselves in configurations of tests.
var keys = strings.NewReplacer("$KEY", privateKey, "$P1", peer1, "$P2", peer2)

// stateScript prints everything about a host that a tunnel may change.
const stateScript = `exec 2>/dev/null
show() { echo "$ $*"; "$@"; }
show ip -d address show
show ip -4 -d route show table all
show ip -6 -d route show table all
show ip -4 rule show
show ip -6 rule show
show find /run/wireguard -name '*.sock'
show nft list ruleset
show sysctl net.ipv4.conf.all.src_valid_mark
show stat -c '%n %a %u %g %h %s %F' /etc/resolv.conf
show cat /etc/resolv.conf
show ls -A /etc/wireguard
show ss -Hlun
show find /run/warren -name '*.journal' -o -name '*.tmp'
true`

// state is everything about a host that a tunnel may change.
func state(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("bash", "-c", stateScript).Output()
	check(t, err)
	return volatile.ReplaceAllString(string(out), "")
}

var volatile = regexp.MustCompile(`(expires|users|used|age) [0-9a-z]+| tentative`)

// wantUnchanged compares with an earlier state, and looks for left processes.
func wantUnchanged(t *testing.T, what, before string) {
	t.Helper()
	if after := state(t); after != before {
		t.Errorf("%s changed the host:\n%s", what, difference(before, after))
	}
	if d := daemons(t); len(d) > 0 {
		t.Errorf("%s left processes: %q", what, d)
	}
}

// difference lists the lines that only one of two texts has.
func difference(before, after string) string {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	var d strings.Builder
	for _, l := range a {
		if !slices.Contains(b, l) {
			d.WriteString("- " + l + "\n")
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			d.WriteString("+ " + l + "\n")
		}
	}
	return d.String()
}

// daemons lists the devices that run in this process namespace. They get a
// moment: one that was told to end does so by itself.
func daemons(t *testing.T) []string {
	t.Helper()
	var found []string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		found = nil
		files, err := filepath.Glob("/proc/[0-9]*/cmdline")
		check(t, err)
		for _, f := range files {
			words, _ := os.ReadFile(f)
			args := strings.Split(string(words), "\x00")
			if len(args) > 2 && (args[1] == "device" || strings.HasSuffix(args[0], "/wireguard-go")) {
				found = append(found, strings.Join(args, " "))
			}
		}
		if len(found) == 0 {
			return nil
		}
	}
	return found
}

// Q29 in part, Q25, B98: the addresses and routes are those that wg-quick of
// the distribution makes of the same file.
func TestSameStateAsWgQuick(t *testing.T) {
	if !inside(t) {
		return
	}
	t.Log(strings.TrimSpace(sh(t, "wg --version")))
	peer := func(allowed string) string { return "[Peer]\nPublicKey = $P1\nAllowedIPs = " + allowed + "\n" }
	for _, c := range []struct{ name, iface, text string }{
		{"nothing", "wg0", "[Interface]\nPrivateKey = $KEY\n"},
		{"relay", "wg0", "[Interface]\nAddress = 10.0.0.1/24,2001:DB8:1::1/64\nListenPort = 51820\nPrivateKey = $KEY\n" +
			peer("10.0.0.3/32") + "[Peer]\nPublicKey = $P2\nAllowedIPs = 10.0.0.4/32, 192.168.1.1/24\n"},
		{"client", "wg0", "[Interface]\nAddress = 10.0.0.3/32\nPrivateKey = $KEY\n" + peer("10.0.0.1/24") + "Endpoint = 192.0.2.1:51820\nPersistentKeepalive = 25\n"},
		{"no length", "wg0", "[Interface]\nAddress = 10.0.0.1, fd00::1\nPrivateKey = $KEY\n" + peer("10.0.0.2, fd00::2")},
		{"own address allowed", "wg0", "[Interface]\nAddress = 10.0.0.1/32, fd00::1/128\nPrivateKey = $KEY\n" + peer("10.0.0.1/32, fd00::1/128")},
		{"wider than the address", "wg0", "[Interface]\nAddress = 10.0.0.1/24, fd00::1/64\nPrivateKey = $KEY\n" + peer("10.0.0.0/16, fd00::/48, 10.0.0.0/24, 10.0.0.128/25, fd00::/64, fd00::8000/113")},
		{"nested", "wg0", "[Interface]\nPrivateKey = $KEY\n" + peer("10.0.0.0/8, 10.1.0.0/16, 10.1.1.0/24, 10.1.1.1/32, fd00::/8, fd00:1::/32, fd00:1::1/128")},
		{"halves of everything", "wg0", "[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n" + peer("0.0.0.0/1, 128.0.0.0/1, ::/1, 8000::/1")},
		{"around an existing route", "wg0", "[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n" + peer("192.0.2.0/25, 192.0.0.0/16, 2001:db8::/48")},
		{"many addresses", "wg0", "[Interface]\nAddress = 10.0.0.1/24, 10.0.0.2/24, 10.0.1.1/31\nAddress = 127.9.0.1/8, fd00::1/64, fd00::2/64, fe80::1/64\nPrivateKey = $KEY\n" + peer("10.9.0.0/16")},
		{"table off", "wg0", "[Interface]\nAddress = 10.0.0.1/24\nTable = off\nPrivateKey = $KEY\n" + peer("0.0.0.0/0, ::/0, 10.9.0.0/16")},
		{"table auto", "wg0", "[Interface]\nTable = auto\nPrivateKey = $KEY\n" + peer("10.9.0.0/16")},
		{"mtu", "wg0", "[Interface]\nAddress = 10.0.0.1/24, fd00::1/64\nMTU = 1380\nPrivateKey = $KEY\n" + peer("10.9.0.0/16")},
		{"mark", "wg0", "[Interface]\nAddress = 10.0.0.1/24\nFwMark = 0x1234\nPrivateKey = $KEY\n" + peer("10.9.0.0/16")},
		{"mtu of the path", "wg0", "[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n" + peer("10.9.0.0/16") + "Endpoint = 192.0.2.1:51820\n"},
		{"routes by a hook", "wg0", "[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\nPostUp = ip route add 10.77.0.0/16 dev %i; ip rule add to 10.78.0.0/16 table 9\nPostDown = ip rule del to 10.78.0.0/16 table 9\n" + peer("10.9.0.0/16")},
		{"a name like a keyword", "dev", "[Interface]\nAddress = 10.0.0.1/24, fd00::1/64\nPrivateKey = $KEY\n" + peer("10.9.0.0/16")},
		{"a name like a number", "1", "[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n" + peer("10.9.0.0/16")},
		{"a long name", "abcdefghijklmno", "[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n" + peer("10.9.0.0/16")},
		{"a name of signs", "a_=+.-", "[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n" + peer("10.9.0.0/16")},
	} {
		file := "/run/" + c.iface + ".conf"
		write(t, file, keys.Replace(c.text))
		before := state(t)
		compare(t, c.name, c.iface, file)
		wantUnchanged(t, c.name, before)
	}
}

// compare brings a tunnel up and down with both programs.
func compare(t *testing.T, name, iface, file string) {
	t.Helper()
	theirs := wgQuick(t, "up", file)
	want := comparable(t, iface)
	if theirs.code == 0 {
		wgQuick(t, "down", file).wantDone(t)
	}
	if d := daemons(t); len(d) > 0 {
		t.Fatalf("%s: wg-quick left %q", name, d)
	}
	ours := warren(t, "up", file)
	got := comparable(t, iface)
	if theirs.code != 0 || ours.code != 0 {
		t.Errorf("%s: wg-quick ended with %d and\n%s\nwarren with %d and\n%s", name, theirs.code, theirs.text, ours.code, ours.text)
	}
	if got != want {
		t.Errorf("%s: wg-quick made (-), warren made (+)\n%s", name, difference(want, got))
	}
	if ours.code == 0 {
		warren(t, "down", file).wantDone(t)
	}
}

// linkLocal is what a kernel gives a TUN, and a WireGuard interface not: a
// random address, which wg-quick lets happen.
var linkLocal = regexp.MustCompile(`(?m)^.*inet6 fe80::.* scope link (stable-privacy|noprefixroute|kernel).*\n.*valid_lft.*\n|^.*fe80::.*\bproto kernel\b.*\n`)

func comparable(t *testing.T, iface string) string {
	t.Helper()
	// The kernel confirms IPv6 addresses, and makes their local routes, a moment
	// after the link is up. wg-quick does not wait for that.
	for start := time.Now(); time.Since(start) < 2*time.Second; time.Sleep(5 * time.Millisecond) {
		if out, err := exec.Command("ip", "-6", "address", "show", "dev", iface, "tentative").Output(); err != nil || len(out) == 0 {
			break
		}
	}
	s := state(t)
	out, err := exec.Command("wg", "showconf", iface).CombinedOutput()
	if err != nil {
		s += err.Error()
	}
	s += regexp.MustCompile(`(?m)^ListenPort.*\n`).ReplaceAllString(string(out), "")
	s = regexp.MustCompile(`(?m)^[0-9]+: `).ReplaceAllString(s, "")
	// Ports are random, and only one of the two keeps journals.
	s = regexp.MustCompile(`(?m)^UNCONN.*\n|^/run/warren/.*\.journal\n`).ReplaceAllString(s, "")
	return linkLocal.ReplaceAllString(s, "")
}

// Q21, B94: the MTU over links and routes of many sizes.
func TestMTU(t *testing.T) {
	if !inside(t) {
		return
	}
	sh(t, `n=1; for mtu in 1280 1400 1500 9000; do
		ip link add m$mtu type veth peer name f$mtu
		ip link set m$mtu mtu $mtu up; ip link set f$mtu mtu $mtu up
		ip address add 10.$n.0.2/16 dev m$mtu; ip address add fd00:$n::2/64 dev m$mtu
		n=$((n+1))
	done
	ip route add 10.101.0.0/16 via 10.3.0.1 mtu 1350
	ip route add 10.102.0.0/16 via 10.3.0.1 mtu lock 1360
	ip route add fd00:101::/64 via fd00:3::1 mtu 1370
	ip route add blackhole 10.103.0.0/16`)
	one := func(endpoints ...string) string {
		text := "[Interface]\nPrivateKey = $KEY\n"
		for i, e := range endpoints {
			text += fmt.Sprintf("[Peer]\nPublicKey = %s\nEndpoint = %s:51820\n", []string{"$P1", "$P2"}[i], e)
		}
		return text
	}
	v6 := "[Peer]\nPublicKey = " + "$KEY" + "\nAllowedIPs = fd99::/64\n"
	for _, c := range []struct {
		name, text   string
		defaultRoute string
		want         int
		same         bool // wg-quick of every version agrees
	}{
		{"no endpoint", one(), "", 1420, true},
		{"1280", one("10.1.0.1"), "", 1200, true},
		{"1400", one("10.2.0.1"), "", 1320, true},
		{"1500", one("10.3.0.1"), "", 1420, true},
		{"9000", one("10.4.0.1"), "", 8920, true},
		{"IPv6 over 1400", one("[fd00:2::1]"), "", 1320, true},
		{"the MTU of a route", one("10.101.0.1"), "", 1270, true},
		{"the MTU of an IPv6 route", one("[fd00:101::1]"), "", 1290, true},
		{"a locked MTU", one("10.102.0.1"), "", 1280, false},
		{"smallest of two", one("10.4.0.1", "10.2.0.1"), "", 1320, false},
		{"smallest of two families", one("[fd00:1::1]", "10.4.0.1"), "", 1200, false},
		{"unreachable", one("10.103.0.1"), "", 1420, true},
		{"unreachable, with a default route", one("10.103.0.1"), "default via 10.2.0.1", 1320, true},
		{"default route", one(), "default via 10.4.0.1", 8920, true},
		{"default route with an MTU", one(), "default via 10.4.0.1 mtu 1450", 1370, true},
		{"IPv6 inside over 1280", one("10.1.0.1") + v6, "", 1280, false},
	} {
		if c.defaultRoute != "" {
			sh(t, "ip route add "+c.defaultRoute)
		}
		write(t, "wg0.conf", keys.Replace(c.text))
		if c.same {
			wgQuick(t, "up", "./wg0.conf").wantDone(t)
			if got := mtu(t); got != c.want {
				t.Errorf("%s: wg-quick chose %d, want %d", c.name, got, c.want)
			}
			wgQuick(t, "down", "./wg0.conf").wantDone(t)
			daemons(t)
		}
		r := warren(t, "up", "./wg0.conf")
		r.wantDone(t)
		if got := mtu(t); got != c.want {
			t.Errorf("%s: MTU %d, want %d\n%s", c.name, got, c.want, r.text)
		}
		warren(t, "down", "./wg0.conf").wantDone(t)
		if c.defaultRoute != "" {
			sh(t, "ip route del "+c.defaultRoute)
		}
	}
}

func mtu(t *testing.T) int {
	t.Helper()
	var n int
	out := sh(t, "cat /proc/net/dev >/dev/null; ip -o link show wg0")
	_, rest, _ := strings.Cut(out, " mtu ")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatalf("no MTU in %q", out)
	}
	return n
}

// Q13, B102: a hook is executed as it stands, but for %i; bash's features work,
// variables do not survive, and failures inside count as under wg-quick.
func TestHooks(t *testing.T) {
	if !inside(t) {
		return
	}
	long := strings.Repeat("0123456789abcdef", 256)
	for _, c := range []struct{ name, hook, want string }{
		{"name", `echo %i-%i`, "wg0-wg0\n"},
		{"hash", `echo "a#b" # c`, "a#b\n"},
		{"quotes", `printf '%s|' 'a  b' "c'd" e\ f`, "a  b|c'd|e f|"},
		{"equals", `X==y; echo "$X=?"`, "=y=?\n"},
		{"percent", `printf '%s %%s %d\n' a 7`, "a %s 7\n"},
		{"UTF-8", `echo "grüße ∑ 🐇"`, "grüße ∑ 🐇\n"},
		{"4 KB", `echo ` + long, long + "\n"},
		{"process substitution", `cat <(echo a) <(echo b)`, "a\nb\n"},
		{"sequence", `echo a; echo b && echo c | tr c d`, "a\nb\nd\n"},
		{"arithmetic", `echo $((6*7)) ${#INTERFACE}`, "42 3\n"},
		{"extended patterns", `x=aab; echo ${x##+(a)}`, "b\n"},
		{"variables", `echo "$INTERFACE"`, "wg0\n"},
		{"language", `echo "$LC_ALL"`, "C\n"},
		{"function cmd", `cmd echo hello`, "hello\n"},
		{"arguments", `echo "$#"`, "0\n"},
		{"lost variable", `LOST=1`, ""},
		{"of another hook", `echo "[${LOST-}]"`, "[]\n"},
	} {
		write(t, "wg0.conf", keys.Replace("[Interface]\nPrivateKey = $KEY\nPostUp = exec > /run/out; "+c.hook+"\n"))
		os.Remove("/run/out")
		r := warren(t, "up", "./wg0.conf")
		out, _ := os.ReadFile("/run/out")
		if r.code != 0 || string(out) != c.want {
			t.Errorf("%s: %s wrote %q, exit code %d, want %q\n%s", c.name, c.hook, out, r.code, c.want, r.text)
		}
		if trace := "[#] exec > /run/out; " + strings.ReplaceAll(c.hook, "%i", "wg0") + "\n"; !strings.Contains(r.text, trace) {
			t.Errorf("%s: no %q in\n%s", c.name, trace, r.text)
		}
		if r.code == 0 {
			warren(t, "down", "./wg0.conf").wantDone(t)
		}
	}
}

// A hook fails where it fails under wg-quick, with the same exit code.
func TestFailingHooksAsWgQuick(t *testing.T) {
	if !inside(t) {
		return
	}
	before := state(t)
	for _, hook := range []string{"false", "exit 7", "false; true", "true; false", "false | true", "true | exit 9", "no-such-command", "if false; then :; fi", "! true", "kill -TERM $BASHPID", "exit 0; exit 1", "die gone"} {
		write(t, "wg0.conf", keys.Replace("[Interface]\nPrivateKey = $KEY\nPostUp = "+hook+"\n"))
		theirs := wgQuick(t, "up", "./wg0.conf")
		if theirs.code == 0 {
			wgQuick(t, "down", "./wg0.conf").wantDone(t)
		}
		daemons(t)
		// The distribution's version may be one that runs PreUp before there is
		// an interface, and then fails otherwise.
		for _, when := range []string{"PreUp", "PostUp"} {
			write(t, "wg0.conf", keys.Replace("[Interface]\nPrivateKey = $KEY\n"+when+" = "+hook+"\n"))
			ours := warren(t, "up", "./wg0.conf")
			if ours.code != theirs.code {
				t.Errorf("%s = %s: exit code %d, of wg-quick %d\n%s", when, hook, ours.code, theirs.code, ours.text)
			}
			if ours.code == 0 {
				warren(t, "down", "./wg0.conf").wantDone(t)
			}
			wantUnchanged(t, when+" = "+hook, before)
		}
	}
}

// Q23, B95, Q21 of compatibility: a key that a hook sets stays, whichever hook.
func TestKeyFromHook(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "/etc/wireguard/wg0.key", privateKey+"\n")
	for _, hook := range []string{
		"PreUp = wg set %i private-key /etc/wireguard/%i.key",
		"PostUp = wg set %i private-key <(cat /etc/wireguard/wg0.key)",
	} {
		write(t, "/etc/wireguard/wg0.conf", "[Interface]\n"+hook+"\n[Peer]\nPublicKey = "+peer1+"\nAllowedIPs = 10.9.0.0/16\n")
		r := warren(t, "up", "wg0")
		r.wantDone(t)
		if got := strings.TrimSpace(sh(t, "wg show wg0 private-key")); got != privateKey {
			t.Errorf("%s: the key is %q afterwards, want the one it set", hook, got)
		}
		if strings.Contains(r.text, "no private key") {
			t.Errorf("%s: complained of a missing key\n%s", hook, r.text)
		}
		warren(t, "down", "wg0").wantDone(t)
	}
}

// Q23, B99: whatever fails, the host is as before. Nothing of a failed up is
// left: no interface, socket, route, rule or process.
func TestFailuresLeaveNothing(t *testing.T) {
	if !inside(t) {
		return
	}
	t.Setenv("WG_ENDPOINT_RESOLUTION_RETRIES", "0")
	sh(t, "ip route add 10.50.0.0/16 dev eth0")
	for _, c := range []struct{ name, text, says string }{
		{"an address the kernel refuses", "Address = 10.0.0.1/24, ff02::1/64\n", "./wg0.conf:3: Address: add address ff02::1/64"},
		{"an MTU the kernel refuses", "Address = 10.0.0.1/24\nMTU = 70000\n", "./wg0.conf:4: MTU: "},
		{"a route that is there", "Address = 10.0.0.1/24\n[Peer]\nPublicKey = $P1\nAllowedIPs = 10.60.0.0/16\nAllowedIPs = 10.50.0.0/16\n", "./wg0.conf:7: AllowedIPs: there is a route to 10.50.0.0/16 through eth0 already\nhint: "},
		{"an endpoint without address", "[Peer]\nPublicKey = $P1\nEndpoint = nobody.invalid:51820\n", "./wg0.conf:5: Endpoint: "},
		{"an address set before", "PreUp = ip address add 10.0.0.1/24 dev %i\nAddress = 10.0.0.1/24\n", "./wg0.conf:4: Address: the interface has 10.0.0.1/24 already"},
		{"an interface that a hook removed", "PreUp = ip link delete %i; while test -e /run/wireguard/%i.sock; do :; done\n", "wg0"},
		{"a failing hook", "Address = 10.0.0.1/24\nPostUp = exit 3\n", "./wg0.conf:4: PostUp: the PostUp command failed with status 3"},
	} {
		before := state(t)
		write(t, "wg0.conf", keys.Replace("[Interface]\nPrivateKey = $KEY\n"+c.text))
		r := warren(t, "up", "./wg0.conf")
		if r.code == 0 || !strings.Contains(r.text, c.says) {
			t.Errorf("%s: exit code %d, want a failure that says %q\n%s", c.name, r.code, c.says, r.text)
		}
		wantUnchanged(t, c.name, before)
	}
}

// A signal while a hook runs, or a name is looked up, undoes everything.
func TestSignalsLeaveNothing(t *testing.T) {
	if !inside(t) {
		return
	}
	before := state(t)
	check(t, unix.Mkfifo("/run/here", 0o600))
	hook := "echo > /run/here; sleep 60"
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		for _, when := range []string{"PreUp", "PostUp"} {
			write(t, "wg0.conf", keys.Replace("[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n"+when+" = "+hook+"\n[Peer]\nPublicKey = $P1\nAllowedIPs = 10.9.0.0/16\n"))
			cmd := command("/proc/self/exe", "up", "./wg0.conf")
			check(t, cmd.Start())
			_, err := os.ReadFile("/run/here") // until the hook is there
			check(t, err)
			check(t, cmd.Process.Signal(sig))
			r := finish(t, cmd)
			if want := 128 + int(sig); r.code != want {
				t.Errorf("%v in %s: exit code %d, want %d", sig, when, r.code, want)
			}
			wantUnchanged(t, fmt.Sprintf("%v in %s", sig, when), before)
		}
	}
}

// A name that cannot be looked up at present is tried again, until a signal.
func TestSignalWhileResolving(t *testing.T) {
	if !inside(t) {
		return
	}
	check(t, os.WriteFile("/run/resolv.conf", nil, 0o644))
	check(t, unix.Mount("/run/resolv.conf", "/etc/resolv.conf", "", unix.MS_BIND, ""))
	before := state(t)
	write(t, "wg0.conf", keys.Replace("[Interface]\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nEndpoint = somewhere.example:51820\n"))
	cmd := command("/proc/self/exe", "up", "./wg0.conf")
	stderr, err := os.Create("/run/stderr")
	check(t, err)
	cmd.Stderr = stderr
	cmd.Env = append(os.Environ(), "WG_ENDPOINT_RESOLUTION_RETRIES=infinity")
	check(t, cmd.Start())
	for !strings.Contains(read(t, "/run/stderr"), "Trying again in 1.00 seconds...") {
		time.Sleep(time.Millisecond)
	}
	check(t, cmd.Process.Signal(syscall.SIGTERM))
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 143 {
		t.Errorf("exit code %d, want 143\n%s", got, read(t, "/run/stderr"))
	}
	wantUnchanged(t, "a signal", before)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	return string(text)
}

// Bad input: one clear error, exit code 1, nothing changed.
func TestBadInput(t *testing.T) {
	if !inside(t) {
		return
	}
	good := keys.Replace("[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n")
	files := map[string]string{
		"good.conf":             good,
		"bad-key.conf":          "[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = AAAA\n",
		"bad-port.conf":         good + "ListenPort = 70000\n",
		"bad-addr.conf":         "[Interface]\nAddress = 10.0.0.1/33\n",
		"unknown.conf":          good + "Adress = 10.0.0.2/24\n",
		"no-pub.conf":           good + "[Peer]\nAllowedIPs = 10.9.0.0/16\n",
		"section.conf":          good + "[Pear]\n",
		"table.conf":            good + "Table = vpn\n",
		"save.conf":             good + "SaveConfig = maybe\n",
		"eth0.conf":             good,
		"lo.conf":               good,
		"sixteen-sixteen":       good,
		"abcdefghijklmnop.conf": good,
	}
	for name, text := range files {
		write(t, name, text)
	}
	check(t, os.Mkdir("dir.conf", 0o700))
	check(t, os.Symlink("/run/nowhere", "dangling.conf"))
	before := state(t)
	for _, c := range []struct{ arg, says string }{
		{"./bad-key.conf", "./bad-key.conf:3: PrivateKey: got 4 characters, want 44 of base64\nhint: wg genkey"},
		{"./bad-port.conf", "./bad-port.conf:4: ListenPort: "},
		{"./bad-addr.conf", `./bad-addr.conf:2: Address: "10.0.0.1/33" is not an IP address`},
		{"./unknown.conf", `./unknown.conf:4: "Adress" is not known`},
		{"./no-pub.conf", "./no-pub.conf:4: PublicKey: this peer has no public key"},
		{"./section.conf", "./section.conf:4: "},
		{"./table.conf", `./table.conf:4: Table: "vpn" is no routing table of this host`},
		{"./save.conf", `./save.conf:4: SaveConfig: "maybe" is neither true nor false`},
		{"./eth0.conf", "`eth0' already exists\nhint: another program's"},
		{"./lo.conf", "`lo' already exists"},
		{"good.conf", "`/etc/wireguard/good.conf.conf' does not exist\nhint: for the file here, say ./good.conf"},
		{"good", "`/etc/wireguard/good.conf' does not exist\nhint: for the file here, say ./good.conf"},
		{"./none.conf", "`./none.conf' does not exist"},
		{"./dangling.conf", "`./dangling.conf' does not exist"},
		{"./dir.conf", "./dir.conf: cannot be read: is a directory"},
		{"./abcdefghijklmnop.conf", "16 characters, want at most 15"},
		{"abcdefghijklmnop", "16 characters, want at most 15"},
		{"./sixteen-sixteen", "ends in .conf"},
	} {
		r := warren(t, "up", c.arg)
		wantComplaint(t, c.arg, r, "warren up: "+c.says)
		wantUnchanged(t, c.arg, before)
	}
}

// wantComplaint wants exit code 1 and one error at the end, after which only
// hints follow.
func wantComplaint(t *testing.T, what string, r result, says string) {
	t.Helper()
	i := strings.Index(r.text, "warren ")
	if r.code != 1 || i < 0 || !strings.HasPrefix(r.text[i:], says) && !strings.Contains(r.text, says[len("warren up: "):]) {
		t.Errorf("%s: exit code %d, want 1 and %q\n%s", what, r.code, says, r.text)
	}
	if n := strings.Count(r.text, "warren up: "); n > 1 {
		t.Errorf("%s: %d errors, want one\n%s", what, n, r.text)
	}
	if strings.Contains(r.text, "[#]") {
		t.Errorf("%s: began\n%s", what, r.text)
	}
}

// A port that another program has is an error of up, which the link, a TUN,
// does not report; a port that our own daemon has open already is none.
func TestPortInUse(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "wg0.conf", keys.Replace("[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\nListenPort = 5555\n"))
	write(t, "wg1.conf", keys.Replace("[Interface]\nPrivateKey = $KEY\nPreUp = ip link set %i up\nListenPort = 5555\n"))
	for _, address := range []string{"0.0.0.0", "127.0.0.1", "::", "::1"} {
		before := state(t)
		other, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(address), Port: 5555})
		check(t, err)
		r := warren(t, "up", "./wg0.conf")
		check(t, other.Close())
		if r.code != 1 || !strings.Contains(r.text, "warren up: ./wg0.conf:4: ListenPort: UDP port 5555 is in use\nhint: ") {
			t.Errorf("port taken on %s: exit code %d\n%s", address, r.code, r.text)
		}
		wantUnchanged(t, "a port in use on "+address, before)
	}
	warren(t, "up", "./wg1.conf").wantDone(t)
	warren(t, "down", "./wg1.conf").wantDone(t)
	warren(t, "up", "./wg0.conf").wantDone(t)
	warren(t, "down", "./wg0.conf").wantDone(t)
}

// Hooks find their shell, and programs, without PATH.
func TestHooksWithoutPath(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "wg0.conf", "[Interface]\nPostUp = ls / >/dev/null\n")
	for _, word := range []string{"up", "down"} {
		cmd := command("/proc/self/exe", word, "./wg0.conf")
		cmd.Env = []string{}
		finish(t, cmd).wantDone(t)
	}
}

// Without the right to do it, and without /dev/net/tun, nothing is begun.
func TestMissingRights(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "good.conf", keys.Replace("[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n"))
	write(t, "secret.conf", "")
	check(t, os.Chown("good.conf", 65534, 65534))
	before := state(t)
	asNobody := func(args ...string) result {
		cmd := command("/run/warren", args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		return finish(t, cmd)
	}
	self, err := os.ReadFile("/proc/self/exe")
	check(t, err)
	check(t, os.WriteFile("/run/warren", self, 0o755))
	wantComplaint(t, "as nobody", asNobody("up", "./good.conf"), "warren up: only root, or a process with CAP_NET_ADMIN")
	wantComplaint(t, "a secret file", asNobody("up", "./secret.conf"), "warren up: ./secret.conf: cannot be read: permission denied\nhint: put sudo before it")
	if r := asNobody("up", "--dry-run", "./good.conf"); r.code != 0 {
		t.Errorf("a dry run as nobody: exit code %d\n%s", r.code, r.text)
	}
	sh(t, "mount -t tmpfs net /dev/net")
	wantComplaint(t, "no /dev/net/tun", warren(t, "up", "./good.conf"), "warren up: there is no /dev/net/tun\nhint: ")
	wantUnchanged(t, "missing rights", before)
}

// Q30: what is up cannot be brought up, what is not cannot be taken down; and
// down may be followed by up at once.
func TestTwice(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "/etc/wireguard/wg0.conf", keys.Replace("[Interface]\nAddress = 10.0.0.1/24, fd00::1/64\nPrivateKey = $KEY\nPostUp = ping -c1 -W1 -I fd00::1 fd00::1 >&2\n[Peer]\nPublicKey = $P1\nAllowedIPs = 10.9.0.0/16\n"))
	before := state(t)
	for range 10 {
		warren(t, "up", "wg0").wantDone(t)
		warren(t, "down", "wg0").wantDone(t)
	}
	wantUnchanged(t, "ten times up and down", before)
	warren(t, "up", "wg0").wantDone(t)
	up := state(t)
	wantComplaint(t, "second up", warren(t, "up", "wg0"), "warren up: `wg0' already exists\nhint: `warren down /etc/wireguard/wg0.conf` takes it down")
	if now := state(t); now != up {
		t.Errorf("the second up changed the host:\n%s", difference(up, now))
	}
	warren(t, "down", "wg0").wantDone(t)
	r := warren(t, "down", "wg0")
	if r.code != 1 || r.text != "warren down: `wg0' is not a WireGuard interface\n" {
		t.Errorf("second down: exit code %d\n%s", r.code, r.text)
	}
	wantUnchanged(t, "twice down", before)
}

// down leaves alone what is no tunnel, and stops at a failing PreDown.
func TestDown(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "eth0.conf", "[Interface]\nPreDown = touch /run/ran\n")
	before := state(t)
	if r := warren(t, "down", "./eth0.conf"); r.code != 1 || !strings.Contains(r.text, "`eth0' is not a WireGuard interface") {
		t.Errorf("down of eth0: exit code %d\n%s", r.code, r.text)
	}
	if _, err := os.Stat("/run/ran"); err == nil {
		t.Error("down of eth0 ran a hook")
	}
	wantUnchanged(t, "down of eth0", before)

	write(t, "wg0.conf", keys.Replace("[Interface]\nPrivateKey = $KEY\n"))
	warren(t, "up", "./wg0.conf").wantDone(t)
	write(t, "wg0.conf", "[Interface]\nPreDown = exit 5\nPostDown = touch /run/ran\n")
	up := state(t)
	if r := warren(t, "down", "./wg0.conf"); r.code != 5 {
		t.Errorf("failing PreDown: exit code %d, want 5\n%s", r.code, r.text)
	}
	if now := state(t); now != up {
		t.Errorf("a failing PreDown changed the host:\n%s", difference(up, now))
	}
	write(t, "wg0.conf", "[Interface]\nPostDown = ip link show wg0 || exit 6\n")
	if r := warren(t, "down", "./wg0.conf"); r.code != 6 {
		t.Errorf("failing PostDown: exit code %d, want 6\n%s", r.code, r.text)
	}
	wantUnchanged(t, "a failing PostDown", before)
}

// joints 13: another namespace's daemon of the same name is not touched.
func TestDaemonElsewhere(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "wg0.conf", keys.Replace("[Interface]\nPrivateKey = $KEY\n"))
	warren(t, "up", "./wg0.conf").wantDone(t)
	sh(t, "ip netns add other; ip link set wg0 netns other")
	before := state(t)
	wantComplaint(t, "up", warren(t, "up", "./wg0.conf"), "warren up: a daemon for `wg0' already runs, with its interface in another network namespace or renamed\nhint: ")
	if r := warren(t, "down", "./wg0.conf"); r.code != 1 || !strings.Contains(r.text, "is in another network namespace") {
		t.Errorf("down: exit code %d\n%s", r.code, r.text)
	}
	if now := state(t); now != before {
		t.Errorf("the host changed:\n%s", difference(before, now))
	}
	if got := strings.TrimSpace(sh(t, "wg show wg0 private-key")); got != privateKey {
		t.Errorf("the other's key is %q now", got)
	}
}

// WG_QUICK_USERSPACE_IMPLEMENTATION names the program that makes the interface.
func TestOtherProgram(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "wg0.conf", keys.Replace("[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n"))
	before := state(t)
	for _, c := range []struct {
		program string
		code    int
		says    string
	}{
		{tools + "/wireguard-go", 0, "[#] " + tools + "/wireguard-go wg0\n"},
		{"no-such-program", 1, "start no-such-program: "},
		{"true", 1, "true reported success, but: wg0: no such interface"},
		{"false", 1, "false: exit status 1"},
	} {
		cmd := command("/proc/self/exe", "up", "./wg0.conf")
		cmd.Env = append(os.Environ(), "WG_QUICK_USERSPACE_IMPLEMENTATION="+c.program)
		r := finish(t, cmd)
		if r.code != c.code || !strings.Contains(r.text, c.says) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s", c.program, r.code, c.code, c.says, r.text)
		}
		if r.code == 0 {
			warren(t, "down", "./wg0.conf").wantDone(t)
		}
		wantUnchanged(t, c.program, before)
	}
}

// A dry run prints what is done then, and does nothing.
func TestDryRun(t *testing.T) {
	if !inside(t) {
		return
	}
	write(t, "wg0.conf", keys.Replace("[Interface]\nAddress = 10.0.0.1/24, fd00::1/64\nPrivateKey = $KEY\nPreUp = echo 1\nPostUp = echo 2\nPostDown = echo 3\n[Peer]\nPublicKey = $P1\nAllowedIPs = 10.0.0.0/16, 10.9.0.0/16, fd00::/64, fd07::/64\nEndpoint = 192.0.2.1:51820\n"))
	before := state(t)
	for _, word := range []string{"up", "down"} {
		shown, err := exec.Command("/proc/self/exe", word, "--dry-run", "./wg0.conf").Output()
		check(t, err)
		if word == "up" {
			wantUnchanged(t, "a dry run", before)
		}
		done := warren(t, word, "./wg0.conf")
		done.wantDone(t)
		if string(shown) != done.text {
			t.Errorf("%s: shown\n%s\ndone\n%s", word, shown, done.text)
		}
	}
}

// A host without IPv6: the IPv4 tunnel works, and an IPv6 address is refused in
// words.
func TestWithoutIPv6(t *testing.T) {
	if !inside(t) {
		return
	}
	check(t, os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0))
	check(t, os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0))
	before := state(t)
	write(t, "wg0.conf", keys.Replace("[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = 10.9.0.0/16\n"))
	warren(t, "up", "./wg0.conf").wantDone(t)
	warren(t, "down", "./wg0.conf").wantDone(t)
	for _, c := range []struct{ text, says string }{
		{"Address = fd00::1/64\n", "./wg0.conf:2: Address: fd00::1/64: IPv6 is switched off on this host\nhint: "},
		{"[Peer]\nPublicKey = $P1\nAllowedIPs = fd09::/64\n", "./wg0.conf:4: AllowedIPs: fd09::/64: IPv6 is switched off on this host\nhint: "},
	} {
		write(t, "wg0.conf", keys.Replace("[Interface]\n"+c.text))
		r := warren(t, "up", "./wg0.conf")
		if r.code != 1 || !strings.Contains(r.text, c.says) {
			t.Errorf("%q: exit code %d, want 1 and %q\n%s", c.text, r.code, c.says, r.text)
		}
		wantUnchanged(t, c.text, before)
	}
}

// Many prefixes are routed in a moment.
func TestManyRoutes(t *testing.T) {
	if !inside(t) {
		return
	}
	var all []string
	a := netip.MustParseAddr("10.64.0.0")
	for range 4096 {
		all = append(all, a.String()+"/32")
		a = a.Next().Next()
	}
	slices.Reverse(all)
	write(t, "wg0.conf", keys.Replace("[Interface]\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = "+strings.Join(all, ", ")+"\n"))
	began := time.Now()
	warren(t, "up", "./wg0.conf").wantDone(t)
	t.Logf("%d routes in %v", len(all), time.Since(began))
	if got := strings.Count(sh(t, "ip route show dev wg0"), "\n"); got != len(all) {
		t.Errorf("%d routes, want %d", got, len(all))
	}
	warren(t, "down", "./wg0.conf").wantDone(t)
}
