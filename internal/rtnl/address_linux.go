package rtnl

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

func family(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// ifaddrmsg returns the header of an address request: family, prefix length,
// flags, scope and interface.
func ifaddrmsg(family, bits, scope byte, index int) []byte {
	b := make([]byte, unix.SizeofIfAddrmsg)
	b[0], b[1], b[3] = family, bits, scope
	native.PutUint32(b[4:], uint32(index))
	return b
}

// Addresses lists the addresses of an interface in the kernel's order.
func (c *Conn) Addresses(index int) ([]Address, error) {
	msgs, err := c.dump(unix.RTM_GETADDR, ifaddrmsg(unix.AF_UNSPEC, 0, 0, index), nil)
	if err != nil {
		return nil, noLink(err)
	}
	var all []Address
	for _, m := range msgs {
		a, link, err := parseAddress(m)
		if err != nil {
			return nil, err
		}
		if link == index && a.Prefix.IsValid() {
			all = append(all, a)
		}
	}
	return all, nil
}

func parseAddress(m netlink.Message) (Address, int, error) {
	var local, address netip.Addr
	var flags uint32
	err := decode(m, unix.SizeofIfAddrmsg, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.IFA_LOCAL: // ours, where the other is the far end's
			local, _ = netip.AddrFromSlice(ad.Bytes())
		case unix.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(ad.Bytes())
		case unix.IFA_FLAGS:
			flags = ad.Uint32()
		}
	})
	if err != nil {
		return Address{}, 0, err
	}
	if !local.IsValid() {
		local = address
	}
	return Address{
		Prefix:    netip.PrefixFrom(local, int(m.Data[1])),
		Tentative: (flags|uint32(m.Data[2]))&unix.IFA_F_TENTATIVE != 0,
	}, int(native.Uint32(m.Data[4:])), nil
}

// AddAddress gives an interface an address, as `ip address add` does. The
// error is ErrExists if it has it already.
func (c *Conn) AddAddress(index int, p netip.Prefix) error {
	scope := byte(unix.RT_SCOPE_UNIVERSE)
	if p.Addr().Is4() && p.Addr().IsLoopback() {
		scope = unix.RT_SCOPE_HOST
	}
	header := ifaddrmsg(family(p.Addr()), byte(p.Bits()), scope, index)
	err := c.change(unix.RTM_NEWADDR, netlink.Create|netlink.Excl, header, func(ae *netlink.AttributeEncoder) {
		ae.Bytes(unix.IFA_LOCAL, p.Addr().AsSlice())
		ae.Bytes(unix.IFA_ADDRESS, p.Addr().AsSlice())
	})
	return exists(noLink(err))
}

// exists maps the kernel's answer to a second creation.
func exists(err error) error {
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%w: %w", ErrExists, err)
	}
	return err
}
