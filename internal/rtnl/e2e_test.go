//go:build linux && e2e

package rtnl_test

import (
	"errors"
	"net/netip"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/rtnl"
)

// Every test runs on a thread of its own in a network namespace of its own:
//
//	ours --- a TUN that this package changes
//	ip   --- a TUN that ip(8) changes in the same way, to compare with

var prefix = netip.MustParsePrefix

func TestLink(t *testing.T) {
	c := namespace(t)
	l, err := c.Link("ours")
	if err != nil || l.Name != "ours" || l.Kind != "tun" || l.MTU != 1500 || l.Up {
		t.Fatalf("link %+v, error %v, want ours, a tun of MTU 1500 that is down", l, err)
	}
	if err := c.SetUp(l.Index, 1380); err != nil {
		t.Fatal(err)
	}
	if l, err = c.LinkByIndex(l.Index); err != nil || l.MTU != 1380 || !l.Up || l.Name != "ours" {
		t.Errorf("link %+v, error %v, want ours of MTU 1380, up", l, err)
	}
	if err := c.DeleteLink(l.Index); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"Link":        second(c.Link("ours")),
		"LinkByIndex": second(c.LinkByIndex(l.Index)),
		"DeleteLink":  c.DeleteLink(l.Index),
		"SetUp":       c.SetUp(l.Index, 1380),
		"AddAddress":  c.AddAddress(l.Index, prefix("192.0.2.1/24")),
		"AddRoute":    c.AddRoute(rtnl.Route{Destination: prefix("192.0.2.0/24"), Link: l.Index, Table: rtnl.TableMain}),
	} {
		if !errors.Is(err, rtnl.ErrNoLink) {
			t.Errorf("%s of a deleted interface: %v, want ErrNoLink", what, err)
		}
	}
}

// Q25: names that programs take for options or keywords, of every length.
func TestOddNames(t *testing.T) {
	c := namespace(t)
	for _, name := range []string{"dev", "1", "-h", "x", "abcdefghijklmno", "a_=+.-z", "table", "lo.1"} {
		ip(t, "link", "set", "dev", "ours", "name", name)
		if l, err := c.Link(name); err != nil || l.Name != name {
			t.Errorf("link %+v, error %v, want %q", l, err, name)
		}
		ip(t, "link", "set", "dev", name, "name", "ours")
	}
}

