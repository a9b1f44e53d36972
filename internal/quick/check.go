package quick

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// check refuses what would fail halfway. wg-quick finds out on the way, and so
// does a plan in its manner.
func check(c *Config, f Facts) error {
	if c.Compat {
		return nil
	}
	if err := checkTable(c, f); err != nil {
		return err
	}
	seen := make(map[netip.Prefix]int)
	for _, a := range c.Addresses {
		if first, ok := seen[a.Value]; ok {
			return c.problem("Address", a.Line, "", "%s is given twice, first in line %d", a.Value, first)
		}
		seen[a.Value] = a.Line
	}
	if f.IPv6Disabled {
		return checkIPv6(c)
	}
	return nil
}

// checkTable looks at Table before anything is done.
func checkTable(c *Config, f Facts) error {
	if c.automatic() || !c.routed() {
		return nil
	}
	_, err := c.table(f)
	return err
}

// checkIPv6 refuses IPv6 on a host that has it switched off.
func checkIPv6(c *Config) error {
	const hint = "`--no-ipv6` leaves IPv6 out; `sysctl net.ipv6.conf.all.disable_ipv6=0` switches it on"
	for _, a := range c.Addresses {
		if a.Value.Addr().Is6() {
			return c.problem("Address", a.Line, hint, "%s: IPv6 is switched off on this host", a.Value)
		}
	}
	for _, a := range c.AllowedIPs {
		if a.Value.Addr().Is6() && c.routed() {
			return c.problem("AllowedIPs", a.Line, hint, "%s: IPv6 is switched off on this host", a.Value)
		}
	}
	return nil
}

// LeaveOutIPv6 takes the IPv6 addresses of the interface from c, and has no
// routes made for IPv6. The peers keep their allowed IPs.
func (c *Config) LeaveOutIPv6() {
	c.NoIPv6 = true
	var addresses []At[netip.Prefix]
	var texts []string
	for i, a := range c.Addresses {
		if a.Value.Addr().Is4() {
			addresses = append(addresses, a)
			texts = append(texts, c.AddressTexts[i])
		}
	}
	c.Addresses, c.AddressTexts = addresses, texts
	c.AllowedIPs = slices.DeleteFunc(c.AllowedIPs, func(a At[netip.Prefix]) bool { return a.Value.Addr().Is6() })
}

// checkCreate refuses what the host does not allow.
func checkCreate(c *Config, f Facts) error {
	exists := fmt.Sprintf("`%s' already exists", c.Name)
	switch {
	case f.LinkExists && f.WireGuard:
		return &Problem{Text: exists, Hint: fmt.Sprintf("`warren down %s` takes it down", quote(c.Path))}
	case f.LinkExists:
		return &Problem{Text: exists, Hint: "another program's interface has this name"}
	case f.SocketExists && !c.Compat:
		return &Problem{
			Text: fmt.Sprintf("a daemon for `%s' already runs, with its interface in another network namespace or renamed", c.Name),
			Hint: fmt.Sprintf("use another name, or give this namespace a /run/wireguard of its own (it is where %s.sock is)", c.Name),
		}
	}
	return f.Obstacle
}

// warnings returns what the user should know before anything is done.
func warnings(c *Config, f Facts) []Step {
	if c.Compat {
		return nil
	}
	return append(fullTunnelWarnings(c, f), dnsWarnings(c)...)
}

// dnsWarnings tells of name servers that are not reached through the tunnel.
func dnsWarnings(c *Config) []Step {
	var outside []string
	for _, server := range c.Servers {
		if !slices.ContainsFunc(c.AllowedIPs, func(a At[netip.Prefix]) bool { return a.Value.Masked().Contains(server) }) {
			outside = append(outside, server.String())
		}
	}
	if len(outside) == 0 || !c.routed() || len(c.AllowedIPs) == 0 {
		return nil
	}
	return []Step{c.warning("DNS", c.DNS[0].Line, "add it to the AllowedIPs of the peer that leads to it",
		"%s is in no AllowedIPs: names are looked up outside the tunnel", strings.Join(outside, ", "))}
}

// mtuWarnings compares an MTU that was asked for with what it has to fit into.
func mtuWarnings(c *Config, f Facts) []Step {
	var steps []Step
	if c.MTU.Value < MinMTU6 && c.ipv6(f) {
		steps = append(steps, c.warning("MTU", c.MTU.Line, fmt.Sprintf("MTU = %d or more", MinMTU6),
			"%d is less than IPv6 works with, so the kernel will take IPv6 off the interface", c.MTU.Value))
	}
	for _, p := range f.Paths {
		overhead := Overhead
		if p.Endpoint.Is4() {
			overhead -= 20 // a shorter outer header
		}
		if p.MTU > 0 && c.MTU.Value+overhead > p.MTU {
			steps = append(steps, c.warning("MTU", c.MTU.Line, fmt.Sprintf("MTU = %d or less, or leave it out", p.MTU-overhead),
				"%d does not fit into the %d bytes of the path to %s: large packets will be fragmented", c.MTU.Value, p.MTU, p.Endpoint))
			break
		}
	}
	return steps
}

// warning returns a step that tells the user something about the file.
func (c *Config) warning(key string, line int, hint, format string, args ...any) Step {
	p := c.problem(key, line, hint, format, args...)
	return Step{Kind: Warn, Text: p.Error(), Hint: p.Hint, Key: key, Line: line}
}
