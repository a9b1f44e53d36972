// Package rtnl asks the Linux kernel our few questions about links, addresses,
// routes and policy rules, and makes the few changes a tunnel needs, in the
// types the rest of the module speaks: net/netip and plain integers.
//
// It is not a netlink library: sockets, framing and attributes are those of
// github.com/mdlayher/netlink. It does not decide anything either; the
// decisions are made in internal/quick and carried out by internal/hostnet.
// The codec is ours rather than rtnetlink's because that one takes net.IP, in
// which a prefix of IPv4-mapped addresses cannot be told from one of IPv4, and
// has no room for the attributes of an address family.
//
// A Conn belongs to the network namespace of the thread that dialled it, and
// may be used by several goroutines.
//
//	c, err := rtnl.Dial()
//	link, err := c.Link("wg0")
//	err = c.AddAddress(link.Index, netip.MustParsePrefix("192.0.2.1/24"))
//
// The requests are those that ip(8) of iproute2 sends for the same job, so the
// result is what an administrator expects to see. See rtnetlink(7).
package rtnl
