//go:build linux

package netlab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/jsimonetti/rtnetlink/v2/driver"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Cable joins two ports by a pair of virtual Ethernet interfaces, gives them
// their addresses and sets them up.
func (l *Lab) Cable(a, b Port) error {
	err := a.Host.route(func(c *rtnetlink.Conn) error {
		peer := &rtnetlink.LinkMessage{Attributes: &rtnetlink.LinkAttributes{
			Name: b.Name, MTU: uint32(b.MTU),
			// The other end is born in its host: it never exists elsewhere.
			NetNS: rtnetlink.NetNSForFD(uint32(b.Host.netns.Fd())),
		}}
		return c.Link.New(&rtnetlink.LinkMessage{Attributes: &rtnetlink.LinkAttributes{
			Name: a.Name, MTU: uint32(a.MTU),
			Info: &rtnetlink.LinkInfo{Kind: "veth", Data: &driver.Veth{PeerInfo: peer}},
		}})
	})
	if err != nil {
		return fmt.Errorf("cable %s:%s to %s:%s: %w", a.Host.name, a.Name, b.Host.name, b.Name, err)
	}
	// Both ends up before either has an address: an address on a link that
	// waits for its carrier starts late.
	for _, step := range []func(Port) error{Port.plug, Port.addresses} {
		for _, p := range []Port{a, b} {
			if err := step(p); err != nil {
				return fmt.Errorf("interface %s:%s: %w", p.Host.name, p.Name, err)
			}
		}
	}
	return nil
}

func (p Port) plug() error {
	if p.Bridge != "" {
		if err := p.Host.join(p.Name, p.Bridge); err != nil {
			return err
		}
	}
	return p.Host.setUp(p.Name)
}

func (p Port) addresses() error {
	for _, a := range p.Addresses {
		if err := p.Host.Address(p.Name, a); err != nil {
			return err
		}
	}
	return nil
}

// Bridge makes an Ethernet switch in the host. Name it in Port.Bridge.
func (h *Host) Bridge(name string, addresses ...netip.Prefix) error {
	err := h.route(func(c *rtnetlink.Conn) error {
		return c.Link.New(&rtnetlink.LinkMessage{Attributes: &rtnetlink.LinkAttributes{
			Name: name, Info: &rtnetlink.LinkInfo{Kind: "bridge"},
		}})
	})
	if err == nil {
		p := Port{Host: h, Name: name, Addresses: addresses}
		if err = p.plug(); err == nil {
			err = p.addresses()
		}
	}
	if err != nil {
		return fmt.Errorf("bridge %s:%s: %w", h.name, name, err)
	}
	return nil
}

// Address adds an address, with its host bits, to an interface.
func (h *Host) Address(link string, a netip.Prefix) error {
	return h.route(func(c *rtnetlink.Conn) error {
		index, err := indexOf(c, link)
		if err != nil {
			return err
		}
		m := &rtnetlink.AddressMessage{
			Family: family(a.Addr()), PrefixLength: uint8(a.Bits()), Index: index,
			Attributes: &rtnetlink.AddressAttributes{Address: a.Addr().AsSlice(), Local: a.Addr().AsSlice()},
		}
		if a.Addr().Is6() {
			m.Flags = unix.IFA_F_NODAD
			m.Attributes.Local = nil
		}
		if err := c.Address.New(m); err != nil {
			return fmt.Errorf("address %s on %s: %w", a, link, err)
		}
		return nil
	})
}

// Route sends packets for dst to the router via.
func (h *Host) Route(dst netip.Prefix, via netip.Addr) error {
	return h.route(func(c *rtnetlink.Conn) error {
		a := rtnetlink.RouteAttributes{Gateway: via.AsSlice(), Table: unix.RT_TABLE_MAIN}
		if dst.Bits() > 0 {
			a.Dst = dst.Masked().Addr().AsSlice()
		}
		err := c.Route.Add(&rtnetlink.RouteMessage{
			Family: family(via), DstLength: uint8(dst.Bits()),
			Table: unix.RT_TABLE_MAIN, Protocol: unix.RTPROT_STATIC, Type: unix.RTN_UNICAST,
			Attributes: a,
		})
		if err != nil {
			return fmt.Errorf("%s: route %s via %s: %w", h.name, dst, via, err)
		}
		return nil
	})
}

// DefaultRoutes sends everything to these routers, at most one per family.
func (h *Host) DefaultRoutes(via ...netip.Addr) error {
	for _, v := range via {
		everything := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if v.Is6() {
			everything = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		if err := h.Route(everything, v); err != nil {
			return err
		}
	}
	return nil
}

// SetLink sets an interface up or down.
func (h *Host) SetLink(name string, up bool) error {
	return h.changeLink(name, func(m *rtnetlink.LinkMessage) {
		m.Change = unix.IFF_UP
		if up {
			m.Flags = unix.IFF_UP
		}
	})
}

// SetMTU changes the MTU of an interface.
func (h *Host) SetMTU(name string, mtu int) error {
	return h.changeLink(name, func(m *rtnetlink.LinkMessage) {
		m.Attributes = &rtnetlink.LinkAttributes{MTU: uint32(mtu)}
	})
}

func (h *Host) setUp(name string) error { return h.SetLink(name, true) }

func (h *Host) join(link, bridge string) error {
	return h.route(func(c *rtnetlink.Conn) error {
		master, err := indexOf(c, bridge)
		if err != nil {
			return err
		}
		index, err := indexOf(c, link)
		if err != nil {
			return err
		}
		return c.Link.Set(&rtnetlink.LinkMessage{Index: index, Attributes: &rtnetlink.LinkAttributes{Master: &master}})
	})
}

func (h *Host) changeLink(name string, change func(*rtnetlink.LinkMessage)) error {
	return h.route(func(c *rtnetlink.Conn) error {
		index, err := indexOf(c, name)
		if err != nil {
			return err
		}
		m := &rtnetlink.LinkMessage{Index: index}
		change(m)
		return c.Link.Set(m)
	})
}

// route runs f with a connection to the host's routing tables.
func (h *Host) route(f func(*rtnetlink.Conn) error) error {
	c, err := rtnetlink.Dial(&netlink.Config{NetNS: int(h.netns.Fd())})
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	defer c.Close()
	return f(c)
}

func indexOf(c *rtnetlink.Conn, name string) (uint32, error) {
	links, err := c.Link.List()
	if err != nil {
		return 0, fmt.Errorf("list interfaces: %w", err)
	}
	for _, l := range links {
		if l.Attributes != nil && l.Attributes.Name == name {
			return l.Index, nil
		}
	}
	return 0, fmt.Errorf("interface %s: %w", name, &net.AddrError{Err: "not found", Addr: name})
}

func family(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