// The state after our requests is that after ip's.
func TestSameAsIP(t *testing.T) {
	c := namespace(t)
	ours, err := c.Link("ours")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.NoLinkLocal(ours.Index); err != nil {
		t.Fatal(err)
	}
	ip(t, "link", "set", "dev", "ip", "addrgenmode", "none")
	for _, a := range []string{"10.1.2.3/24", "10.1.9.9/32", "127.9.0.1/32", "172.16.0.1/31", "fd00:%::1/64", "fd00:%:1::1/128", "::ffff:10.%.0.1/120"} {
		if err := c.AddAddress(ours.Index, prefix(numbered(a, "1"))); err != nil {
			t.Errorf("add %s: %v", a, err)
		}
		ip(t, "address", "add", numbered(a, "2"), "dev", "ip")
	}
	if err := c.SetUp(ours.Index, 1380); err != nil {
		t.Fatal(err)
	}
	ip(t, "link", "set", "mtu", "1380", "up", "dev", "ip")
	for _, r := range []string{"10.%.0.0/16", "203.0.113.%/32", "fd11:%::/48", "2001:db8::%/128", "::ffff:0.%.0.0/112", "198.51.%.0/25"} {
		for _, table := range []uint32{rtnl.TableMain, 200, 51820} {
			if err := c.AddRoute(rtnl.Route{Destination: prefix(numbered(r, "1")), Link: ours.Index, Table: table}); err != nil {
				t.Errorf("route %s in table %d: %v", r, table, err)
			}
		}
		for _, table := range []string{"main", "200", "51820"} {
			family := "-4"
			if strings.Contains(r, ":") {
				family = "-6"
			}
			ip(t, family, "route", "add", numbered(r, "2"), "dev", "ip", "table", table)
		}
	}
	for _, family := range []string{"-4", "-6"} {
		for _, show := range []string{"address show dev", "route show table all dev"} {
			args := append([]string{"-d", family}, strings.Fields(show)...)
			got, want := normal(ip(t, append(args, "ours")...), "1"), normal(ip(t, append(args, "ip")...), "2")
			if !slices.Equal(got, want) {
				t.Errorf("ip %s %s: ours has\n%s\nip's has\n%s", family, show, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

func TestAddressesAndRoutes(t *testing.T) {
	c := namespace(t)
	ours, err := c.Link("ours")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.NoLinkLocal(ours.Index); err != nil {
		t.Fatal(err)
	}
	add := []netip.Prefix{prefix("10.1.2.3/24"), prefix("10.1.9.9/32"), prefix("fd00::1/64"), prefix("fd01::1/128")}
	for _, a := range add {
		if err := c.AddAddress(ours.Index, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.AddAddress(ours.Index, add[0]); !errors.Is(err, rtnl.ErrExists) {
		t.Errorf("second address: %v, want ErrExists", err)
	}
	if err := c.SetUp(ours.Index, 1420); err != nil {
		t.Fatal(err)
	}
	addresses, err := c.Addresses(ours.Index)
	var got []netip.Prefix
	for _, a := range addresses {
		got = append(got, a.Prefix)
	}
	for _, a := range add {
		if !slices.Contains(got, a) {
			t.Errorf("addresses %v, error %v, want %v among them", got, err, a)
		}
	}
	if len(got) != len(add) {
		t.Errorf("addresses %v, want no other than %v", got, add)
	}
	route := rtnl.Route{Destination: prefix("203.0.113.0/24"), Link: ours.Index, Table: rtnl.TableMain}
	if err := c.AddRoute(route); err != nil {
		t.Fatal(err)
	}
	if err := c.AddRoute(route); !errors.Is(err, rtnl.ErrExists) {
		t.Errorf("second route: %v, want ErrExists", err)
	}
	ip(t, "route", "add", "unreachable", "203.0.114.0/24")
	ip(t, "route", "add", "203.0.115.0/24", "dev", "ours", "table", "7")
	ip(t, "link", "set", "ip", "up")
	ip(t, "route", "add", "203.0.116.0/24", "dev", "ip", "metric", "7")
	wantRoutes(t, c, rtnl.TableMain, ours.Index, "10.1.2.0/24", "203.0.113.0/24", "fd00::/64", "fd01::1/128")
	wantRoutes(t, c, 7, ours.Index, "203.0.115.0/24")
	wantRoutes(t, c, 8, ours.Index)
	to, err := c.RoutesTo(prefix("203.0.116.0/24"), rtnl.TableMain)
	if err != nil || len(to) != 1 || to[0].Metric != 7 || to[0].Link == ours.Index {
		t.Errorf("routes %+v, error %v, want one of metric 7 through the other", to, err)
	}
}

func wantRoutes(t *testing.T, c *rtnl.Conn, table uint32, link int, want ...string) {
	t.Helper()
	routes, err := c.Routes(table, link)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range routes {
		got = append(got, r.Destination.String())
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("routes of table %d: %v, want %v", table, got, want)
	}
}

func TestPath(t *testing.T) {
	c := namespace(t)
	ip(t, "address", "add", "10.1.0.1/16", "dev", "ours")
	ip(t, "address", "add", "fd00::1/64", "dev", "ours", "nodad")
	ip(t, "link", "set", "ours", "up", "mtu", "1400")
	ip(t, "route", "add", "10.2.0.0/16", "dev", "ours", "mtu", "1300")
	ip(t, "route", "add", "10.3.0.0/16", "dev", "ours", "mtu", "lock", "1310")
	ip(t, "route", "add", "fd02::/64", "dev", "ours", "mtu", "1290")
	ip(t, "route", "add", "blackhole", "10.4.0.0/16")
	ours, err := c.Link("ours")
	if err != nil {
		t.Fatal(err)
	}
	for to, mtu := range map[string]int{"10.1.0.2": 0, "10.2.3.4": 1300, "10.3.0.1": 1310, "::ffff:10.2.0.1": 1300, "fd00::2": 0, "fd02::1": 1290} {
		r, err := c.Path(netip.MustParseAddr(to))
		if err != nil || r.Link != ours.Index || r.MTU != mtu {
			t.Errorf("path to %s: %+v, error %v, want MTU %d through %d", to, r, err, mtu, ours.Index)
		}
	}
	for _, to := range []string{"10.4.0.1", "192.0.2.1", "2001:db8::1"} {
		if r, err := c.Path(netip.MustParseAddr(to)); !errors.Is(err, rtnl.ErrNoRoute) {
			t.Errorf("path to %s: %+v, error %v, want ErrNoRoute", to, r, err)
		}
	}
}

// namespace puts the calling test into a network namespace of its own. Its
// thread ends with the test.
func namespace(t *testing.T) *rtnl.Conn {
	t.Helper()
	runtime.LockOSThread() // without unlock
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	ip(t, "tuntap", "add", "dev", "ours", "mode", "tun")
	ip(t, "tuntap", "add", "dev", "ip", "mode", "tun")
	c, err := rtnl.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func ip(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// numbered makes the addresses of the two interfaces different, because two
// interfaces with routes to one network would disturb each other.
func numbered(s, n string) string { return strings.ReplaceAll(s, "%", n) }

var unequal = regexp.MustCompile(`^[0-9]+: |ours|\bip\b|\b(expires|used|age) [0-9a-z]+`)

// normal returns the lines of a listing without what differs by design.
func normal(listing, n string) []string {
	var lines []string
	for _, l := range strings.Split(listing, "\n") {
		for _, p := range []string{"fd00:%", "fd11:%", "2001:db8::%", "10.%.0", "203.0.113.%", "198.51.%", "0.%.0.0", "0:%:0"} {
			l = strings.ReplaceAll(l, numbered(p, n), p)
		}
		l = strings.Join(strings.Fields(unequal.ReplaceAllString(l, "")), " ")
		lines = append(lines, l)
	}
	slices.Sort(lines)
	return lines
}

func second[T any](_ T, err error) error { return err }
