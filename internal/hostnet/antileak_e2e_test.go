//go:build linux && e2e

package hostnet_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/hostnet"
)

// namespace puts the calling test, and the programs it starts, into a network
// and a mount namespace of their own. Its thread ends with the test.
func namespace(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // without unlock
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
}

func program(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", name, strings.Join(args, " "), err, out, stdin)
	}
	return string(out)
}

func addrs(s string) []netip.Addr {
	var all []netip.Addr
	for _, w := range strings.Fields(s) {
		all = append(all, netip.MustParseAddr(w))
	}
	return all
}

// rulesetOf writes down for nft what wg-quick would have it do.
func rulesetOf(a hostnet.AntiLeak) string {
	family := map[int]string{4: "ip", 6: "ip6"}[a.Family]
	table := family + " wg-quick-" + a.Interface
	var b strings.Builder
	fmt.Fprintf(&b, "add table %s\n", table)
	fmt.Fprintf(&b, "add chain %s preraw { type filter hook prerouting priority -300; }\n", table)
	fmt.Fprintf(&b, "add chain %s premangle { type filter hook prerouting priority -150; }\n", table)
	fmt.Fprintf(&b, "add chain %s postmangle { type filter hook postrouting priority -150; }\n", table)
	for _, addr := range a.Addresses {
		if addr.Is4() == (a.Family == 4) {
			fmt.Fprintf(&b, "add rule %s preraw iifname != %q %s daddr %s fib saddr type != local drop\n", table, a.Interface, family, addr)
		}
	}
	fmt.Fprintf(&b, "add rule %s postmangle meta l4proto udp mark %d ct mark set mark\n", table, a.Mark)
	fmt.Fprintf(&b, "add rule %s premangle meta l4proto udp meta mark set ct mark\n", table)
	return b.String()
}

// Q22, Q25: nft lists what is made here as what it makes itself, down to the
// compiled instructions.
func TestAntiLeakSameAsNft(t *testing.T) {
	many := make([]netip.Addr, 1000)
	for i := range many {
		many[i] = netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)})
	}
	for _, a := range []hostnet.AntiLeak{
		{Interface: "wg0", Addresses: addrs("10.0.0.1 fd00::1 192.0.2.255"), Mark: 51820},
		{Interface: "wg0", Addresses: nil, Mark: 1},
		{Interface: "a", Addresses: addrs("0.0.0.0 255.255.255.255 :: ::ffff:10.0.0.1 ff02::1"), Mark: 1<<32 - 1},
		{Interface: "wg-0_1.2-x", Addresses: addrs("10.0.0.1 2001:db8::ffff"), Mark: 0x01020304},
		{Interface: "abcdefghijklmno", Addresses: many, Mark: 254},
	} {
		for _, a.Family = range []int{4, 6} {
			namespace(t)
			if err := hostnet.AddAntiLeak(a); err != nil {
				t.Errorf("%s, family %d: %v", a.Interface, a.Family, err)
				continue
			}
			got := []string{program(t, "", "nft", "list", "ruleset"), program(t, "", "nft", "--debug=netlink", "list", "ruleset")}
			listed, err := hostnet.AntiLeaks(a.Interface)

			namespace(t)
			program(t, rulesetOf(a), "nft", "-f", "-")
			want := []string{program(t, "", "nft", "list", "ruleset"), program(t, "", "nft", "--debug=netlink", "list", "ruleset")}
			wantListed, wantErr := hostnet.AntiLeaks(a.Interface)
			if !slices.Equal(got, want) {
				t.Errorf("ours is listed as\n%s\nthat of nft as\n%s", strings.Join(got, ""), strings.Join(want, ""))
			}
			if fmt.Sprint(listed) != fmt.Sprint(wantListed) || err != nil || wantErr != nil {
				t.Errorf("ours reads as %v, %v, that of nft as %v, %v", listed, err, wantListed, wantErr)
			}
			if len(listed) != 1 || listed[0].Mark != a.Mark || listed[0].Family != a.Family {
				t.Errorf("%v reads back as %v", a, listed)
			}
			for _, addr := range a.Addresses {
				if addr.Is4() == (a.Family == 4) && !slices.Contains(listed[0].Addresses, addr) {
					t.Errorf("%v is missing from %v", addr, listed)
				}
			}
		}
	}
}

