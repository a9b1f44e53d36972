package udp

import (
	"net/netip"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// zones translates between the scope of a link-local address, an interface
// number, and its zone, an interface name. Both directions are remembered in
// immutable maps that are dropped when the routing epoch moves on, as it does
// when an interface comes, goes or is renamed.
type zones struct {
	known atomic.Pointer[zoneMaps]
}

type zoneMaps struct {
	epoch   uint32
	byScope map[uint32]string
	byZone  map[string]uint32
}

// maxZones bounds the maps: a configuration may name any number of zones.
const maxZones = 256

// zoned returns a with the zone of scope.
func (p *port) zoned(a netip.Addr, scope uint32) netip.Addr {
	epoch := p.sources.epoch.Load()
	if m := p.zones.known.Load(); m != nil && m.epoch == epoch {
		if zone, ok := m.byScope[scope]; ok {
			return a.WithZone(zone)
		}
	}
	zone := p.interfaceName(scope)
	if zone == "" {
		zone = strconv.Itoa(int(scope))
	}
	p.zones.learn(epoch, scope, zone)
	return a.WithZone(zone)
}

// scope returns the interface number of a zone: zero if there is no such
// interface, which the kernel will refuse.
func (p *port) scope(zone string) uint32 {
	epoch := p.sources.epoch.Load()
	if m := p.zones.known.Load(); m != nil && m.epoch == epoch {
		if scope, ok := m.byZone[zone]; ok {
			return scope
		}
	}
	n, err := strconv.ParseUint(zone, 10, 32)
	scope := uint32(n)
	if err != nil {
		scope = p.interfaceNumber(zone)
	}
	if scope != 0 {
		p.zones.learn(epoch, scope, zone)
	}
	return scope
}

// learn adds a pair to a copy of the maps. Of two at once one may be lost: it
// is asked for again.
func (z *zones) learn(epoch, scope uint32, zone string) {
	next := &zoneMaps{epoch: epoch, byScope: map[uint32]string{scope: zone}, byZone: map[string]uint32{zone: scope}}
	if old := z.known.Load(); old != nil && old.epoch == epoch && len(old.byZone) < maxZones {
		for s, n := range old.byScope {
			next.byScope[s] = n
		}
		for n, s := range old.byZone {
			next.byZone[n] = s
		}
	}
	z.known.Store(next)
}

// The questions go to the socket, which answers for its own network namespace.

func (p *port) interfaceName(index uint32) string {
	var q unix.Ifreq
	q.SetUint32(index)
	if p.families[1] == nil || unix.IoctlIfreq(p.families[1].data[0], unix.SIOCGIFNAME, &q) != nil {
		return ""
	}
	return q.Name()
}

func (p *port) interfaceNumber(name string) uint32 {
	q, err := unix.NewIfreq(name)
	if err != nil || p.families[1] == nil || unix.IoctlIfreq(p.families[1].data[0], unix.SIOCGIFINDEX, q) != nil {
		return 0
	}
	return q.Uint32()
}
