package rtnl

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// rtmsg is the header of a route request.
type rtmsg struct {
	family, bits           byte
	table                  uint32
	protocol, scope, class byte
}

func (h rtmsg) bytes() []byte {
	b := make([]byte, unix.SizeofRtMsg)
	b[0], b[1] = h.family, h.bits
	if h.table < 256 { // larger ones are an attribute alone
		b[4] = byte(h.table)
	}
	b[5], b[6], b[7] = h.protocol, h.scope, h.class
	return b
}

// Routes lists the routes of one table that lead to one interface.
// Routes with several next hops lead to none.
func (c *Conn) Routes(table uint32, link int) ([]Route, error) {
	return c.routes(unix.AF_UNSPEC, table, link, func(r Route) bool { return r.Link == link })
}

// RoutesTo lists the routes of one table to exactly this destination.
func (c *Conn) RoutesTo(destination netip.Prefix, table uint32) ([]Route, error) {
	destination = destination.Masked()
	return c.routes(family(destination.Addr()), table, 0, func(r Route) bool { return r.Destination == destination })
}

// routes dumps routes. The kernel filters by table and interface where it can;
// the answer is filtered again because older ones cannot.
func (c *Conn) routes(family byte, table uint32, link int, want func(Route) bool) ([]Route, error) {
	families := []byte{family}
	if family == unix.AF_UNSPEC {
		families = []byte{unix.AF_INET, unix.AF_INET6} // each has its own filter
	}
	var all []Route
	for _, f := range families {
		msgs, err := c.dump(unix.RTM_GETROUTE, rtmsg{family: f}.bytes(), func(ae *netlink.AttributeEncoder) {
			ae.Uint32(unix.RTA_TABLE, table)
			if link != 0 {
				ae.Uint32(unix.RTA_OIF, uint32(link))
			}
		})
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
			continue // nothing is in this table, or IPv6 is not in this kernel
		}
		if err != nil {
			return nil, noLink(err)
		}
		for _, m := range msgs {
			r, ok, err := parseRoute(m)
			if err != nil {
				return nil, err
			}
			if ok && r.Table == table && want(r) {
				all = append(all, r)
			}
		}
	}
	return all, nil
}

// parseRoute reads one route; ok is false for what is none in the sense of a
// routing table: cloned entries, and families other than the two.
func parseRoute(m netlink.Message) (r Route, ok bool, err error) {
	var destination netip.Addr
	err = decode(m, unix.SizeofRtMsg, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.RTA_DST:
			destination, _ = netip.AddrFromSlice(ad.Bytes())
		case unix.RTA_GATEWAY:
			r.Gateway, _ = netip.AddrFromSlice(ad.Bytes())
		case unix.RTA_OIF:
			r.Link = int(ad.Uint32())
		case unix.RTA_TABLE:
			r.Table = ad.Uint32()
		case unix.RTA_PRIORITY:
			r.Metric = ad.Uint32()
		case unix.RTA_METRICS:
			ad.Nested(func(metrics *netlink.AttributeDecoder) error {
				for metrics.Next() {
					if metrics.Type() == unix.RTAX_MTU {
						r.MTU = int(metrics.Uint32())
					}
				}
				return nil
			})
		}
	})
	if err != nil {
		return Route{}, false, err
	}
	h := m.Data
	switch {
	case destination.IsValid():
	case h[0] == unix.AF_INET:
		destination = netip.IPv4Unspecified()
	case h[0] == unix.AF_INET6:
		destination = netip.IPv6Unspecified()
	default:
		return Route{}, false, nil
	}
	if r.Table == 0 {
		r.Table = uint32(h[4])
	}
	r.Destination = netip.PrefixFrom(destination, int(h[1]))
	return r, native.Uint32(h[8:])&unix.RTM_F_CLONED == 0, nil
}

// Path asks which way a packet to an address would go, as `ip route get` does.
// The error is ErrNoRoute if the kernel would not send it.
func (c *Conn) Path(to netip.Addr) (Route, error) {
	to = to.Unmap()
	msgs, err := c.execute(unix.RTM_GETROUTE, 0, rtmsg{family: family(to), bits: byte(to.BitLen())}.bytes(), func(ae *netlink.AttributeEncoder) {
		ae.Bytes(unix.RTA_DST, to.AsSlice())
	})
	if err != nil {
		return Route{}, fmt.Errorf("%w to %s: %w", ErrNoRoute, to, err)
	}
	if len(msgs) != 1 {
		return Route{}, fmt.Errorf("rtnetlink: %d answers to a question about one route", len(msgs))
	}
	r, _, err := parseRoute(msgs[0]) // the answer is a cloned entry
	return r, err
}

// AddRoute adds a unicast route, as `ip route add` does: on link unless there
// is a gateway, and marked as made by an administrator's tool (RTPROT_BOOT).
// The error is ErrExists if the table has one to the same destination.
func (c *Conn) AddRoute(r Route) error {
	to := r.Destination.Masked()
	h := rtmsg{
		family: family(to.Addr()), bits: byte(to.Bits()), table: r.Table,
		protocol: unix.RTPROT_BOOT, scope: unix.RT_SCOPE_UNIVERSE, class: unix.RTN_UNICAST,
	}
	if to.Addr().Is4() && !r.Gateway.IsValid() {
		h.scope = unix.RT_SCOPE_LINK
	}
	err := c.change(unix.RTM_NEWROUTE, netlink.Create|netlink.Excl, h.bytes(), r.encode)
	return exists(noLink(err))
}

// DeleteRoute removes a unicast route with this destination, interface, gateway
// and metric from its table; a metric of 0 is any. The error is ErrNoRoute if
// there is none (any more) and ErrNoLink if there is no such interface, both of
// which who only wants it gone may take for success.
func (c *Conn) DeleteRoute(r Route) error {
	to := r.Destination.Masked()
	h := rtmsg{
		family: family(to.Addr()), bits: byte(to.Bits()), table: r.Table,
		scope: unix.RT_SCOPE_NOWHERE, class: unix.RTN_UNICAST, // nowhere: of any scope
	}
	err := c.change(unix.RTM_DELROUTE, 0, h.bytes(), r.encode)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%w to %s in table %d: %w", ErrNoRoute, to, r.Table, err)
	}
	return noLink(err)
}

func (r Route) encode(ae *netlink.AttributeEncoder) {
	ae.Bytes(unix.RTA_DST, r.Destination.Masked().Addr().AsSlice())
	if r.Gateway.IsValid() {
		ae.Bytes(unix.RTA_GATEWAY, r.Gateway.AsSlice())
	}
	ae.Uint32(unix.RTA_OIF, uint32(r.Link))
	if r.Metric != 0 {
		ae.Uint32(unix.RTA_PRIORITY, r.Metric)
	}
	if r.Table >= 256 {
		ae.Uint32(unix.RTA_TABLE, r.Table)
	}
}
