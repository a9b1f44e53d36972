package rtnl

import (
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// From linux/if_link.h, absent from x/sys.
const (
	iflaInet6AddrGenMode = 8
	addrGenModeNone      = 1
)

// ifinfomsg returns the header of a link request: family, type, index, flags
// and which of the flags change.
func ifinfomsg(index int, flags, change uint32) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	native.PutUint32(b[4:], uint32(index))
	native.PutUint32(b[8:], flags)
	native.PutUint32(b[12:], change)
	return b
}

// Link finds an interface by name. The error is ErrNoLink if there is none.
func (c *Conn) Link(name string) (Link, error) {
	return c.link(ifinfomsg(0, 0, 0), func(ae *netlink.AttributeEncoder) { ae.String(unix.IFLA_IFNAME, name) })
}

// LinkByIndex finds an interface by its index. The error is ErrNoLink if there
// is none.
func (c *Conn) LinkByIndex(index int) (Link, error) {
	return c.link(ifinfomsg(index, 0, 0), nil)
}

func (c *Conn) link(header []byte, attrs attributes) (Link, error) {
	msgs, err := c.execute(unix.RTM_GETLINK, 0, header, attrs)
	if err != nil {
		return Link{}, noLink(err)
	}
	if len(msgs) != 1 {
		return Link{}, fmt.Errorf("rtnetlink: %d answers to a question about one interface", len(msgs))
	}
	return parseLink(msgs[0])
}

func parseLink(m netlink.Message) (Link, error) {
	var l Link
	err := decode(m, unix.SizeofIfInfomsg, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.IFLA_IFNAME:
			l.Name = ad.String()
		case unix.IFLA_MTU:
			l.MTU = int(ad.Uint32())
		case unix.IFLA_LINKINFO:
			ad.Nested(func(info *netlink.AttributeDecoder) error {
				for info.Next() {
					if info.Type() == unix.IFLA_INFO_KIND {
						l.Kind = info.String()
					}
				}
				return nil
			})
		}
	})
	if err != nil {
		return Link{}, err
	}
	l.Index = int(native.Uint32(m.Data[4:]))
	l.Up = native.Uint32(m.Data[8:])&unix.IFF_UP != 0
	return l, nil
}

// AddLink makes an interface of a kind, such as wireguard, that needs no further
// parameters, as `ip link add dev NAME type KIND` does. The error is ErrExists
// if the name is taken, and ErrNoKind (and unix.EOPNOTSUPP) if the kernel does
// not have the kind and could not load it.
func (c *Conn) AddLink(name, kind string) error {
	err := c.change(unix.RTM_NEWLINK, netlink.Create|netlink.Excl, ifinfomsg(0, 0, 0), func(ae *netlink.AttributeEncoder) {
		ae.String(unix.IFLA_IFNAME, name)
		ae.Nested(unix.IFLA_LINKINFO, func(info *netlink.AttributeEncoder) error {
			info.String(unix.IFLA_INFO_KIND, kind)
			return nil
		})
	})
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w (%s): %w", ErrNoKind, kind, err)
	}
	return exists(err)
}

// DeleteLink removes an interface. The error is ErrNoLink if there is none.
func (c *Conn) DeleteLink(index int) error {
	return noLink(c.change(unix.RTM_DELLINK, 0, ifinfomsg(index, 0, 0), nil))
}

// SetUp sets the MTU of an interface and brings it up, in one request.
func (c *Conn) SetUp(index, mtu int) error {
	return noLink(c.change(unix.RTM_NEWLINK, 0, ifinfomsg(index, unix.IFF_UP, unix.IFF_UP), func(ae *netlink.AttributeEncoder) {
		ae.Uint32(unix.IFLA_MTU, uint32(mtu))
	}))
}

// NoLinkLocal keeps the kernel from giving an interface that is down a
// link-local IPv6 address of its own once it goes up.
func (c *Conn) NoLinkLocal(index int) error {
	return noLink(c.change(unix.RTM_NEWLINK, 0, ifinfomsg(index, 0, 0), func(ae *netlink.AttributeEncoder) {
		ae.Nested(unix.IFLA_AF_SPEC, func(families *netlink.AttributeEncoder) error {
			families.Nested(unix.AF_INET6, func(inet6 *netlink.AttributeEncoder) error {
				inet6.Uint8(iflaInet6AddrGenMode, addrGenModeNone)
				return nil
			})
			return nil
		})
	}))
}

// noLink maps the kernel's answer to a question about no interface.
func noLink(err error) error {
	if errors.Is(err, unix.ENODEV) {
		return ErrNoLink
	}
	return err
}
