package quick

import "net/netip"

// Facts are what a plan depends on besides the configuration. Each stage of Up
// looks at its own; the others may be zero.
type Facts struct {
	// For Create and Remove.
	LinkExists   bool  // an interface of this name is there
	SocketExists bool  // a control socket of this name answers
	Obstacle     error // why this process cannot make or remove interfaces; nil: it can

	// For Open: the paths to the endpoints the device knows now, and the MTU
	// on the way of the default route. 0: unknown.
	Paths       []Path
	DefaultPath int

	// For Open, Route and Remove: what the device lets through now, in its order.
	AllowedIPs []netip.Prefix

	// For Route: the destinations that the main table sends through the
	// interface.
	Routes []netip.Prefix

	// For Settle.
	HasPrivateKey bool

	// For Remove: the device marks its packets with this; 0: it does not.
	FwMark uint32
}

// Path is the way of the outer packets to an endpoint.
type Path struct {
	Endpoint netip.Addr
	MTU      int // of the route, or of the interface it leaves by; 0: unknown
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
	f.HasPrivateKey = c.Device.PrivateKey != nil && !c.Device.PrivateKey.IsZero()
	return f
}
