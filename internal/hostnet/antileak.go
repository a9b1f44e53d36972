package hostnet

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// AntiLeak is the firewall of a tunnel that takes the default route of one
// family. It drops what others on the link send to the tunnel's addresses past
// the tunnel, and it lets replies to the outer UDP packets pass the reverse path
// filter, by remembering the mark of a flow.
//
// Names and rules are those of wg-quick, so that either can remove
// what the other made.
type AntiLeak struct {
	Interface string
	Family    int          // 4 or 6
	Addresses []netip.Addr // of the interface; those of the other family do not count
	Mark      uint32       // of the outer packets
}

// ErrNoFirewall says that neither the kernel nor a program of this host offers
// what an AntiLeak is made of. A tunnel works without it, less well protected,
// so a caller may warn and go on.
var ErrNoFirewall = errors.New("no packet filter on this host")

// tableName returns the name that wg-quick gives a tunnel's nftables table.
func tableName(link string) string { return "wg-quick-" + link }

// maxName is the longest name the kernel gives interfaces.
const maxName = 15

func (a AntiLeak) check() error {
	if a.Family != 4 && a.Family != 6 {
		return fmt.Errorf("anti-leak rules of family %d, want 4 or 6", a.Family)
	}
	if a.Interface == "" || len(a.Interface) > maxName {
		return fmt.Errorf("anti-leak rules for %q, want the name of an interface, of 1 to %d bytes", a.Interface, maxName)
	}
	return nil
}

// own returns the addresses that are of the family.
func (a AntiLeak) own() []netip.Addr {
	var own []netip.Addr
	for _, addr := range a.Addresses {
		if addr.IsValid() && addr.Is4() == (a.Family == 4) {
			own = append(own, addr.WithZone(""))
		}
	}
	return own
}

// comment marks the rules of an interface among those of iptables.
func comment(link string) string {
	return `-m comment --comment "wg-quick(8) rule for ` + link + `"`
}

// iptablesAdd returns what iptables-restore is to read to have an AntiLeak
// where the kernel has no nftables.
func iptablesAdd(a AntiLeak) string {
	var b strings.Builder
	note := comment(a.Interface)
	b.WriteString("*raw\n")
	for _, addr := range a.own() {
		fmt.Fprintf(&b, "-I PREROUTING ! -i %s -d %s -m addrtype ! --src-type LOCAL -j DROP %s\n", a.Interface, addr, note)
	}
	b.WriteString("COMMIT\n*mangle\n")
	fmt.Fprintf(&b, "-I POSTROUTING -m mark --mark %d -p udp -j CONNMARK --save-mark %s\n", a.Mark, note)
	fmt.Fprintf(&b, "-I PREROUTING -p udp -j CONNMARK --restore-mark %s\n", note)
	b.WriteString("COMMIT\n")
	return b.String()
}

// iptablesDelete turns the output of iptables-save into what iptables-restore is
// to read to delete the rules of an interface, or "" if it has none.
func iptablesDelete(saved, link string) string {
	var all, table strings.Builder
	note := comment(link)
	rules := 0
	for line := range strings.Lines(saved) {
		line = strings.TrimRight(line, "\r\n")
		rule, isRule := strings.CutPrefix(line, "-A ")
		switch {
		case strings.HasPrefix(line, "*"):
			table.Reset()
			table.WriteString(line + "\n")
			rules = 0
		case isRule && strings.Contains(rule, note):
			table.WriteString("-D " + rule + "\n")
			rules++
		case line == "COMMIT" && rules > 0:
			all.WriteString(table.String() + "COMMIT\n")
			rules = 0
		}
	}
	return all.String()
}
