package device

import (
	"fmt"
	"io/fs"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/allowedips"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/packet"
)

// ChangeError says which part of a Change cannot be applied.
type ChangeError struct {
	Peer   key.Public // zero: the device itself
	Field  string
	Reason string
}

// Error implements error.
func (e *ChangeError) Error() string {
	if e.Peer.IsZero() {
		return e.Field + ": " + e.Reason
	}
	return "peer " + e.Peer.String() + ": " + e.Field + ": " + e.Reason
}

// Is makes every ChangeError an fs.ErrInvalid: a value that no device takes.
func (e *ChangeError) Is(target error) bool { return target == fs.ErrInvalid }

// apply makes c. Control only.
func (d *Device) apply(c *conf.Change) error { return d.applyOf(c, c.All()) }

// applyOf makes c with these peers, whole or not at all: first everything that
// can fail, then everything that cannot. Control only.
func (d *Device) applyOf(c *conf.Change, peers iter.Seq[*conf.PeerChange]) error {
	if err := d.check(c, peers); err != nil {
		return err
	}
	if err := d.applySockets(c); err != nil {
		return err
	}
	a := applying{d: d}
	if c.ReplacePeers {
		a.routes = allowedips.New[*peer]().Edit()
		a.removeAll()
	} else {
		a.routes = d.routes.Load().Edit()
	}
	if c.PrivateKey != nil {
		d.setPrivateKey(c.PrivateKey)
	}
	// A peer with our own key is not possible; one that was there goes.
	if id := d.identity.Load(); id != nil {
		if p := d.peers.get(id.public); p != nil {
			a.remove(p)
		}
	}
	for p := range peers {
		a.peer(p)
	}
	d.routes.Store(a.routes.Table())
	a.start()
	return nil
}

// check refuses what cannot be applied.
func (d *Device) check(c *conf.Change, peers iter.Seq[*conf.PeerChange]) error {
	have, given := d.peers.len(), 0
	for p := range peers {
		given++
		for _, a := range p.AllowedIPs {
			if !a.Prefix.IsValid() || a.Prefix != a.Prefix.Masked() {
				return &ChangeError{p.PublicKey, "allowed ip", "not a masked prefix: " + a.Prefix.String()}
			}
		}
		if p.Endpoint == nil {
			continue
		}
		if _, err := numeric(p.Endpoint); err != nil {
			return &ChangeError{p.PublicKey, "endpoint", err.Error()}
		}
	}
	if c.ReplacePeers {
		have = 0
	}
	if have+given > MaxPeers && have+d.countNew(c, peers) > MaxPeers {
		return &ChangeError{Field: "peers", Reason: fmt.Sprintf("more than %d", MaxPeers)}
	}
	return nil
}

// countNew counts the keys among peers that are no peers yet, each once.
func (d *Device) countNew(c *conf.Change, peers iter.Seq[*conf.PeerChange]) int {
	seen := make(map[key.Public]bool)
	for p := range peers {
		if !p.Remove && (c.ReplacePeers || d.peers.get(p.PublicKey) == nil) {
			seen[p.PublicKey] = true
		}
	}
	return len(seen)
}

// numeric returns the address of an endpoint that needs no resolver. An
// IPv4-mapped address becomes IPv4, which is the socket it needs (E24).
func numeric(e *conf.Endpoint) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(e.Host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not an IP address", e.Host)
	}
	port, err := strconv.ParseUint(e.Port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not a port number", e.Port)
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(port)), nil
}

// applySockets makes the changes that the system may refuse.
func (d *Device) applySockets(c *conf.Change) error {
	number, mark := d.listenPort, d.fwMark
	if c.ListenPort != nil {
		number = *c.ListenPort
	}
	if c.FwMark != nil {
		mark = *c.FwMark
	}
	switch {
	case d.linkUp && d.mustOpen(c):
		return d.reopen(number, mark)
	case d.up && mark != d.fwMark:
		if err := d.port.Load().SetMark(mark); err != nil {
			return fmt.Errorf("set fwmark %#x: %w", mark, err)
		}
		d.forgetSources()
	}
	d.listenPort, d.fwMark = number, mark
	return nil
}

// mustOpen reports whether c asks for sockets other than those in use.
func (d *Device) mustOpen(c *conf.Change) bool {
	if !d.up { // when the interface went up they could not be opened
		return c.ListenPort != nil || c.FwMark != nil
	}
	// An equal port is no change ([K]; E5). 0 asks for a new random one.
	return c.ListenPort != nil && (*c.ListenPort != d.listenPort || *c.ListenPort == 0)
}

