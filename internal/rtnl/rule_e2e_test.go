//go:build linux && e2e

package rtnl_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/rtnl"
)

// Q22: the rules of a default route get the preferences that `ip rule add`
// gets, in tables of every size, and the listings are equal byte for byte.
func TestRulesSameAsIP(t *testing.T) {
	for _, table := range []uint32{7, 255, 256, 51820, 518200, 1 << 31, 1<<32 - 1} {
		for _, family := range []int{4, 6} {
			t.Run(fmt.Sprintf("table %d family %d", table, family), func(t *testing.T) {
				number, option := strconv.Itoa(int(table)), "-"+strconv.Itoa(family)
				c := namespace(t)
				var ours []rtnl.Rule
				for range 2 { // a second tunnel's rules come before the first's
					ours = append(ours,
						add(t, c, rtnl.Rule{Family: family, Mark: table, Not: true, Table: table, SuppressPrefixLength: -1}),
						add(t, c, rtnl.Rule{Family: family, Table: rtnl.TableMain, SuppressPrefixLength: 0}))
				}
				add(t, c, rtnl.Rule{Family: family, Priority: 77, Mark: 9, Table: table, SuppressPrefixLength: 24})
				got := ip(t, option, "-d", "rule", "show")

				namespace(t)
				for range 2 {
					ip(t, option, "rule", "add", "not", "fwmark", number, "table", number)
					ip(t, option, "rule", "add", "table", "main", "suppress_prefixlength", "0")
				}
				ip(t, option, "rule", "add", "priority", "77", "fwmark", "9", "table", number, "suppress_prefixlength", "24")
				if want := ip(t, option, "-d", "rule", "show"); got != want {
					t.Errorf("our rules are listed as\n%s\nthose of ip as\n%s", got, want)
				}
				for _, r := range ours {
					if !strings.Contains(got, strconv.Itoa(int(r.Priority))+":\t") {
						t.Errorf("priority %d was returned and is not listed:\n%s", r.Priority, got)
					}
				}
			})
		}
	}
}

// add adds a rule and returns it with its priority.
func add(t *testing.T, c *rtnl.Conn, r rtnl.Rule) rtnl.Rule {
	t.Helper()
	priority, err := c.AddRule(r)
	if err != nil {
		t.Fatalf("add %+v: %v", r, err)
	}
	r.Priority = priority
	return r
}

// `down` of one tunnel leaves the rules of another, also where the number
// of one table begins with that of the other.
func TestDeleteRuleExactly(t *testing.T) {
	c := namespace(t)
	before := rules(t, c, 4)
	main := rtnl.Rule{Family: 4, Table: rtnl.TableMain, SuppressPrefixLength: 0}
	first := []rtnl.Rule{add(t, c, rtnl.Rule{Family: 4, Mark: 51820, Not: true, Table: 51820, SuppressPrefixLength: -1}), add(t, c, main)}
	second := []rtnl.Rule{add(t, c, rtnl.Rule{Family: 4, Mark: 518201, Not: true, Table: 518201, SuppressPrefixLength: -1}), add(t, c, main)}

	positive := first[0]
	positive.Not = false
	other := first[0]
	other.Priority++
	wrongMark := first[0]
	wrongMark.Mark = 0
	sixth := first[0]
	sixth.Family = 6
	for _, r := range []rtnl.Rule{positive, other, wrongMark, sixth} {
		if err := c.DeleteRule(r); err == nil {
			t.Errorf("deleted %+v, which there is not", r)
		}
	}
	for _, r := range first {
		if err := c.DeleteRule(r); err != nil {
			t.Fatalf("delete %+v: %v", r, err)
		}
		if err := c.DeleteRule(r); !errors.Is(err, rtnl.ErrNoRule) {
			t.Errorf("second deletion: %v, want ErrNoRule", err)
		}
	}
	got := rules(t, c, 4)
	want := append([]rtnl.Rule{before[0], second[1], second[0]}, before[1:]...)
	if !slices.Equal(got, want) {
		t.Errorf("rules left:\n%+v\nwant\n%+v", got, want)
	}
	if err := c.DeleteRule(first[0]); !errors.Is(err, rtnl.ErrNoRule) {
		t.Errorf("%v, want ErrNoRule", err)
	}
}

