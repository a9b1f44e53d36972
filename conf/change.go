package conf

import (
	"fmt"
	"iter"
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
	synced := make([]PeerChange, 0, len(c.Peers))
	for p := range SyncPeers(have, ch.All()) {
		synced = append(synced, *p)
	}
	ch.Peers = synced
	return ch, nil
}

// SyncPeers returns the changes of peers that Sync makes of those given, without
// keeping them in memory: first the removal of each peer of have that is not
// given, then what is given, with what it does not give cleared. Both are valid
// as long as they are with peers, which is gone through twice. If either side
// has no peers there is nothing to keep, and Set is the change.
func SyncPeers(have *Device, peers iter.Seq[*PeerChange]) iter.Seq[*PeerChange] {
	running := make(map[key.Public]int32, len(have.Peers))
	for i := range have.Peers {
		running[have.Peers[i].PublicKey] = int32(i)
	}
	return func(yield func(*PeerChange) bool) {
		given := make([]bool, len(have.Peers))
		for p := range peers {
			if i, ok := running[p.PublicKey]; ok {
				given[i] = true
			}
		}
		for i := range have.Peers {
			if !given[i] && !yield(&PeerChange{PublicKey: have.Peers[i].PublicKey, Remove: true}) {
				return
			}
		}
		for p := range peers {
			c := *p
			if i, ok := running[p.PublicKey]; ok {
				c.clearMissing(&have.Peers[i])
			}
			if !yield(&c) {
				return
			}
		}
	}
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
