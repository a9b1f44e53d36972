package quick

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// FirstTable is the first routing table that a tunnel for all traffic takes,
// and the mark that goes with it.
const FirstTable = 51820

// Tables that every host has.
const (
	tableDefault = 253
	tableMain    = 254
	tableLocal   = 255
)

// SrcValidMark makes the kernel heed marks when it looks at where a packet
// comes from: replies to the outer packets of a tunnel have one.
const SrcValidMark = "net.ipv4.conf.all.src_valid_mark"

// ReservedTable reports whether a table is not free to be used by a tunnel.
func ReservedTable(n uint32) bool {
	return n == 0 || n == tableDefault || n == tableMain || n == tableLocal
}

// router collects the steps that routes take.
type router struct {
	c       *Config
	f       Facts
	present routes
	lines   map[netip.Prefix]int
	rules   []Rule // as they will be
	mark    uint32 // of the tunnel's packets; 0: none yet
	steps   []Step
}

// add plans the route to one prefix.
func (r *router) add(p netip.Prefix) error {
	s := Step{Kind: AddRoute, Prefix: p, Key: "AllowedIPs", Line: r.lines[p]}
	switch {
	case r.c.NoIPv6 && p.Addr().Is6():
		return nil
	case !r.c.automatic():
		table, err := r.c.table(r.f)
		if err != nil && !r.c.Compat { // wg-quick leaves that to ip
			return err
		}
		s.Table, s.TableName = table, r.c.Table.Value
	case p.Bits() == 0:
		r.addDefault(s)
		return nil
	case r.present.cover(p):
		return nil
	default:
		r.present[p] = true
	}
	r.steps = append(r.steps, s)
	return nil
}

// table is the number of the file's Table.
func (c *Config) table(f Facts) (uint32, error) {
	if n, err := strconv.ParseUint(c.Table.Value, 0, 32); err == nil && n != 0 {
		return uint32(n), nil
	}
	if f.TableNumber != 0 {
		return f.TableNumber, nil
	}
	return 0, c.badTable()
}

// addDefault plans what sends all traffic of one family into the tunnel, but
// for the tunnel's own packets and what the main table has a better route for.
// The kernel puts a rule that says no priority before those there are, so the
// one that is added last is tried first.
func (r *router) addDefault(s Step) {
	if r.mark == 0 {
		r.mark = r.freeTable()
		r.steps = append(r.steps, Step{Kind: SetMark, Mark: r.mark, Key: s.Key, Line: s.Line})
	}
	table := r.mark
	if ReservedTable(table) { // wg-quick would fill the main table
		table = r.freeTable()
	}
	family := 4
	if s.Prefix.Addr().Is6() {
		family = 6
	}
	s.Table = table
	r.addRule(s, Rule{Family: family, Not: true, Mark: r.mark, Table: table})
	r.addRule(s, Rule{Family: family, Table: tableMain, SuppressDefault: true})
	r.steps = append(r.steps, s)
	if family == 4 {
		r.needMark(s)
	}
	r.steps = append(r.steps, Step{Kind: AddFirewall, Family: family, Mark: r.mark, Key: s.Key, Line: s.Line})
}

func (r *router) addRule(s Step, rule Rule) {
	rule.Priority = nextPriority(r.rules, rule.Family)
	i := slices.IndexFunc(r.rules, func(o Rule) bool { return o.Family == rule.Family && o.Priority > rule.Priority })
	if i < 0 {
		i = len(r.rules)
	}
	r.rules = slices.Insert(slices.Clone(r.rules), i, rule)
	r.steps = append(r.steps, Step{Kind: AddRule, Rule: rule, Key: s.Key, Line: s.Line})
}

// nextPriority is what the kernel gives a rule without one: one less than that
// of the second rule ([K] fib_rules.c). It is said explicitly, so that it can
// be known, and undone, before the rule is there.
func nextPriority(rules []Rule, family int) uint32 {
	n := 0
	for _, r := range rules {
		if r.Family != family {
			continue
		}
		if n++; n == 2 && r.Priority > 0 {
			return r.Priority - 1
		}
	}
	return 0
}

func (r *router) freeTable() uint32 {
	table := uint32(FirstTable)
	for slices.Contains(r.f.UsedTables, table) {
		table++
	}
	return table
}

// needMark has src_valid_mark set, unless it is, and records what it was.
func (r *router) needMark(s Step) {
	step := Step{Kind: SetSysctl, Name: SrcValidMark, Value: "1", Prior: r.f.SrcValidMark, Key: s.Key, Line: s.Line}
	if r.f.SrcValidMark == "1" {
		if r.f.HeldMark == "" {
			return
		}
		step.Kind, step.Prior = HoldSysctl, r.f.HeldMark
	}
	r.steps = append(r.steps, step)
}

func (c *Config) badTable() error {
	return c.problem("Table", c.Table.Line, "a number, a name from rt_tables of iproute2, auto or off, in lower case",
		"%q is no routing table of this host", c.Table.Value)
}

// fullTunnelWarnings tells what sending all traffic through the tunnel means
// on this host.
func fullTunnelWarnings(c *Config, f Facts) []Step {
	line := map[bool]int{}
	for _, a := range c.AllowedIPs {
		if a.Value.Bits() == 0 {
			line[a.Value.Addr().Is6()] = a.Line
		}
	}
	var steps []Step
	switch ipv4, ipv6 := line[false], line[true]; {
	case !c.automatic() || ipv4 == 0 && ipv6 == 0:
		return nil
	case ipv6 == 0 && f.Default6:
		steps = append(steps, c.warning("AllowedIPs", ipv4, "AllowedIPs = 0.0.0.0/0, ::/0 sends it through the tunnel, or nowhere",
			"all IPv4 traffic goes through the tunnel, but IPv6 traffic goes on past it"))
	case ipv4 == 0 && f.Default4:
		steps = append(steps, c.warning("AllowedIPs", ipv6, "AllowedIPs = 0.0.0.0/0, ::/0 sends it through the tunnel, or nowhere",
			"all IPv6 traffic goes through the tunnel, but IPv4 traffic goes on past it"))
	}
	if mark := c.FwMark.Value; mark != 0 && ReservedTable(mark) {
		steps = append(steps, c.warning("FwMark", c.FwMark.Line, "leave FwMark out: a free one is taken",
			"%d is also the number of a routing table that every host has; the routes of the tunnel go to another", mark))
	}
	for _, r := range f.Rules {
		if r.Not && r.Mark != 0 && r.Table != tableMain {
			steps = append(steps, Step{Kind: Warn, Text: fmt.Sprintf("another tunnel takes all traffic (rule %d, table %d): this one goes before it while both are up", r.Priority, r.Table)})
			break
		}
	}
	return steps
}
