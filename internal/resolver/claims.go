package resolver

import (
	"slices"
	"strings"
)

// domain is one of a link, as systemd-resolved has it: searched and routed, or
// routed alone. The root, ".", stands for all names.
type domain struct {
	Name  string `json:"name"`
	Route bool   `json:"route,omitempty"` // and not searched
}

// allNames is the claim to all names that no other link claims more exactly.
var allNames = domain{".", true}

// link is what a link may claim.
type link struct {
	Index   int      `json:"index"`
	Domains []domain `json:"domains"`
	Default bool     `json:"default"` // asked for names that nobody claims
}

// claims is all that must be remembered between up and down about the links of
// systemd-resolved. It is saved before a link is touched.
//
// compat 7, Q3: names go to every link that claims them equally well, so the
// tunnel's claim alone keeps nothing from another link that claims all names.
type claims struct {
	Tunnels []tunnel `json:"tunnels"` // the last one that has servers is in force
	Aside   []link   `json:"aside"`   // links of others, as they were
}

// top returns the index of the link that claims all names, or 0.
func (c *claims) top() int {
	for _, t := range slices.Backward(c.Tunnels) {
		if len(t.Servers) > 0 && !t.Leaving {
			return t.Index
		}
	}
	return 0
}

// push puts a tunnel on top. One of the same name is replaced.
func (c *claims) push(t tunnel) {
	c.Tunnels = slices.DeleteFunc(slices.Clone(c.Tunnels), func(o tunnel) bool { return o.is(t.Name, t.place) || o.Index == t.Index })
	c.Tunnels = append(c.Tunnels, t)
}

// leave marks a tunnel, and reports whether it was there.
func (c *claims) leave(name string, in place) bool {
	for i, t := range c.Tunnels {
		if t.is(name, in) {
			c.Tunnels[i].Leaving = true
			return true
		}
	}
	return false
}

// left forgets the tunnels that have been taken down, and links that were set
// aside for nobody any more.
func (c *claims) left() {
	c.Tunnels = slices.DeleteFunc(c.Tunnels, func(t tunnel) bool { return t.Leaving })
	if c.top() == 0 {
		c.Aside = nil
	}
}

func (c *claims) isTunnel(index int) bool {
	return slices.ContainsFunc(c.Tunnels, func(t tunnel) bool { return t.Index == index })
}

// note remembers how the links of others are, before they are set aside. What
// is remembered already stays, unless another hand has changed it since.
func (c *claims) note(links []link) {
	if c.top() == 0 {
		return
	}
	for _, l := range links {
		i := slices.IndexFunc(c.Aside, func(a link) bool { return a.Index == l.Index })
		switch {
		case c.isTunnel(l.Index):
		case i < 0 && l.claims():
			c.Aside = append(c.Aside, l)
		case i >= 0:
			a := &c.Aside[i]
			if !slices.Equal(l.Domains, modest(a.Domains)) {
				a.Domains = l.Domains
			}
			a.Default = a.Default || l.Default
		}
	}
}

// want returns what a link should claim, given what it claims now.
func (c *claims) want(now link) link {
	for _, t := range c.Tunnels {
		if t.Index == now.Index {
			l := link{Index: t.Index, Default: c.top() == t.Index}
			for _, d := range t.Domains {
				name, route := strings.CutPrefix(d, "~")
				l.Domains = append(l.Domains, domain{name, route})
			}
			if l.Default && !slices.Contains(l.Domains, allNames) {
				l.Domains = append(l.Domains, allNames)
			}
			return l
		}
	}
	for _, a := range c.Aside {
		if a.Index != now.Index {
			continue
		}
		if c.top() != 0 {
			return link{now.Index, modest(now.Domains), false}
		}
		// What another hand has set meanwhile stays.
		if slices.Equal(now.Domains, modest(a.Domains)) {
			now.Domains = a.Domains
		}
		now.Default = now.Default || a.Default
	}
	return now
}

func (l link) claims() bool { return l.Default || l.claimsAll() }

func (l link) claimsAll() bool {
	return slices.ContainsFunc(l.Domains, func(d domain) bool { return d.Name == "." })
}

func (l link) equal(o link) bool {
	return l.Default == o.Default && slices.Equal(l.Domains, o.Domains)
}

// modest returns domains without the claim to all names.
func modest(domains []domain) []domain {
	return slices.DeleteFunc(slices.Clone(domains), func(d domain) bool { return d.Name == "." })
}
