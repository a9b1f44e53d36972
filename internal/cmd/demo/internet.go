package demo

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/warrenvpn/warren/internal/netlab"
)

const domain = ".example-vpn.dev"

// site is where a host is attached to the internet.
type site struct {
	name string
	// wan are the public addresses: the host's own, or those of its NAT. The
	// first address of each network is the provider's router.
	wan []netip.Prefix
	// lan are the host's addresses behind its NAT; none for a public host. The
	// first address of each network is the NAT.
	lan   []netip.Prefix
	ports netlab.PortPolicy // of the NAT
}

// The names of interfaces.
const (
	wanLink = "wan"
	lanLink = "eth0"
)

// connect makes the internet, the NATs and the hosts, in order of sites.
func connect(lab *netlab.Lab, sites []site) ([]*netlab.Host, error) {
	internet, err := lab.Host("internet")
	if err != nil {
		return nil, err
	}
	if err := internet.Forward(); err != nil {
		return nil, err
	}
	var hosts []*netlab.Host
	for i, s := range sites {
		h, err := s.attach(lab, internet, fmt.Sprintf("site%d", i+1))
		if err != nil {
			return nil, fmt.Errorf("attach %s: %w", s.name, err)
		}
		if err := h.SetNames(names(s, sites)); err != nil {
			return nil, err
		}
		hosts = append(hosts, h)
	}
	return hosts, nil
}

// attach makes the host of a site, and its NAT if it has one.
func (s site) attach(lab *netlab.Lab, internet *netlab.Host, port string) (*netlab.Host, error) {
	host, err := lab.Host(s.name)
	if err != nil {
		return nil, err
	}
	edge := host // what the internet sees
	if len(s.lan) > 0 {
		if edge, err = lab.Host(s.name + "-nat"); err != nil {
			return nil, err
		}
		if err := edge.NAT(netlab.NAT{Outside: wanLink, Ports: s.ports}); err != nil {
			return nil, err
		}
		if err := cable(lab, edge, "lan", host, lanLink, s.lan); err != nil {
			return nil, err
		}
	}
	if err := cable(lab, internet, port, edge, wanLink, s.wan); err != nil {
		return nil, err
	}
	return host, talkative(host)
}

// cable joins a router to a host, which gets the addresses and sends everything
// through the router.
func cable(lab *netlab.Lab, router *netlab.Host, out string, host *netlab.Host, in string, addresses []netip.Prefix) error {
	var own []netip.Prefix
	var gateways []netip.Addr
	for _, a := range addresses {
		g := a.Masked().Addr().Next()
		own = append(own, netip.PrefixFrom(g, a.Bits()))
		gateways = append(gateways, g)
	}
	err := lab.Cable(
		netlab.Port{Host: router, Name: out, Addresses: own},
		netlab.Port{Host: host, Name: in, Addresses: addresses})
	if err != nil {
		return err
	}
	return host.DefaultRoutes(gateways...)
}

// talkative lets a host answer every probe: Linux sends at most one "time
// exceeded" per second to one destination otherwise (icmp(7)).
func talkative(h *netlab.Host) error {
	if err := h.Sysctl("net/ipv4/icmp_ratelimit", "0"); err != nil {
		return err
	}
	return h.Sysctl("net/ipv6/icmp/ratelimit", "0")
}

// names returns what a host's resolver should know: the public addresses of the
// others, of the families that the host has itself.
func names(s site, sites []site) map[string][]netip.Addr {
	own := s.wan
	if len(s.lan) > 0 {
		own = s.lan
	}
	all := map[string][]netip.Addr{}
	for _, other := range sites {
		for _, p := range other.wan {
			if slices.ContainsFunc(own, func(o netip.Prefix) bool { return o.Addr().Is4() == p.Addr().Is4() }) {
				all[other.name+domain] = append(all[other.name+domain], p.Addr())
			}
		}
	}
	return all
}

func prefixes(text ...string) (all []netip.Prefix) {
	for _, s := range text {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}
