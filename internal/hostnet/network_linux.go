package hostnet

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/internal/quick"
	"github.com/warrenvpn/warren/internal/rtnl"
)

// Network is the links, addresses and routes of the network namespace in which
// New was called. It is used by one goroutine.
type Network struct {
	nl *rtnl.Conn
	// link is the interface that Adopt took on, by index: a name may be given
	// to another interface while we work, an index is not.
	link  int
	owned string
}

// New connects to the kernel.
func New() (*Network, error) {
	nl, err := rtnl.Dial()
	if err != nil {
		return nil, err
	}
	return &Network{nl: nl}, nil
}

// Close ends the connection.
func (n *Network) Close() error { return n.nl.Close() }

// IsTunnel reports whether there is an interface of this index, whatever its name
// is, of a kind that programs of ours make.
func (n *Network) IsTunnel(index int) (bool, error) {
	link, err := n.nl.LinkByIndex(index)
	if errors.Is(err, rtnl.ErrNoLink) {
		return false, nil
	}
	return link.Kind == kindWireGuard || link.Kind == kindTun, err
}

// IsConfigured reports whether an interface is up or has addresses.
func (n *Network) IsConfigured(name string) (bool, error) {
	link, err := n.nl.Link(name)
	if errors.Is(err, rtnl.ErrNoLink) {
		return false, nil
	}
	if err != nil || link.Up {
		return link.Up, err
	}
	addresses, err := n.nl.Addresses(link.Index)
	return len(addresses) > 0, err
}

// Paths finds out which MTU the way to each endpoint has. An endpoint that
// cannot be reached has none; those with a zone are left out.
func (n *Network) Paths(endpoints []netip.Addr) ([]quick.Path, error) {
	var paths []quick.Path
	for _, e := range endpoints {
		if e = e.Unmap(); !e.IsValid() || e.Zone() != "" {
			continue
		}
		p := quick.Path{Endpoint: e}
		r, err := n.nl.Path(e)
		if err == nil {
			p.MTU, err = n.routeMTU(r)
		}
		if err != nil && !errors.Is(err, rtnl.ErrNoRoute) {
			return nil, fmt.Errorf("path to %s: %w", e, err)
		}
		paths = append(paths, p)
	}
	return paths, nil
}

// routeMTU returns the MTU a route says itself, or that of its interface.
func (n *Network) routeMTU(r rtnl.Route) (int, error) {
	if r.MTU != 0 || r.Link == 0 {
		return r.MTU, nil
	}
	link, err := n.nl.LinkByIndex(r.Link)
	if errors.Is(err, rtnl.ErrNoLink) {
		return 0, nil
	}
	return link.MTU, err
}

// DefaultPath returns the MTU on the way of the IPv4 default route, or 0 if
// there is none.
func (n *Network) DefaultPath() (int, error) {
	routes, err := n.nl.RoutesTo(netip.PrefixFrom(netip.IPv4Unspecified(), 0), rtnl.TableMain)
	if err != nil || len(routes) == 0 {
		return 0, err
	}
	return n.routeMTU(routes[0]) // the kernel lists the lowest metric first
}

// Routes returns the destinations that the main table sends through an
// interface.
func (n *Network) Routes(name string) ([]netip.Prefix, error) {
	link, err := n.find(name)
	if err != nil {
		return nil, err
	}
	routes, err := n.nl.Routes(rtnl.TableMain, link)
	if err != nil {
		return nil, fmt.Errorf("routes of %s: %w", name, err)
	}
	prefixes := make([]netip.Prefix, len(routes))
	for i, r := range routes {
		prefixes[i] = r.Destination
	}
	return prefixes, nil
}