func rules(t *testing.T, c *rtnl.Conn, family int) []rtnl.Rule {
	t.Helper()
	all, err := c.Rules(family)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Rules of somebody else that only look like ours are told apart, and the
// kernel, which would take them for ours, is not asked to.
func TestRulesOfOthers(t *testing.T) {
	for _, words := range []string{
		"from 10.0.0.0/8", "to 10.0.0.0/8", "tos 0x10", "iif lo", "oif lo", "fwmark 0/0xff", "uidrange 0-9", "ipproto udp",
		"sport 1-9", "dport 53", "suppress_ifgroup 7",
	} {
		c := namespace(t)
		ip(t, strings.Fields("rule add priority 99 table 7 "+words)...)
		ours := rtnl.Rule{Family: 4, Priority: 99, Table: 7, SuppressPrefixLength: -1}
		if all := rules(t, c, 4); len(all) != 4 || !all[1].Other || all[1].Priority != 99 || all[1].Table != 7 {
			t.Errorf("%s: listed as %+v, want the second to be another's", words, all)
		}
		if err := c.DeleteRule(ours); err == nil {
			t.Errorf("%s: ours deleted, which there is not", words)
		}
		// Some of them the kernel takes for ours when it is to add that, too.
		if _, err := c.AddRule(ours); errors.Is(err, rtnl.ErrExists) {
			continue
		} else if err != nil {
			t.Errorf("%s: add ours: %v", words, err)
		}
		before := ip(t, "rule")
		if err := c.DeleteRule(ours); err == nil || ip(t, "rule") != before {
			t.Errorf("%s: error %v, rules now\n%s\nwant an error and no change", words, err, ip(t, "rule"))
		}
	}
	c := namespace(t)
	for i, words := range []string{"blackhole", "goto 100", "l3mdev"} {
		ip(t, strings.Fields(fmt.Sprintf("rule add priority %d %s", 10+i, words))...)
		if all := rules(t, c, 4); !all[1+i].Other {
			t.Errorf("%s: listed as %+v, want it to be another's", words, all[1+i])
		}
	}
	if _, err := c.AddRule(rtnl.Rule{Family: 4, Table: 7, SuppressPrefixLength: -1, Other: true}); err == nil {
		t.Error("added a rule with conditions that cannot be said")
	}
	r := add(t, c, rtnl.Rule{Family: 4, Priority: 5, Table: 7, SuppressPrefixLength: -1})
	if _, err := c.AddRule(r); !errors.Is(err, rtnl.ErrExists) {
		t.Errorf("the same again: %v, want ErrExists", err)
	}
}

// Q29: tables of every number.
func TestTables(t *testing.T) {
	c := namespace(t)
	link, err := c.Link("ours")
	if err != nil {
		t.Fatal(err)
	}
	ip(t, "link", "set", "ours", "up")
	for _, table := range []uint32{1, 252, 255, 256, 51820, 518200, 1 << 31, 1<<32 - 1} {
		for _, d := range []string{"0.0.0.0/0", "::/0", "198.51.100.0/24", "2001:db8::/32"} {
			family := 4
			if strings.Contains(d, ":") {
				family = 6
			}
			number, option := strconv.Itoa(int(table)), "-"+strconv.Itoa(family)
			empty, err := c.TableEmpty(family, table)
			if table != 255 && (err != nil || !empty) { // 255 has those to broadcast addresses
				t.Errorf("table %d: empty %v, error %v", table, empty, err)
			}
			r := rtnl.Route{Destination: prefix(d), Link: link.Index, Table: table}
			if err := c.AddRoute(r); err != nil {
				t.Errorf("add %s to table %d: %v", d, table, err)
				continue
			}
			if err := c.AddRoute(r); !errors.Is(err, rtnl.ErrExists) {
				t.Errorf("add %s to table %d again: %v, want ErrExists", d, table, err)
			}
			if empty, err := c.TableEmpty(family, table); empty || err != nil {
				t.Errorf("table %d with %s: empty %v, error %v", table, d, empty, err)
			}
			if empty, err := c.TableEmpty(10-family, table); table != 255 && (!empty || err != nil) {
				t.Errorf("table %d of the other family: empty %v, error %v", table, empty, err)
			}
			got := ip(t, option, "-d", "route", "show", "table", number)
			if err := c.DeleteRoute(r); err != nil {
				t.Errorf("delete %s from table %d: %v", d, table, err)
			}
			if err := c.DeleteRoute(r); !errors.Is(err, rtnl.ErrNoRoute) {
				t.Errorf("delete %s from table %d again: %v, want ErrNoRoute", d, table, err)
			}
			ip(t, option, "route", "add", d, "dev", "ours", "table", number)
			if want := ip(t, option, "-d", "route", "show", "table", number); got != want {
				t.Errorf("our route is listed as\n%s\nthat of ip as\n%s", got, want)
			}
			ip(t, option, "route", "del", d, "dev", "ours", "table", number)
		}
	}
	gone := rtnl.Route{Destination: prefix("0.0.0.0/0"), Link: 4711, Table: 7}
	if err := c.DeleteRoute(gone); !errors.Is(err, rtnl.ErrNoRoute) && !errors.Is(err, rtnl.ErrNoLink) {
		t.Errorf("delete a route through no interface: %v", err)
	}
}

// Q25. A kernel without WireGuard, as that of the test host, says so.
func TestAddLink(t *testing.T) {
	c := namespace(t)
	for _, name := range []string{"wg0", "-h", "dev", "1", "a_=+.-z", "abcdefghijklmno"} {
		if err := c.AddLink(name, "bridge"); err != nil {
			t.Errorf("add %q: %v", name, err)
			continue
		}
		if l, err := c.Link(name); err != nil || l.Kind != "bridge" || l.Up {
			t.Errorf("link %+v, error %v, want a bridge that is down", l, err)
		}
		if err := c.AddLink(name, "bridge"); !errors.Is(err, rtnl.ErrExists) {
			t.Errorf("add %q again: %v, want ErrExists", name, err)
		}
	}
	if err := c.AddLink("nokind", "no-such-kind"); !errors.Is(err, rtnl.ErrNoKind) || !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("a kind that no kernel has: %v, want ErrNoKind", err)
	}
	// With the module there is a link; without it, a reason and no link.
	err := c.AddLink("kernelwg", "wireguard")
	l, found := c.Link("kernelwg")
	if err == nil && l.Kind != "wireguard" {
		t.Errorf("link %+v, error %v, want one of kind wireguard", l, found)
	}
	if err != nil && (!errors.Is(err, rtnl.ErrNoKind) || !errors.Is(found, rtnl.ErrNoLink)) {
		t.Errorf("%v, then %v, want ErrNoKind, then ErrNoLink", err, found)
	}
	if err := c.AddLink("sixteen-letters-", "bridge"); err == nil {
		t.Error("a name of 16 characters was taken")
	}
}
