package rtnl

import (
	"errors"
	"net/netip"
)

// Errors that callers branch on.
var (
	// ErrNoLink says that there is no such interface in this namespace.
	ErrNoLink = errors.New("no such interface")
	// ErrExists says that the kernel has such an object already.
	ErrExists = errors.New("exists already")
	// ErrNoRoute says that the kernel has no way to an address.
	ErrNoRoute = errors.New("no route")
)

// TableMain is the routing table that ordinary routes are in.
const TableMain = 254

// Link is a network interface.
type Link struct {
	Index int
	Name  string
	Kind  string // of rtnetlink's link information: tun, wireguard, veth, ...
	MTU   int
	Up    bool // administratively
}

// Address is an address of an interface.
type Address struct {
	Prefix    netip.Prefix // with its host bits
	Tentative bool         // IPv6: not usable yet (RFC 4862, 5.4)
}

// Route is one entry of a routing table.
type Route struct {
	Destination netip.Prefix // masked
	Link        int          // index of the interface; 0: none or several
	Gateway     netip.Addr   // invalid: on link
	Table       uint32
	Metric      uint32
	MTU         int // 0: that of the interface
}
