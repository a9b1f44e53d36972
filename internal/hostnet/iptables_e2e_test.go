//go:build linux && e2e

package hostnet_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/hostnet"
)

// useIPTables makes one of the two implementations of iptables, legacy or nft,
// the one that is found.
func useIPTables(t *testing.T, implementation string) {
	t.Helper()
	// The lock of the legacy one is a file of the host.
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	multi, err := exec.LookPath("xtables-" + implementation + "-multi")
	if err != nil {
		t.Fatalf("%v\nhint: apt-get install iptables", err)
	}
	dir := t.TempDir()
	for _, name := range []string{"iptables", "ip6tables"} {
		for _, suffix := range []string{"", "-save", "-restore"} {
			if err := os.Symlink(multi, filepath.Join(dir, name+suffix)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// rulesOf returns the rules that a program has, without counters and comments.
func rulesOf(t *testing.T, name string) []string {
	t.Helper()
	var rules []string
	for line := range strings.Lines(program(t, "", name+"-save")) {
		if strings.HasPrefix(line, "-A") {
			rules = append(rules, strings.TrimSpace(line))
		}
	}
	slices.Sort(rules)
	return rules
}

// What wg-quick leaves where it found no nft is removed, with both
// implementations of iptables; rules of others and of other tunnels stay.
func TestRemoveIPTables(t *testing.T) {
	for _, implementation := range []string{"legacy", "nft"} {
		namespace(t)
		useIPTables(t, implementation)
		others := []string{
			`-A INPUT -p udp -m comment --comment "wg-quick(8) rule for wg" -j ACCEPT`,
			`-A INPUT -p udp -m comment --comment "wg-quick(8) rule for wg0.1" -j ACCEPT`,
		}
		text := "*filter\n" + strings.Join(others, "\n") + "\nCOMMIT\n" + `*raw
-I PREROUTING ! -i wg0 -d ADDRESS -m addrtype ! --src-type LOCAL -j DROP -m comment --comment "wg-quick(8) rule for wg0"
COMMIT
*mangle
-I POSTROUTING -m mark --mark 51820 -p udp -j CONNMARK --save-mark -m comment --comment "wg-quick(8) rule for wg0"
-I PREROUTING -p udp -j CONNMARK --restore-mark -m comment --comment "wg-quick(8) rule for wg0"
COMMIT
`
		for name, address := range map[string]string{"iptables": "10.0.0.1", "ip6tables": "fd00::1"} {
			program(t, strings.ReplaceAll(text, "ADDRESS", address), name+"-restore", "-n")
			if rules := rulesOf(t, name); len(rules) != 5 {
				t.Fatalf("%s of %s: %d rules, want 5: %q", name, implementation, len(rules), rules)
			}
		}
		for range 2 { // the second time there is nothing, and that is no error
			if err := hostnet.RemoveAntiLeak("wg0"); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"iptables", "ip6tables"} {
				if rules := rulesOf(t, name); !slices.Equal(rules, others) {
					t.Errorf("%s of %s: left is\n%q\nwant\n%q", name, implementation, rules, others)
				}
			}
		}
	}
}

// Q24: a kernel without nf_tables, but with iptables, has the firewall through
// that, once, however often it is asked for.
func TestAntiLeakWithIPTables(t *testing.T) {
	namespace(t)
	useIPTables(t, "legacy")
	refuseSocket(t, unix.NETLINK_NETFILTER, unix.EPROTONOSUPPORT)
	for range 2 {
		for _, family := range []int{4, 6} {
			a := hostnet.AntiLeak{Interface: "wg0", Family: family, Addresses: addrs("10.0.0.1 fd00::1 10.0.0.2"), Mark: 51820}
			if err := hostnet.AddAntiLeak(a); err != nil {
				t.Fatal(err)
			}
		}
	}
	const note = ` -m comment --comment "wg-quick(8) rule for wg0" -j `
	marks := []string{
		`-A POSTROUTING -p udp -m mark --mark 0xca6c` + note + `CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff`,
		`-A PREROUTING -p udp` + note + `CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff`,
	}
	want := append([]string{
		`-A PREROUTING -d 10.0.0.1/32 ! -i wg0 -m addrtype ! --src-type LOCAL` + note + `DROP`,
		`-A PREROUTING -d 10.0.0.2/32 ! -i wg0 -m addrtype ! --src-type LOCAL` + note + `DROP`,
	}, marks...)
	want6 := append([]string{`-A PREROUTING -d fd00::1/128 ! -i wg0 -m addrtype ! --src-type LOCAL` + note + `DROP`}, marks...)
	slices.Sort(want)
	slices.Sort(want6)
	for name, want := range map[string][]string{"iptables": want, "ip6tables": want6} {
		if got := rulesOf(t, name); !slices.Equal(got, want) {
			t.Errorf("%s has\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if err := hostnet.RemoveAntiLeak("wg0"); err != nil {
		t.Fatal(err)
	}
	if left := append(rulesOf(t, "iptables"), rulesOf(t, "ip6tables")...); len(left) != 0 {
		t.Errorf("left is %q", left)
	}
}

// The programs are found with the PATH of cron, and wait for others that have
// the lock of the rules.
func TestIPTablesOfCronAndUnderLock(t *testing.T) {
	namespace(t)
	useIPTables(t, "legacy")
	dir, _, _ := strings.Cut(os.Getenv("PATH"), ":")
	refuseSocket(t, unix.NETLINK_NETFILTER, unix.EPROTONOSUPPORT)
	if err := unix.Mount(dir, "/usr/local/sbin", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "/usr/bin:/bin")

	lock, err := os.OpenFile("/run/xtables.lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	// Only this thread is in the namespace, so another one gives the lock back.
	var free atomic.Bool
	time.AfterFunc(500*time.Millisecond, func() {
		free.Store(true)
		_ = unix.Flock(int(lock.Fd()), unix.LOCK_UN)
	})
	err = hostnet.AddAntiLeak(hostnet.AntiLeak{Interface: "wg0", Family: 4, Addresses: addrs("10.0.0.1"), Mark: 51820})
	if err != nil || !free.Load() {
		t.Fatalf("while another has the lock: %v, waited: %v; want it to wait", err, free.Load())
	}
	if err := hostnet.RemoveAntiLeak("wg0"); err != nil {
		t.Fatal(err)
	}
	if left := rulesOf(t, "/usr/local/sbin/iptables"); len(left) != 0 {
		t.Errorf("left is %q", left)
	}
}
