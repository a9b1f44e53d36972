package conf

import (
	"net/netip"
	"slices"

	"github.com/warrenvpn/warren/key"
)

// Apply makes a change to a state, as a device would: the model that devices
// are tested against, and the base of Diff. Endpoints that are not numeric, and
// the ports they have, are left out. It does not bind ports: 0 stays 0.
func (d *Device) Apply(c *Change) {
	if c.PrivateKey != nil {
		d.PrivateKey, d.PublicKey = *c.PrivateKey, c.PrivateKey.Public()
	}
	if c.ListenPort != nil {
		d.ListenPort = *c.ListenPort
	}
	if c.FwMark != nil {
		d.FwMark = *c.FwMark
	}
	if c.ReplacePeers {
		d.Peers = nil
	}
	a := newApplying(d)
	if !d.PublicKey.IsZero() {
		a.remove(d.PublicKey) // no peer has our own key
	}
	for i := range c.Peers {
		if k := c.Peers[i].PublicKey; d.PublicKey.IsZero() || k != d.PublicKey {
			a.peer(&c.Peers[i])
		}
	}
	a.finish()
}

// applying is one Apply in progress: the peers as lists of prefixes that know
// their owner, so that a move is not a search.
type applying struct {
	d     *Device
	peers []*Peer // in order; nil: removed
	index map[key.Public]int
	owner map[netip.Prefix]key.Public
}

func newApplying(d *Device) *applying {
	a := &applying{d: d, index: map[key.Public]int{}, owner: map[netip.Prefix]key.Public{}}
	for i := range d.Peers {
		p := d.Peers[i]
		a.index[p.PublicKey] = i
		a.peers = append(a.peers, &p)
		for _, ip := range p.AllowedIPs {
			a.owner[ip] = p.PublicKey
		}
	}
	return a
}

func (a *applying) remove(k key.Public) {
	i, ok := a.index[k]
	if !ok {
		return
	}
	a.disown(a.peers[i])
	a.peers[i] = nil
	delete(a.index, k)
}

// disown takes all prefixes from p.
func (a *applying) disown(p *Peer) {
	for _, ip := range p.AllowedIPs {
		if a.owner[ip] == p.PublicKey {
			delete(a.owner, ip)
		}
	}
	p.AllowedIPs = nil
}

func (a *applying) peer(c *PeerChange) {
	if c.Remove {
		a.remove(c.PublicKey)
		return
	}
	i, ok := a.index[c.PublicKey]
	if !ok {
		if c.UpdateOnly {
			return
		}
		i = len(a.peers)
		a.index[c.PublicKey] = i
		a.peers = append(a.peers, &Peer{PublicKey: c.PublicKey})
	}
	p := a.peers[i]
	if c.PresharedKey != nil {
		p.PresharedKey = *c.PresharedKey
	}
	if c.Endpoint != nil {
		if ap, ok := c.Endpoint.AddrPort(); ok {
			p.Endpoint = ap
		}
	}
	if c.PersistentKeepalive != nil {
		p.PersistentKeepalive = *c.PersistentKeepalive
	}
	if c.ReplaceAllowedIPs {
		a.disown(p)
	}
	for _, ip := range c.AllowedIPs {
		a.allow(p, ip)
	}
}

// allow adds or removes one prefix. A prefix that was moved away stays in its
// former owner's list until finish: the owner decides. So does one that is added
// again in its former place.
func (a *applying) allow(p *Peer, ip AllowedIP) {
	if !ip.Remove {
		a.owner[ip.Prefix] = p.PublicKey
		p.AllowedIPs = append(p.AllowedIPs, ip.Prefix)
	} else if owner, ok := a.owner[ip.Prefix]; ok && owner == p.PublicKey {
		delete(a.owner, ip.Prefix)
	}
}

// finish writes the peers back.
func (a *applying) finish() {
	d := a.d
	d.Peers = make([]Peer, 0, len(a.index))
	for _, p := range a.peers {
		if p == nil {
			continue
		}
		p.AllowedIPs = a.ownedBy(p)
		d.Peers = append(d.Peers, *p)
	}
}

// ownedBy returns the prefixes of p in the order of their last addition.
func (a *applying) ownedBy(p *Peer) []netip.Prefix {
	seen := make(map[netip.Prefix]bool, len(p.AllowedIPs))
	var kept []netip.Prefix
	for _, ip := range slices.Backward(p.AllowedIPs) {
		if owner, ok := a.owner[ip]; ok && owner == p.PublicKey && !seen[ip] {
			seen[ip] = true
			kept = append(kept, ip)
		}
	}
	slices.Reverse(kept)
	return kept
}