// reopen opens new sockets while the interface is up, before it gives up those
// it has.
func (d *Device) reopen(number uint16, mark uint32) error {
	port, err := d.openPort(number, mark)
	if err != nil {
		return err
	}
	d.fwMark = mark
	if !d.up {
		d.rise(port)
		return nil
	}
	d.usePort(port)
	d.forgetSources()
	return nil
}

// forgetSources clears every learnt local address: after a change of port or
// mark another route may be right.
func (d *Device) forgetSources() {
	for _, p := range d.order {
		if p != nil {
			p.forgetSource()
		}
	}
}

// setPrivateKey changes the identity of the device and tells every machine.
func (d *Device) setPrivateKey(k *key.Private) {
	if k.Equal(&d.privateKey) {
		return
	}
	d.privateKey.Clear()
	d.privateKey = *k
	var id *identity
	if !k.IsZero() {
		s := noise.NewStatic(k)
		id = &identity{static: s, public: s.Public()}
	}
	d.setIdentity(id)
	now := d.clock.Now()
	for _, p := range d.order {
		if p != nil && p.machine != nil && (id == nil || p.public != id.public) {
			d.drive(p, func(m *tunnel.Peer, fx []tunnel.Effect) []tunnel.Effect {
				return m.HandleStaticChanged(now, fx)
			})
		}
	}
}

// setIdentity publishes id and erases the one before it once the intake has let
// go of it.
func (d *Device) setIdentity(id *identity) {
	old := d.identity.Swap(id)
	d.env.Static = nil
	if id != nil {
		d.env.Static = id.static
	}
	if old != nil {
		d.crew.bury(old.static.Clear)
	}
}

// applying is one apply in progress.
type applying struct {
	d       *Device
	routes  *allowedips.Editor[*peer]
	touched []*peer // peers to be started or flushed, each once or more
}

// peer applies one peer change. Order within it is the kernel's: compat 3.3.3.
func (a *applying) peer(c *conf.PeerChange) {
	d := a.d
	if id := d.identity.Load(); id != nil && id.public == c.PublicKey {
		return // our own key: silently nothing
	}
	p := d.peers.get(c.PublicKey)
	if p == nil {
		if c.Remove || c.UpdateOnly {
			return
		}
		p = a.create(c.PublicKey)
	}
	if c.Remove {
		a.remove(p)
		return
	}
	if c.PresharedKey != nil {
		p.setPreshared(c.PresharedKey)
	}
	if c.Endpoint != nil {
		to, _ := numeric(c.Endpoint) // see check
		p.roam(&packet.Endpoint{Remote: to})
	}
	a.allowedIPs(p, c)
	if c.PersistentKeepalive != nil {
		p.keepalive = *c.PersistentKeepalive
	}
	if p.machine != nil || p.keepalive != 0 {
		a.touched = append(a.touched, p)
	}
}

// allowedIPs changes the list of p.
func (a *applying) allowedIPs(p *peer, c *conf.PeerChange) {
	if c.ReplaceAllowedIPs {
		if p.hasJust(c.AllowedIPs) {
			return
		}
		a.routes.Expect(p.allowed.Len())
		for prefix := range p.allowed.All() {
			a.routes.Remove(prefix, p)
		}
		p.allowed, p.stale = allowedips.List{}, 0
	}
	a.routes.Expect(len(c.AllowedIPs))
	size := 0
	for _, ip := range c.AllowedIPs {
		size += allowedips.PackedSize(ip.Prefix)
	}
	p.allowed.Grow(size)
	for _, ip := range c.AllowedIPs {
		a.allow(p, ip)
	}
}

// hasJust reports whether the list of p is what adding ips to an empty one would
// make it: then there is nothing to do. Where a whole configuration is given
// again, as `wg syncconf` does, that is so for nearly every peer.
func (p *peer) hasJust(ips []conf.AllowedIP) bool {
	if p.stale != 0 || p.allowed.Len() != len(ips) {
		return false
	}
	i := 0
	for prefix := range p.allowed.All() {
		if ips[i].Remove || ips[i].Prefix != prefix {
			return false
		}
		i++
	}
	return true
}

// allow gives or takes one prefix.
func (a *applying) allow(p *peer, ip conf.AllowedIP) {
	owner, had := a.routes.Get(ip.Prefix)
	if had && (owner == p || !ip.Remove) {
		owner.stale++
	}
	if ip.Remove {
		a.routes.Remove(ip.Prefix, p)
		p.compact(a.routes)
		return
	}
	a.routes.Insert(ip.Prefix, p)
	p.allowed.Append(ip.Prefix)
	p.compact(a.routes)
	if had && owner != p {
		owner.compact(a.routes)
	}
}

