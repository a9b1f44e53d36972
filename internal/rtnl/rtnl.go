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
	// ErrNoRule says that the kernel has no such policy rule.
	ErrNoRule = errors.New("no such rule")
	// ErrNoKind says that the kernel cannot make interfaces of this kind.
	ErrNoKind = errors.New("the kernel knows no such kind of interface")
)

// Refusal is an answer of the kernel for which it found words of its own.
type Refusal struct {
	Err     error // the error number
	Message string
}

// Error returns both.
func (r *Refusal) Error() string { return r.Err.Error() + " (" + r.Message + ")" }

// Unwrap returns the error number.
func (r *Refusal) Unwrap() error { return r.Err }

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

// Rule is a policy rule that looks a table up, of the form
//
//	[not] [fwmark MARK] lookup TABLE [suppress_prefixlength N]
//
// Two rules are the same if they are equal.
type Rule struct {
	Family   int    // 4 or 6
	Priority uint32 // lower ones are tried first; 0 for AddRule: the kernel chooses
	Mark     uint32 // 0: whatever the mark is
	Not      bool   // it is for packets that do not have the mark
	Table    uint32
	// SuppressPrefixLength makes the rule refuse routes whose prefix is not
	// longer than this: 0 refuses the default route. -1: it refuses none.
	SuppressPrefixLength int
	// Other says that the rule has conditions or an action for which this type
	// has no words. Such rules are listed, but neither added nor deleted.
	Other bool
}
