package quick

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// check refuses what would fail halfway or is not obeyed yet.
func check(c *Config) error {
	if err := checkTable(c); err != nil {
		return err
	}
	seen := make(map[netip.Prefix]int)
	for _, a := range c.Addresses {
		if first, ok := seen[a.Value]; ok {
			return c.problem("Address", a.Line, "", "%s is given twice, first in line %d", a.Value, first)
		}
		seen[a.Value] = a.Line
	}
	if c.routed() {
		for _, a := range c.AllowedIPs {
			if a.Value.Bits() == 0 {
				return c.defaultRoute(a.Value, a.Line)
			}
		}
	}
	return nil
}

// checkCreate refuses what the host does not allow.
func checkCreate(c *Config, f Facts) error {
	switch {
	case f.LinkExists && f.SocketExists:
		return &Problem{
			Text: fmt.Sprintf("`%s' already exists", c.Name),
			Hint: fmt.Sprintf("`warren down %s` takes it down", quote(c.Path)),
		}
	case f.LinkExists:
		return &Problem{Text: fmt.Sprintf("`%s' already exists", c.Name), Hint: "another program's interface has this name"}
	case f.SocketExists:
		return &Problem{
			Text: fmt.Sprintf("a daemon for `%s' already runs, with its interface in another network namespace or renamed", c.Name),
			Hint: fmt.Sprintf("use another name, or give this namespace a /run/wireguard of its own (it is where %s.sock is)", c.Name),
		}
	}
	return f.Obstacle
}

// checkRemove refuses to take down what is no tunnel of this namespace, and
// what would not be taken down wholly.
func checkRemove(c *Config, f Facts) error {
	switch {
	case !f.SocketExists:
		return &Problem{Text: fmt.Sprintf("`%s' is not a WireGuard interface", c.Name)}
	case !f.LinkExists:
		return &Problem{
			Text: fmt.Sprintf("the interface `%s' is in another network namespace, or was renamed", c.Name),
			Hint: "take it down there: ip netns exec NAMESPACE warren down ...; renamed, `ip link delete` removes it",
		}
	case f.Obstacle != nil:
		return f.Obstacle
	case c.routed() && f.FwMark != 0 && slices.ContainsFunc(f.AllowedIPs, func(p netip.Prefix) bool { return p.Bits() == 0 }):
		// Only wg-quick brings up such a thing: with rules and a firewall table.
		return &Problem{
			Text: fmt.Sprintf("all traffic goes through `%s', by rules that are not removed yet", c.Name),
			Hint: fmt.Sprintf("`wg-quick down %s` removes them", quote(c.Path)),
		}
	}
	return nil
}

func checkTable(c *Config) error {
	table := c.Table.Value
	if table == "" || table == "auto" || table == "off" {
		return nil
	}
	hint := "remove it, or say Table = off and add the routes in PostUp: ip route add PREFIX dev %i table " + table
	if lower := strings.ToLower(table); lower == "auto" || lower == "off" {
		hint = "Table = " + lower + ", in lower case"
	}
	return c.problem("Table", c.Table.Line, hint, "routes in table %q are not supported yet, want auto or off", table)
}

func (c *Config) defaultRoute(p netip.Prefix, line int) error {
	return c.problem("AllowedIPs", line, "name the networks to reach instead of "+p.String()+", or say Table = off and set the routes in PostUp",
		"%s would send all traffic through the tunnel, which is not supported yet", p)
}

// warnings returns what the user must know of keys that are not obeyed yet.
func warnings(c *Config) []Step {
	var steps []Step
	if len(c.DNS) > 0 {
		var names []string
		for _, d := range c.DNS {
			names = append(names, d.Value)
		}
		steps = append(steps, c.warning("DNS", c.DNS[0].Line, "set it in a hook: PostUp = resolvectl dns %i "+names[0],
			"%s is not set: this is not supported yet", strings.Join(names, ", ")))
	}
	if c.FwMark.Value != 0 {
		steps = append(steps, c.warning("FwMark", c.FwMark.Line, "",
			"%#x marks the packets of the tunnel; no routing rule is made from it", c.FwMark.Value))
	}
	if c.SaveConfig.Value {
		steps = append(steps, c.warning("SaveConfig", c.SaveConfig.Line, "",
			"the state of the interface will not be written back to the file: this is not supported yet"))
	}
	return steps
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