// compact drops stale entries once they are half of the list.
func (p *peer) compact(routes prefixOwner) {
	if int(p.stale)*2 <= p.allowed.Len() {
		return
	}
	p.allowed, p.stale = allowedips.NewList(p.appendOwned(nil, routes)), 0
}

// prefixOwner is what a routing table and its editor have in common.
type prefixOwner interface {
	Get(netip.Prefix) (*peer, bool)
}

// appendOwned appends the prefixes p has to list, in the order of insertion; one
// that was added again stands where it was added last.
func (p *peer) appendOwned(list []netip.Prefix, routes prefixOwner) []netip.Prefix {
	if p.stale == 0 {
		return slices.AppendSeq(list, p.allowed.All())
	}
	all := slices.Collect(p.allowed.All())
	seen := make(map[netip.Prefix]bool, len(all))
	from := len(list)
	for _, prefix := range slices.Backward(all) {
		if owner, ok := routes.Get(prefix); ok && owner == p && !seen[prefix] {
			seen[prefix] = true
			list = append(list, prefix)
		}
	}
	slices.Reverse(list[from:])
	return list
}

// create adds a peer at the end.
func (a *applying) create(k key.Public) *peer {
	d := a.d
	p := &peer{public: k, order: int32(len(d.order))}
	d.peers.add(p)
	d.order = append(d.order, p)
	return p
}

// remove takes a peer and everything it has away.
func (a *applying) remove(p *peer) {
	d := a.d
	a.routes.Expect(p.allowed.Len())
	for prefix := range p.allowed.All() {
		a.routes.Remove(prefix, p)
	}
	d.bury(p)
	d.peers.remove(p)
	d.order[p.order] = nil
	d.holes++
	if d.holes*2 > len(d.order) {
		d.order = slices.DeleteFunc(d.order, func(p *peer) bool { return p == nil })
		d.holes = 0
		for i, p := range d.order {
			p.order = int32(i)
		}
	}
}

// removeAll removes every peer. The new routes are empty already.
func (a *applying) removeAll() {
	d := a.d
	for _, p := range d.order {
		if p != nil {
			d.bury(p)
		}
	}
	d.peers, d.order, d.holes = newDirectory(), nil, 0
}

// bury ends a peer that is about to be forgotten.
func (d *Device) bury(p *peer) {
	d.stop(p)
	p.removed = true
	d.due.set(p, 0)
	p.allowed = allowedips.List{}
	p.clear()
}

// start brings the touched peers up, when the new routes are in force.
func (a *applying) start() {
	d := a.d
	now := d.clock.Now()
	for _, p := range a.touched {
		if p.removed || p.machine == nil && (p.keepalive == 0 || !d.up) {
			continue // it is gone, or has nothing to do
		}
		d.drive(p, func(m *tunnel.Peer, fx []tunnel.Effect) []tunnel.Effect {
			if d.up {
				fx = m.HandleUp(now, fx)
			}
			if d.up && p.keepalive != 0 && m.PersistentKeepalive() == 0 {
				d.encourage(p)
			} else {
				fx = m.SetPersistentKeepalive(now, p.keepalive, fx)
			}
			if d.up && p.staged.Len() > 0 {
				fx = m.HandleWantSession(now, fx)
			}
			return fx
		})
	}
	d.beginKeepalives()
}

// status reads everything `wg show` prints. Control only.
func (d *Device) status() conf.Device {
	s := conf.Device{
		Name: d.tun.Name(), PrivateKey: d.privateKey, ListenPort: d.listenPort, FwMark: d.fwMark,
		Peers: make([]conf.Peer, 0, d.peers.len()),
	}
	if id := d.identity.Load(); id != nil {
		s.PublicKey = id.public
	}
	routes := d.routes.Load()
	prefixes := make([]netip.Prefix, 0, routes.Len()) // of all peers, in one piece of memory
	for _, p := range d.order {
		if p == nil {
			continue
		}
		c := conf.Peer{
			PublicKey: p.public, RxBytes: p.rx.Load(), TxBytes: p.tx.Load(),
			PersistentKeepalive: p.keepalive,
		}
		from := len(prefixes)
		if prefixes = p.appendOwned(prefixes, routes); from < len(prefixes) {
			c.AllowedIPs = slices.Clip(prefixes[from:])
		}
		if p.lastHandshake != 0 {
			c.LastHandshake = time.Unix(0, p.lastHandshake)
		}
		if psk := p.preshared(); psk != nil {
			c.PresharedKey = *psk
		}
		if ep := p.endpoint.Load(); ep != nil {
			c.Endpoint = ep.Remote
		}
		s.Peers = append(s.Peers, c)
	}
	return s
}
