package quick

import "net/netip"

// Facts are what a plan depends on besides the configuration. Each stage of Up
// looks at its own; the others may be zero.
type Facts struct {
	// For Create and Remove.
	LinkExists   bool // an interface of this name is there
	SocketExists bool // a control socket of this name answers
	WireGuard    bool // the interface of this name is one of WireGuard's
	Index        int  // of the interface of this name
	// The interface of this name is up, or has addresses, or its device has a key
	// or peers: it is not as it was made.
	Configured bool
	Obstacle   error // why this process cannot make or remove interfaces; nil: it can

	// For Create.
	NoKernel     bool // known beforehand: the kernel cannot make the interface
	IPv6Disabled bool // addresses and routes of IPv6 are refused
	// The main table has a default route of these families.
	Default4, Default6 bool

	// For Prepare: the interface is the kernel's own.
	InKernel bool

	// For Open: the paths to the endpoints the device knows now, and the MTU
	// on the way of the default route. 0: unknown.
	Paths       []Path
	DefaultPath int
	DNS         DNS

	// For Open, Route and Remove: what the device lets through now, in its order.
	AllowedIPs []netip.Prefix

	// For Route: the destinations that the main table sends through the
	// interface.
	Routes []netip.Prefix
	// For a default route: tables that have routes, as far as they were looked
	// at from FirstTable on, and what net.ipv4.conf.all.src_valid_mark is.
	UsedTables   []uint32
	SrcValidMark string
	// HeldMark is what it was before another tunnel needed it to be 1.
	HeldMark string
	// TableNumber is that of Table, where the file gives a name.
	TableNumber uint32

	// For Settle.
	HasPrivateKey bool

	// For Create, Route and Remove: the device marks its packets with this; 0: it does
	// not. And the rules of both families in the kernel's order.
	FwMark uint32
	Rules  []Rule

	// For Remove: what a journal knows to have been done, in its order, and
	// whether there is a journal. Foreign are rules that other tunnels own.
	// Doubtful: the journal does not have all; the host has to be looked at too.
	Doubtful bool
	Journal  bool
	Recorded []Step
	Foreign  []Rule
	Firewall bool // there is a table of the interface's name
}

// Path is the way of the outer packets to an endpoint.
type Path struct {
	Endpoint netip.Addr
	MTU      int // of the route, or of the interface it leaves by; 0: unknown
}

// DNS is how this host is told of name servers: the commands for traces.
type DNS struct {
	Set, Unset string
}

// Predict adds to f what the steps of the earlier stages are expected to bring
// about on a host where no hook interferes, so that a plan can be shown before
// any of it happens.
func Predict(c *Config, f Facts) Facts {
	f.AllowedIPs, f.Routes = nil, nil
	for _, a := range c.AllowedIPs {
		f.AllowedIPs = append(f.AllowedIPs, a.Value.Masked())
	}
	for _, a := range c.Addresses {
		// The kernel routes the network of an address through its interface,
		// except that a single IPv4 address makes no network.
		if p := a.Value.Masked(); p.Addr().Is6() || !p.IsSingleIP() {
			f.Routes = append(f.Routes, p)
		}
	}
	f.FwMark = c.FwMark.Value
	f.HasPrivateKey = c.Device.PrivateKey != nil && !c.Device.PrivateKey.IsZero()
	return f
}
