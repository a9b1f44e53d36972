package device

import (
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"

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

// apply makes c, whole or not at all: first everything that can fail, then
// everything that cannot. Control only.
func (d *Device) apply(c *conf.Change) error {
	endpoints, err := d.check(c)
	if err != nil {
		return err
	}
	if err := d.applySockets(c); err != nil {
		return err
	}
	a := applying{d: d, routes: d.routes.Load().Edit(d.prefixCount(c))}
	if c.ReplacePeers {
		a.routes = allowedips.New[*peer]().Edit(d.prefixCount(c))
		for _, p := range slices.Clone(d.order) {
			if p != nil {
				a.remove(p)
			}
		}
	}
	if c.PrivateKey != nil {
		d.setPrivateKey(c.PrivateKey)
	}
	// A peer with our own key is not possible; one that was there goes.
	if id := d.identity.Load(); id != nil {
		if p := d.peers[id.public]; p != nil {
			a.remove(p)
		}
	}
	for i := range c.Peers {
		a.peer(&c.Peers[i], endpoints[i])
	}
	d.routes.Store(a.routes.Table())
	a.start()
	return nil
}

// check refuses what cannot be applied and returns the numeric endpoint of each
// peer change.
func (d *Device) check(c *conf.Change) ([]packet.Endpoint, error) {
	endpoints := make([]packet.Endpoint, len(c.Peers))
	created := 0
	for i := range c.Peers {
		pc := &c.Peers[i]
		if _, ok := d.peers[pc.PublicKey]; !ok && !pc.Remove {
			created++
		}
		for _, a := range pc.AllowedIPs {
			if !a.Prefix.IsValid() || a.Prefix != a.Prefix.Masked() {
				return nil, &ChangeError{pc.PublicKey, "allowed ip", "not a masked prefix: " + a.Prefix.String()}
			}
		}
		if pc.Endpoint == nil {
			continue
		}
		ep, err := numeric(pc.Endpoint)
		if err != nil {
			return nil, &ChangeError{pc.PublicKey, "endpoint", err.Error()}
		}
		endpoints[i].Remote = ep
	}
	have := len(d.peers)
	if c.ReplacePeers {
		have = 0
	}
	if have+created > MaxPeers && have+distinctNew(d, c) > MaxPeers {
		return nil, &ChangeError{Field: "peers", Reason: fmt.Sprintf("more than %d", MaxPeers)}
	}
	return endpoints, nil
}

// distinctNew counts the keys in c that are no peers yet, each once.
func distinctNew(d *Device, c *conf.Change) int {
	seen := make(map[key.Public]bool)
	for i := range c.Peers {
		k := c.Peers[i].PublicKey
		if _, ok := d.peers[k]; (!ok || c.ReplacePeers) && !c.Peers[i].Remove {
			seen[k] = true
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

// prefixCount is about how many routes c changes.
func (d *Device) prefixCount(c *conf.Change) int {
	n := 0
	for i := range c.Peers {
		pc := &c.Peers[i]
		n += len(pc.AllowedIPs)
		if p := d.peers[pc.PublicKey]; p != nil && (pc.Remove || pc.ReplaceAllowedIPs) {
			n += len(p.allowed)
		}
	}
	return n
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
		if p != nil && (id == nil || p.public != id.public) {
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
func (a *applying) peer(c *conf.PeerChange, ep packet.Endpoint) {
	d := a.d
	if id := d.identity.Load(); id != nil && id.public == c.PublicKey {
		return // our own key: silently nothing
	}
	p := d.peers[c.PublicKey]
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
	a.touched = append(a.touched, p)
	if c.PresharedKey != nil {
		p.machine.SetPreshared(c.PresharedKey)
	}
	if c.Endpoint != nil {
		p.roam(&ep)
	}
	if c.ReplaceAllowedIPs {
		for _, prefix := range p.allowed {
			a.routes.Remove(prefix, p)
		}
		p.allowed, p.stale = nil, 0
	}
	for _, ip := range c.AllowedIPs {
		a.allow(p, ip)
	}
	if c.PersistentKeepalive != nil {
		p.keepalive = *c.PersistentKeepalive
	}
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
	p.allowed = append(p.allowed, ip.Prefix)
	p.compact(a.routes)
	if had && owner != p {
		owner.compact(a.routes)
	}
}

// compact drops stale entries once they are half of the list.
func (p *peer) compact(routes prefixOwner) {
	if p.stale*2 <= len(p.allowed) {
		return
	}
	p.allowed, p.stale = p.owned(routes), 0
}

// prefixOwner is what a routing table and its editor have in common.
type prefixOwner interface {
	Get(netip.Prefix) (*peer, bool)
}

// owned lists the prefixes p has, in the order of insertion; one that was added
// again stands where it was added last.
func (p *peer) owned(routes prefixOwner) []netip.Prefix {
	if p.stale == 0 {
		return slices.Clone(p.allowed)
	}
	seen := make(map[netip.Prefix]bool, len(p.allowed))
	var out []netip.Prefix
	for _, prefix := range slices.Backward(p.allowed) {
		if owner, ok := routes.Get(prefix); ok && owner == p && !seen[prefix] {
			seen[prefix] = true
			out = append(out, prefix)
		}
	}
	slices.Reverse(out)
	return out
}

// create adds a peer at the end.
func (a *applying) create(k key.Public) *peer {
	d := a.d
	p := &peer{public: k, order: len(d.order)}
	p.machine = tunnel.NewPeer(&d.env, k, &p.activity)
	d.peers[k] = p
	d.order = append(d.order, p)
	return p
}

// remove takes a peer and everything it has away.
func (a *applying) remove(p *peer) {
	d := a.d
	d.stop(p)
	p.removed = true
	d.due.set(p, 0)
	for _, prefix := range p.allowed {
		a.routes.Remove(prefix, p)
	}
	p.allowed = nil
	p.machine.Clear()
	delete(d.peers, p.public)
	d.order[p.order] = nil
	d.holes++
	if d.holes*2 > len(d.order) {
		d.order = slices.DeleteFunc(d.order, func(p *peer) bool { return p == nil })
		d.holes = 0
		for i, p := range d.order {
			p.order = i
		}
	}
}

// start brings the touched peers up, when the new routes are in force.
func (a *applying) start() {
	d := a.d
	now := d.clock.Now()
	for _, p := range a.touched {
		if p.removed {
			continue
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
		Peers: make([]conf.Peer, 0, len(d.peers)),
	}
	if id := d.identity.Load(); id != nil {
		s.PublicKey = id.public
	}
	routes := d.routes.Load()
	for _, p := range d.order {
		if p == nil {
			continue
		}
		c := conf.Peer{
			PublicKey: p.public, LastHandshake: p.lastHandshake,
			RxBytes: p.rx.Load(), TxBytes: p.tx.Load(), PersistentKeepalive: p.keepalive,
			AllowedIPs: p.owned(routes),
		}
		if psk := p.machine.Preshared(); psk != nil {
			c.PresharedKey = *psk
		}
		if ep := p.endpoint.Load(); ep != nil {
			c.Endpoint = ep.Remote
		}
		s.Peers = append(s.Peers, c)
	}
	return s
}
