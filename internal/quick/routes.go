package quick

import (
	"net/netip"
	"slices"
	"strings"
)

// sortRoutes orders prefixes as wg-quick adds them: the longest first, those
// of one length by their text, backwards.
func sortRoutes(prefixes []netip.Prefix) []netip.Prefix {
	type entry struct {
		prefix netip.Prefix
		text   string
	}
	entries := make([]entry, len(prefixes))
	for i, p := range prefixes {
		entries[i] = entry{p, p.String()}
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		if d := b.prefix.Bits() - a.prefix.Bits(); d != 0 {
			return d
		}
		return strings.Compare(b.text, a.text)
	})
	sorted := make([]netip.Prefix, len(entries))
	for i, e := range entries {
		sorted[i] = e.prefix
	}
	return sorted
}

// routes is the set of routes through one interface.
type routes map[netip.Prefix]bool

func newRoutes(existing []netip.Prefix) routes {
	r := make(routes, len(existing))
	for _, p := range existing {
		r[p.Masked()] = true
	}
	return r
}

// cover reports whether a packet to any address of p is routed already: by p
// itself or a wider prefix.
func (r routes) cover(p netip.Prefix) bool {
	for bits := p.Bits(); bits >= 0; bits-- {
		if wider, err := p.Addr().Prefix(bits); err == nil && r[wider] {
			return true
		}
	}
	return false
}
