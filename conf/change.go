package conf

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/warrenvpn/warren/key"
)

// Service looks up the number of a UDP service. It is called only for names.
type Service func(name string) (uint16, error)

// Add returns the change that adds c to a device: `wg addconf`. What c does not
// give stays, but the allowed IPs of its peers are replaced.
func (c *Config) Add(service Service) (Change, error) {
	ch := Change{PrivateKey: c.PrivateKey, FwMark: c.FwMark, Peers: c.Peers}
	if c.ListenPort == "" {
		return ch, nil
	}
	n, err := strconv.ParseUint(c.ListenPort, 10, 16)
	if err != nil {
		if service == nil {
			return Change{}, fmt.Errorf("listen port %q is not a number", c.ListenPort)
		}
		s, err := service(c.ListenPort)
		if err != nil {
			return Change{}, fmt.Errorf("listen port %q: %w", c.ListenPort, err)
		}
		n = uint64(s)
	}
	port := uint16(n)
	ch.ListenPort = &port
	return ch, nil
}

// Set returns the change that makes c all there is: `wg setconf`. What c does
// not give is cleared.
func (c *Config) Set(service Service) (Change, error) {
	ch, err := c.Add(service)
	if err != nil {
		return ch, err
	}
	ch.clearRest()
	ch.ReplacePeers = true
	return ch, nil
}

// clearRest clears the fields of the interface that are not given.
func (ch *Change) clearRest() {
	if ch.PrivateKey == nil {
		ch.PrivateKey = new(key.Private)
	}
	if ch.ListenPort == nil {
		ch.ListenPort = new(uint16)
	}
	if ch.FwMark == nil {
		ch.FwMark = new(uint32)
	}
}

// Sync returns the change of `wg syncconf`: as Set, but peers that stay keep
// their sessions. It is not the least change: see Diff.
func (c *Config) Sync(have *Device, service Service) (Change, error) {
	ch, err := c.Set(service)
	if err != nil || len(c.Peers) == 0 || len(have.Peers) == 0 {
		return ch, err
	}
	ch.ReplacePeers = false
	given := make(map[key.Public]bool, len(c.Peers))
	for i := range c.Peers {
		given[c.Peers[i].PublicKey] = true
	}
	var gone []PeerChange
	running := make(map[key.Public]*Peer, len(have.Peers))
	for i := range have.Peers {
		p := &have.Peers[i]
		running[p.PublicKey] = p
		if !given[p.PublicKey] {
			gone = append(gone, PeerChange{PublicKey: p.PublicKey, Remove: true})
		}
	}
	peers := slices.Clone(c.Peers)
	for i := range peers {
		if p := running[peers[i].PublicKey]; p != nil {
			peers[i].clearMissing(p)
		}
	}
	ch.Peers = append(gone, peers...)
	return ch, nil
}

// clearMissing clears what the running peer has and the change does not give.
func (c *PeerChange) clearMissing(p *Peer) {
	if c.PresharedKey == nil && !p.PresharedKey.IsZero() {
		c.PresharedKey = new(key.Preshared)
	}
	if c.PersistentKeepalive == nil && p.PersistentKeepalive != 0 {
		c.PersistentKeepalive = new(uint16)
	}
}
