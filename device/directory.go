package device

import (
	"hash/maphash"

	"github.com/warrenvpn/warren/key"
)

// directory finds a peer by its public key. The key is in the peer already, so
// only a hash of it is kept here: the map takes half the memory that way. Owned
// by control.
type directory struct {
	hash   func(key.Public) uint64
	first  map[uint64]*peer
	second map[key.Public]*peer // those whose hash another one had first
}

func newDirectory() directory {
	seed := maphash.MakeSeed() // keys may have been chosen by somebody
	return directory{
		hash:   func(k key.Public) uint64 { return maphash.Bytes(seed, k[:]) },
		first:  make(map[uint64]*peer),
		second: make(map[key.Public]*peer),
	}
}

// get returns the peer with a key, or nil.
func (d *directory) get(k key.Public) *peer {
	if p := d.first[d.hash(k)]; p == nil || p.public == k {
		return p
	}
	return d.second[k]
}

// add puts p in. Its key must not be there.
func (d *directory) add(p *peer) {
	h := d.hash(p.public)
	if d.first[h] == nil {
		d.first[h] = p
	} else {
		d.second[p.public] = p
	}
}

// remove takes p out.
func (d *directory) remove(p *peer) {
	h := d.hash(p.public)
	if d.first[h] != p {
		delete(d.second, p.public)
		return
	}
	delete(d.first, h)
	// One that was second to it is looked for in its place now.
	for k, q := range d.second {
		if d.hash(k) == h {
			d.first[h] = q
			delete(d.second, k)
			return
		}
	}
}

func (d *directory) len() int { return len(d.first) + len(d.second) }
