package quick

import (
	"fmt"
	"net/netip"
)

// Stage is a part of a plan that is made as a whole, with facts gathered after
// the stages before it were carried out.
type Stage uint8

// The stages of Up, and Remove, which is all of Down.
const (
	Create  Stage = iota + 1 // make the interface
	Prepare                  // configure it
	Open                     // give it addresses and bring it up
	Route                    // send traffic to it, and say that it is up
	Settle                   // look at what came of it
	Remove
)

// Stages returns the stages of Up in their order.
func Stages() []Stage { return []Stage{Create, Prepare, Open, Route, Settle} }

// Up plans one stage of bringing a tunnel up. An error at Create means that
// nothing may be done; one at a later stage, that everything done so far has
// to be undone.
func Up(c *Config, s Stage, f Facts) ([]Step, error) {
	switch s {
	case Create:
		return create(c, f)
	case Prepare:
		return prepare(c, f), nil
	case Open:
		return open(c, f), nil
	case Route:
		return route(c, f)
	case Settle:
		return settle(c, f), nil
	}
	panic(fmt.Sprintf("quick: unknown stage %d", s))
}

func create(c *Config, f Facts) ([]Step, error) {
	if err := checkCreate(c, f); err != nil {
		return nil, err
	}
	if err := check(c, f); err != nil {
		return nil, err
	}
	steps := warnings(c, f)
	if c.Plane == User || c.Plane == Automatic && f.NoKernel && !c.Compat {
		return append(steps, Step{Kind: CreateDevice}), nil
	}
	return append(steps, Step{Kind: CreateLink}), nil
}

// FallBack plans what to do when the kernel does not know the kind of the
// interface that CreateLink wants.
func FallBack(c *Config) ([]Step, error) {
	if c.Plane == Kernel {
		return nil, &Problem{
			Text: "this kernel has no WireGuard, and plane kernel is asked for",
			Hint: "`modprobe wireguard` may load it; plane user does without",
		}
	}
	if !c.Compat {
		return []Step{{Kind: CreateDevice}}, nil
	}
	return []Step{
		{Kind: Say, Text: "Error: Unknown device type."},
		{Kind: Warn, Text: "Missing WireGuard kernel module. Falling back to slow userspace implementation."},
		{Kind: CreateDevice},
	}, nil
}

func prepare(c *Config, f Facts) []Step {
	steps := []Step{{Kind: Note, Text: planeNote(c, f)}}
	steps = append(steps, c.hooks("PreUp", c.PreUp)...)
	return append(steps, Step{Kind: Configure})
}

// planeNote says where the interface is and why.
func planeNote(c *Config, f Facts) string {
	place, why := c.Name+" is in the kernel", ": it has WireGuard"
	if !f.InKernel {
		place, why = c.Name+" is in user space", ": the kernel has no WireGuard"
	}
	if c.Plane != Automatic {
		why = ": that plane is asked for"
	}
	return place + why
}

func open(c *Config, f Facts) []Step {
	var steps []Step
	for i, a := range c.Addresses {
		s := Step{Kind: AddAddress, Prefix: a.Value, Key: "Address", Line: a.Line}
		if i < len(c.AddressTexts) {
			s.Text = c.AddressTexts[i]
		}
		steps = append(steps, s)
	}
	steps = append(steps, setUp(c, f)...)
	if len(c.Servers) > 0 || len(c.Search) > 0 && !c.Compat {
		steps = append(steps, Step{Kind: SetDNS, Text: f.DNS.Set, Value: f.DNS.Unset, Key: "DNS", Line: c.DNS[0].Line})
	}
	return steps
}

func setUp(c *Config, f Facts) []Step {
	if c.MTU.Value != 0 {
		s := Step{Kind: SetUp, MTU: c.MTU.Value, Key: "MTU", Line: c.MTU.Line}
		if c.Compat {
			return []Step{s}
		}
		return append(mtuWarnings(c, f), s)
	}
	sizes := make([]int, len(f.Paths))
	for i, p := range f.Paths {
		sizes[i] = p.MTU
	}
	mtu, raised := AutoMTU(sizes, f.DefaultPath, c.ipv6(f) && !c.Compat)
	var steps []Step
	if raised {
		steps = append(steps, c.warning("", 0, "set MTU in the file, or leave IPv6 out of Address and AllowedIPs",
			"the path to an endpoint is so narrow that IPv6 in the tunnel does not fit: the MTU is %d, the least IPv6 works with, and large packets will be fragmented", MinMTU6))
	}
	return append(steps, Step{Kind: SetUp, MTU: mtu})
}

// route plans the routes that follow from allowed IPs.
func route(c *Config, f Facts) ([]Step, error) {
	var steps []Step
	if c.routed() {
		r := router{c: c, f: f, present: newRoutes(f.Routes), lines: c.lines(), rules: f.Rules, mark: f.FwMark}
		for _, p := range sortRoutes(f.AllowedIPs) {
			if err := r.add(p); err != nil {
				return nil, err
			}
		}
		steps = r.steps
	}
	return append(steps, c.hooks("PostUp", c.PostUp)...), nil
}

func settle(c *Config, f Facts) []Step {
	if f.HasPrivateKey || c.Compat {
		return nil
	}
	return []Step{c.warning("", 0, fmt.Sprintf("add PrivateKey to [Interface], or let a hook set it: PostUp = wg set %%i private-key /etc/wireguard/%s.key", c.Name),
		"the interface has no private key, so no peer can reach it")}
}

// lines returns where the allowed IPs stand in the file. Those that a hook added
// stand nowhere.
func (c *Config) lines() map[netip.Prefix]int {
	lines := make(map[netip.Prefix]int, len(c.AllowedIPs))
	for _, a := range c.AllowedIPs {
		lines[a.Value.Masked()] = a.Line
	}
	return lines
}
