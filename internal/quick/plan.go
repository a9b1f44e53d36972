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
	Create Stage = iota + 1 // make and configure the interface
	Open                    // give it addresses and bring it up
	Route                   // send traffic to it, and say that it is up
	Settle                  // look at what came of it
	Remove
)

// Stages returns the stages of Up in their order.
func Stages() []Stage { return []Stage{Create, Open, Route, Settle} }

// Up plans one stage of bringing a tunnel up. An error at Create means that
// nothing may be done; one at a later stage, that everything done so far has
// to be undone.
func Up(c *Config, s Stage, f Facts) ([]Step, error) {
	switch s {
	case Create:
		return create(c, f)
	case Open:
		return open(c, f), nil
	case Route:
		return route(c, f)
	case Settle:
		return settle(c, f), nil
	}
	panic(fmt.Sprintf("quick: unknown stage %d", s))
}

// Down plans taking a tunnel down, with the facts for Remove. There is no way
// back from its steps: a failing PreDown leaves the tunnel up, a failing
// PostDown finds it gone.
func Down(c *Config, f Facts) ([]Step, error) {
	if err := checkRemove(c, f); err != nil {
		return nil, err
	}
	var steps []Step
	if c.SaveConfig.Value {
		steps = append(steps, c.warning("SaveConfig", c.SaveConfig.Line,
			"", "the state of the interface is not written back to the file: this is not supported yet"))
	}
	steps = append(steps, c.hooks("PreDown", c.PreDown)...)
	steps = append(steps, Step{Kind: DeleteLink})
	return append(steps, c.hooks("PostDown", c.PostDown)...), nil
}

func create(c *Config, f Facts) ([]Step, error) {
	if err := check(c); err != nil {
		return nil, err
	}
	if err := checkCreate(c, f); err != nil {
		return nil, err
	}
	steps := warnings(c)
	steps = append(steps, Step{Kind: CreateLink})
	steps = append(steps, c.hooks("PreUp", c.PreUp)...)
	return append(steps, Step{Kind: Configure}), nil
}

func open(c *Config, f Facts) []Step {
	var steps []Step
	for _, a := range c.Addresses {
		steps = append(steps, Step{Kind: AddAddress, Prefix: a.Value, Key: "Address", Line: a.Line})
	}
	if c.MTU.Value != 0 {
		steps = append(steps, mtuWarnings(c, f)...)
		return append(steps, Step{Kind: SetUp, MTU: c.MTU.Value, Key: "MTU", Line: c.MTU.Line})
	}
	sizes := make([]int, len(f.Paths))
	for i, p := range f.Paths {
		sizes[i] = p.MTU
	}
	mtu, raised := AutoMTU(sizes, f.DefaultPath, c.ipv6(f))
	if raised {
		steps = append(steps, c.warning("", 0, "set MTU in the file, or leave IPv6 out of Address and AllowedIPs",
			"the path to an endpoint is so narrow that IPv6 in the tunnel does not fit: the MTU is %d, the least IPv6 works with, and large packets will be fragmented", MinMTU6))
	}
	return append(steps, Step{Kind: SetUp, MTU: mtu})
}

func route(c *Config, f Facts) ([]Step, error) {
	var steps []Step
	if c.routed() {
		present, lines := newRoutes(f.Routes), c.lines()
		for _, p := range sortRoutes(f.AllowedIPs) {
			if p.Bits() == 0 {
				return nil, c.defaultRoute(p, lines[p])
			}
			if !present.cover(p) {
				steps = append(steps, Step{Kind: AddRoute, Prefix: p, Key: "AllowedIPs", Line: lines[p]})
				present[p] = true
			}
		}
	}
	return append(steps, c.hooks("PostUp", c.PostUp)...), nil
}

func settle(c *Config, f Facts) []Step {
	if f.HasPrivateKey {
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