// Adopt makes later steps for this name change the interface that has the name
// now, and prepares it: the kernel gives a TUN device a random link-local
// address when it goes up, and a WireGuard interface has none.
func (n *Network) Adopt(name string) error {
	link, err := n.nl.Link(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	n.owned, n.link = name, link.Index
	_ = n.nl.NoLinkLocal(link.Index) // fails where there is no IPv6 at all
	return nil
}

func (n *Network) find(name string) (int, error) {
	if n.link != 0 && n.owned == name {
		return n.link, nil
	}
	link, err := n.nl.Link(name)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return link.Index, nil
}

// Index returns the index of an interface, or 0 if there is none, and whether it
// is one of the kernel's own WireGuard.
func (n *Network) Index(name string) (index int, inKernel bool, err error) {
	link, err := n.nl.Link(name)
	if errors.Is(err, rtnl.ErrNoLink) {
		return 0, false, nil
	}
	return link.Index, link.Kind == kindWireGuard, err
}

const (
	kindWireGuard = "wireguard"
	kindTun       = "tun"
)

// Perform carries out a step that concerns links, addresses, routes, rules,
// settings or the firewall.
func (n *Network) Perform(name string, s quick.Step) error {
	switch s.Kind {
	case quick.CreateLink:
		return explainCreate(n.nl.AddLink(name, kindWireGuard))
	case quick.DeleteLink:
		return n.deleteLink(name, s.Index)
	case quick.AddRule:
		_, err := n.nl.AddRule(rule(s.Rule))
		return explainRule(s.Rule, err)
	case quick.DeleteRule:
		if err := n.nl.DeleteRule(rule(s.Rule)); !errors.Is(err, rtnl.ErrNoRule) {
			return err
		}
		return nil
	case quick.SetSysctl, quick.HoldSysctl, quick.RestoreSysctl:
		return SetSysctl(s.Name, s.Value)
	case quick.RemoveFirewall:
		return RemoveAntiLeak(name)
	}
	link, err := n.find(name)
	if err != nil {
		return err
	}
	switch s.Kind {
	case quick.AddAddress:
		return explainAddress(s.Prefix, n.nl.AddAddress(link, s.Prefix))
	case quick.SetUp:
		return n.setUp(link, s.MTU)
	case quick.AddRoute:
		if s.TableName != "" && s.Table == 0 {
			return fmt.Errorf("%w: %q", ErrNoTable, s.TableName)
		}
		return n.addRoute(link, s.Prefix, s.Table)
	case quick.AddFirewall:
		addresses, err := n.Addresses(name)
		if err != nil {
			return err
		}
		a := AntiLeak{Interface: name, Family: s.Family, Mark: s.Mark}
		for _, p := range addresses {
			a.Addresses = append(a.Addresses, p.Addr())
		}
		return AddAntiLeak(a)
	}
	panic(fmt.Sprintf("hostnet: step of kind %d does not concern the network", s.Kind))
}

// deleteLink removes an interface. One that has the name, but not the index, or
// that no program of ours makes, is another's.
func (n *Network) deleteLink(name string, index int) error {
	link, err := n.nl.Link(name)
	if errors.Is(err, rtnl.ErrNoLink) && index != 0 {
		link, err = n.nl.LinkByIndex(index) // it may have been renamed
	}
	switch {
	case errors.Is(err, rtnl.ErrNoLink):
		return nil // gone already: as wanted
	case err != nil:
		return err
	case index != 0 && link.Index != index, link.Kind != kindWireGuard && link.Kind != kindTun:
		return nil
	}
	if err := n.nl.DeleteLink(link.Index); err != nil && !errors.Is(err, rtnl.ErrNoLink) {
		return fmt.Errorf("delete interface: %w", err)
	}
	return nil
}

func rule(r quick.Rule) rtnl.Rule {
	k := rtnl.Rule{Family: r.Family, Priority: r.Priority, Mark: r.Mark, Not: r.Not, Table: r.Table, SuppressPrefixLength: -1, Other: r.Other}
	if r.SuppressDefault {
		k.SuppressPrefixLength = 0
	}
	return k
}

// Rules lists the rules of both families.
func (n *Network) Rules() ([]quick.Rule, error) {
	var all []quick.Rule
	for _, family := range [...]int{4, 6} {
		rules, err := n.nl.Rules(family)
		if err != nil {
			return nil, fmt.Errorf("rules of IPv%d: %w", family, err)
		}
		for _, r := range rules {
			all = append(all, quick.Rule{
				Family: family, Priority: r.Priority, Mark: r.Mark, Not: r.Not, Table: r.Table,
				SuppressDefault: r.SuppressPrefixLength == 0, Other: r.Other || r.SuppressPrefixLength > 0,
			})
		}
	}
	return all, nil
}

// UsedTables lists the routing tables from first on that have routes, up to one
// that has none.
func (n *Network) UsedTables(first uint32) (used []uint32, err error) {
	for table := first; ; table++ {
		empty := true
		for _, family := range [...]int{4, 6} {
			none, err := n.nl.TableEmpty(family, table)
			if err != nil {
				return nil, fmt.Errorf("routing table %d: %w", table, err)
			}
			empty = empty && none
		}
		if empty {
			return used, nil
		}
		used = append(used, table)
	}
}

// HasDefault reports whether the main table has a default route of a family.
func (n *Network) HasDefault(ipv6 bool) bool {
	to := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if ipv6 {
		to = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	routes, err := n.nl.RoutesTo(to, rtnl.TableMain)
	return err == nil && len(routes) > 0
}

// Addresses lists the addresses of an interface, with host bits.
func (n *Network) Addresses(name string) ([]netip.Prefix, error) {
	link, err := n.find(name)
	if err != nil {
		return nil, err
	}
	addresses, err := n.nl.Addresses(link)
	if err != nil {
		return nil, fmt.Errorf("addresses of %s: %w", name, err)
	}
	prefixes := make([]netip.Prefix, len(addresses))
	for i, a := range addresses {
		prefixes[i] = a.Prefix
	}
	return prefixes, nil
}

// MTU returns that of an interface.
func (n *Network) MTU(name string) (int, error) {
	link, err := n.nl.Link(name)
	return link.MTU, err
}

// How long setUp waits for IPv6 addresses to become usable, and how often it
// looks.
const (
	settleTime = 500 * time.Millisecond
	settleStep = 2 * time.Millisecond
)

// setUp sets the MTU, brings the link up and waits until its IPv6 addresses can
// be used. The kernel does not look for duplicates on such a link (IFF_NOARP),
// but it confirms the addresses a moment later, and a hook may want to bind to
// one.
func (n *Network) setUp(link, mtu int) error {
	if err := n.nl.SetUp(link, mtu); err != nil {
		return explainSetUp(mtu, err)
	}
	for waited := time.Duration(0); waited < settleTime; waited += settleStep {
		addresses, err := n.nl.Addresses(link)
		if err != nil || !tentative(addresses) {
			return err
		}
		time.Sleep(settleStep)
	}
	return nil
}

func tentative(addresses []rtnl.Address) bool {
	for _, a := range addresses {
		if a.Tentative {
			return true
		}
	}
	return false
}

func (n *Network) addRoute(link int, p netip.Prefix, table uint32) error {
	if table == 0 {
		table = rtnl.TableMain
	}
	err := n.nl.AddRoute(rtnl.Route{Destination: p, Link: link, Table: table})
	if errors.Is(err, rtnl.ErrExists) {
		return explainExisting(p, n.holder(p, table), err)
	}
	return explainRoute(p, err)
}

// holder returns the name of the interface that a table sends p through, or ""
// if that cannot be said.
func (n *Network) holder(p netip.Prefix, table uint32) string {
	routes, err := n.nl.RoutesTo(p, table)
	if err != nil || len(routes) == 0 {
		return ""
	}
	link, err := n.nl.LinkByIndex(routes[0].Link)
	if err != nil {
		return ""
	}
	return link.Name
}
