//go:build linux && e2e

package hostnet_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/hostnet"
	"github.com/warrenvpn/warren/internal/quick"
)

// Q24: a container's settings cannot be written, and the hint says what helps.
func TestSysctl(t *testing.T) {
	namespace(t)
	const name = "net.ipv4.conf.all.src_valid_mark"
	for _, value := range []string{"1", "0", "1"} {
		if err := hostnet.SetSysctl(name, value); err != nil {
			t.Fatal(err)
		}
		if got, err := hostnet.Sysctl(name); err != nil || got != value {
			t.Errorf("%s = %q, error %v, want %s", name, got, err, value)
		}
	}
	// One that is held is set again if another hand has changed it since.
	n, err := hostnet.New()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	hold := quick.Step{Kind: quick.HoldSysctl, Name: name, Value: "1", Prior: "0"}
	if err := errors.Join(hostnet.SetSysctl(name, "0"), n.Perform("wg0", hold)); err != nil {
		t.Error(err)
	}
	if got, err := hostnet.Sysctl(name); err != nil || got != "1" {
		t.Errorf("%s = %q, error %v, want it held at 1", name, got, err)
	}
	if err := hostnet.SetSysctl("net.ipv4.no.such", "1"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want that there is none", err)
	}
	if err := unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := hostnet.SetSysctl(name, "1"); err != nil {
		t.Errorf("nothing is to be written: %v", err)
	}
	err = hostnet.SetSysctl(name, "0")
	var p *quick.Problem
	if !errors.Is(err, unix.EROFS) || !errors.As(err, &p) || !strings.Contains(p.Hint, "`--sysctl net.ipv4.conf.all.src_valid_mark=0`") {
		t.Errorf("%v, want one about a read-only file system, with a hint at --sysctl", err)
	}
}

func TestIPv6Disabled(t *testing.T) {
	namespace(t)
	program(t, "", "ip", "tuntap", "add", "dev", "wg0.1", "mode", "tun")
	want := func(link string, want bool) {
		t.Helper()
		if got, why := hostnet.IPv6Disabled(link); got != want || got != (why != "") {
			t.Errorf("IPv6 of %q disabled: %v (%s), want %v", link, got, why, want)
		}
	}
	set := func(name, value string) {
		t.Helper()
		if err := hostnet.SetSysctl(name, value); err != nil {
			t.Fatal(err)
		}
	}
	want("wg0.1", false)
	want("", false)
	want("later", false)
	set("net/ipv6/conf/wg0.1/disable_ipv6", "1")
	want("wg0.1", true)
	want("later", false)
	set("net.ipv6.conf.all.disable_ipv6", "1")
	want("later", true)
	want("", true)
	set("net.ipv6.conf.wg0/1.disable_ipv6", "0")
	want("wg0.1", false) // and the kernel takes addresses:
	program(t, "", "ip", "address", "add", "fd00::1/64", "dev", "wg0.1")
	// A kernel without IPv6 has no such folder.
	empty := t.TempDir()
	if err := unix.Mount(empty, "/proc/sys/net", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	want("wg0.1", true)
}

// Q29: names and numbers of tables are those of ip(8).
func TestTableNumberSameAsIP(t *testing.T) {
	namespace(t)
	etc := t.TempDir()
	for name, text := range map[string]string{
		"rt_tables":            "# reserved\n255\tlocal\n254 main\n253 default\n0 unspec\n 100 hundred # it is\n0x65 hex\n200 twice\n300 twice\n400 17\n99999 big\n4294967295 toobig\n",
		"rt_tables.d/a.conf":   "201 extra\n\n  # c\n202\textra2 junk\n",
		"rt_tables.d/b.conf":   "203 before\nwrong\n204 after\n",
		"rt_tables.d/c.other":  "205 other\n",
		"rt_tables.d/.d.conf":  "206 hidden\n",
		"rt_tables.d/sub.conf": "",
	} {
		path := filepath.Join(etc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount(etc, "/etc/iproute2", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	program(t, "", "ip", "tuntap", "add", "dev", "wg0", "mode", "tun")
	program(t, "", "ip", "link", "set", "wg0", "up")
	for _, name := range []string{
		"local", "main", "default", "unspec", "hundred", "hex", "twice", "17", "big", "toobig", "extra", "extra2", "before", "after", "other", "hidden",
		"0", "1", "255", "256", "51820", "4294967295", "4294967296", "0x10", "0X10", "010", "08", "1a", "", "-1", "+1", " 1", "1 ", "auto", "wrong", "junk", "0x", "MAIN",
	} {
		got, err := hostnet.TableNumber(name)
		want, ok := askIP(t, name)
		if name == "0" || name == "unspec" {
			want = 0 // the kernel takes this for any unused table
		}
		if ok != (err == nil) || ok && got != want {
			t.Errorf("table %q: %d, error %v; to ip it is %d, accepted %v", name, got, err, want, ok)
		}
	}
}

// askIP lets ip(8) add a rule for a table and looks which number that has.
func askIP(t *testing.T, table string) (number uint32, ok bool) {
	t.Helper()
	if exec.Command("ip", "-4", "rule", "add", "priority", "1000", "table", table).Run() != nil {
		return 0, false
	}
	out := program(t, "", "ip", "-N", "-4", "rule", "show", "priority", "1000")
	program(t, "", "ip", "-4", "rule", "del", "priority", "1000")
	if _, err := fmt.Sscanf(out[strings.Index(out, "lookup"):], "lookup %d", &number); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	return number, true
}
