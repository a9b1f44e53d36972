package conf

import (
	"net/netip"

	"github.com/warrenvpn/warren/key"
)

// Diff returns the least change that leads from a running device to what want
// says, so that peers that stay keep their sessions and prefixes that stay are
// never missing, not for an instant.
//
// Fields of the interface that want does not give are left alone. Peers it does
// not name are removed; of those it names, a preshared key and a keepalive that
// it does not give are cleared, and an endpoint that it does not give stays as
// learnt. An endpoint that is a name is always part of the change, to be
// resolved. Where want gives one prefix to several peers, the last has it.
func Diff(have *Device, want *Config) Change {
	full, err := want.Add(nil)
	if err != nil {
		// A port that is a name: the caller resolves it while parsing if it
		// wants it compared. The rest does not depend on it.
		rest := *want
		rest.ListenPort = ""
		full, _ = rest.Add(nil)
	}
	d := differ{have: have, own: have.PublicKey}
	var ch Change
	if full.PrivateKey != nil && !full.PrivateKey.Equal(&have.PrivateKey) {
		ch.PrivateKey = full.PrivateKey
		d.own = full.PrivateKey.Public()
	}
	if full.ListenPort != nil && *full.ListenPort != have.ListenPort {
		ch.ListenPort = full.ListenPort
	}
	if full.FwMark != nil && *full.FwMark != have.FwMark {
		ch.FwMark = full.FwMark
	}
	d.goal(full.Peers)
	ch.Peers = d.changes()
	return ch
}

// differ compares a running device with a goal.
type differ struct {
	have      *Device
	own       key.Public // is no peer
	want      Device     // the goal
	endpoints map[key.Public]*Endpoint
	running   map[key.Public]*Peer
	owner     map[netip.Prefix]key.Public // in the goal
}

// goal computes the state that peers lead to from nothing.
func (d *differ) goal(peers []PeerChange) {
	d.want.PublicKey = d.own
	d.want.Apply(&Change{Peers: peers})
	d.endpoints = map[key.Public]*Endpoint{}
	for i := range peers {
		if e := peers[i].Endpoint; e != nil {
			d.endpoints[peers[i].PublicKey] = e
		}
	}
	d.owner = map[netip.Prefix]key.Public{}
	for i := range d.want.Peers {
		for _, ip := range d.want.Peers[i].AllowedIPs {
			d.owner[ip] = d.want.Peers[i].PublicKey
		}
	}
}

// changes lists removals first, in the order of the running device, then the
// other changes in the order of the goal.
func (d *differ) changes() (out []PeerChange) {
	wanted := make(map[key.Public]bool, len(d.want.Peers))
	for i := range d.want.Peers {
		wanted[d.want.Peers[i].PublicKey] = true
	}
	d.running = make(map[key.Public]*Peer, len(d.have.Peers))
	for i := range d.have.Peers {
		p := &d.have.Peers[i]
		if wanted[p.PublicKey] {
			d.running[p.PublicKey] = p
		} else if p.PublicKey != d.own {
			out = append(out, PeerChange{PublicKey: p.PublicKey, Remove: true})
		}
	}
	for i := range d.want.Peers {
		if c, ok := d.peer(&d.want.Peers[i]); ok {
			out = append(out, c)
		}
	}
	return out
}

// peer returns what has to change of one peer, if anything.
func (d *differ) peer(want *Peer) (c PeerChange, changed bool) {
	c.PublicKey = want.PublicKey
	have, exists := d.running[want.PublicKey]
	if !exists {
		have = &Peer{}
	}
	if !want.PresharedKey.Equal(&have.PresharedKey) {
		psk := want.PresharedKey
		c.PresharedKey = &psk
	}
	if want.PersistentKeepalive != have.PersistentKeepalive {
		s := want.PersistentKeepalive
		c.PersistentKeepalive = &s
	}
	if e := d.endpoints[want.PublicKey]; e != nil {
		if ap, numeric := e.AddrPort(); !numeric || ap != have.Endpoint {
			c.Endpoint = e
		}
	}
	c.AllowedIPs = d.allowedIPs(want, have)
	changed = !exists || c.PresharedKey != nil || c.PersistentKeepalive != nil ||
		c.Endpoint != nil || len(c.AllowedIPs) > 0
	return c, changed
}

// allowedIPs returns what to add to a peer, and what to remove that no other
// peer takes over.
func (d *differ) allowedIPs(want, have *Peer) (list []AllowedIP) {
	has := make(map[netip.Prefix]bool, len(have.AllowedIPs))
	for _, ip := range have.AllowedIPs {
		has[ip] = true
		if _, taken := d.owner[ip]; !taken {
			list = append(list, AllowedIP{Prefix: ip, Remove: true})
		}
	}
	for _, ip := range want.AllowedIPs {
		if !has[ip] {
			list = append(list, AllowedIP{Prefix: ip})
		}
	}
	return list
}