// Q25: names that nft's language cannot say work too, and none is taken for
// another.
func TestAntiLeakOddNames(t *testing.T) {
	namespace(t)
	names := []string{"wg0", "wg0.1", "wg", "wg00", "-h", "table", "1", "a_=+.-z", "abcdefghijklmno", "=", "+", "."}
	for _, name := range names {
		for _, family := range []int{4, 6} {
			if err := hostnet.AddAntiLeak(hostnet.AntiLeak{Interface: name, Family: family, Addresses: addrs("10.0.0.1 fd00::1"), Mark: 7}); err != nil {
				t.Fatalf("%q: %v", name, err)
			}
		}
	}
	for i, name := range names {
		tables := program(t, "", "nft", "list", "tables")
		if n := strings.Count(tables, "\n"); n != 2*(len(names)-i) {
			t.Fatalf("%d tables, want %d:\n%s", n, 2*(len(names)-i), tables)
		}
		for _, family := range []string{"ip", "ip6"} {
			if line := "table " + family + " wg-quick-" + name + "\n"; !strings.Contains(tables, line) {
				t.Errorf("no %q among\n%s", line, tables)
			}
		}
		if all, err := hostnet.AntiLeaks(name); err != nil || len(all) != 2 {
			t.Errorf("%q: %v, error %v, want two", name, all, err)
		}
		for range 2 { // the second time there is nothing, and that is no error
			if err := hostnet.RemoveAntiLeak(name); err != nil {
				t.Fatalf("remove %q: %v", name, err)
			}
			if all, err := hostnet.AntiLeaks(name); err != nil || len(all) != 0 {
				t.Errorf("%q: %v, error %v, want none", name, all, err)
			}
		}
	}
	for _, name := range []string{"", "sixteen-letters-"} {
		if err := hostnet.AddAntiLeak(hostnet.AntiLeak{Interface: name, Family: 4}); err == nil {
			t.Errorf("%q was taken for the name of an interface", name)
		}
	}
}

// What wg-quick made is removed, tables of others are not, and a second time
// replaces the first.
func TestAntiLeakBesidesOthers(t *testing.T) {
	namespace(t)
	a := hostnet.AntiLeak{Interface: "wg0", Family: 4, Addresses: addrs("10.0.0.1"), Mark: 51820}
	others := "table inet filter {\n}\ntable ip wg-quick-wg01 {\n}\ntable ip xwg-quick-wg0 {\n}\n"
	program(t, others+"table inet wg-quick-wg0 {\n}\n"+rulesetOf(a), "nft", "-f", "-")
	for _, a.Mark = range []uint32{1, 2} {
		if err := hostnet.AddAntiLeak(a); err != nil {
			t.Fatal(err)
		}
		if all, err := hostnet.AntiLeaks("wg0"); err != nil || len(all) != 1 || all[0].Mark != a.Mark || len(all[0].Addresses) != 1 {
			t.Errorf("%v, error %v, want the one that was set last", all, err)
		}
	}
	if err := hostnet.RemoveAntiLeak("wg0"); err != nil {
		t.Fatal(err)
	}
	if got := program(t, "", "nft", "list", "ruleset"); strings.ReplaceAll(got, "\n\n", "\n") != others {
		t.Errorf("left is\n%s\nwant\n%s", got, others)
	}
}

// Q24: without nf_tables and iptables, adding says that there is no firewall,
// and removing finds nothing.
func TestAntiLeakWithoutFirewall(t *testing.T) {
	namespace(t)
	t.Setenv("PATH", t.TempDir())
	for _, answer := range []unix.Errno{unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT} {
		refuseSocket(t, unix.NETLINK_NETFILTER, answer)
		err := hostnet.AddAntiLeak(hostnet.AntiLeak{Interface: "wg0", Family: 4, Addresses: addrs("10.0.0.1"), Mark: 1})
		if !errors.Is(err, hostnet.ErrNoFirewall) || !errors.Is(err, answer) {
			t.Errorf("%v, want ErrNoFirewall", err)
		}
		if err := hostnet.RemoveAntiLeak("wg0"); err != nil {
			t.Errorf("remove: %v", err)
		}
		if all, err := hostnet.AntiLeaks("wg0"); err != nil || all != nil {
			t.Errorf("list: %v, error %v", all, err)
		}
	}
}

// Where netfilter's sockets are there but nf_tables is not, the kernel answers
// as it does for any subsystem it has not got: a question is invalid, which is
// what AddAntiLeak goes by.
func TestMissingSubsystem(t *testing.T) {
	namespace(t)
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const missing = 63
	nfgenmsg := []byte{0, 0, 0, missing}
	_, err = c.Execute(netlink.Message{Header: netlink.Header{Type: missing<<8 | 1, Flags: netlink.Request | netlink.Dump}, Data: nfgenmsg})
	if !errors.Is(err, unix.EINVAL) {
		t.Errorf("question: %v, want EINVAL", err)
	}
}

// refuseSocket makes the kernel refuse netlink sockets of a protocol to the
// calling thread, as one does that has not got it.
func refuseSocket(t *testing.T, protocol uint32, answer unix.Errno) {
	t.Helper()
	const nr, arg0, arg2 = 0, 16, 32 // in struct seccomp_data; the low half of arguments comes first here
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	unless := func(value uint32, skip uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jf: skip}
	}
	filter := []unix.SockFilter{
		load(nr), unless(unix.SYS_SOCKET, 5),
		load(arg0), unless(unix.AF_NETLINK, 3),
		load(arg2), unless(protocol, 1),
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(answer)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		t.Fatal(err)
	}
}
