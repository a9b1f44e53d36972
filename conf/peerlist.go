package conf

import (
	"encoding/binary"
	"iter"
	"net/netip"

	"github.com/warrenvpn/warren/internal/slab"
	"github.com/warrenvpn/warren/key"
)

// PeerList is a list of changes of peers, packed: where a PeerChange with two
// allowed IPs and an endpoint takes 250 bytes, this takes 70, none of which the
// garbage collector looks at. It is for lists of very many, which are gone
// through from begin to end. The zero value is empty. It holds secrets: its owner
// calls Clear.
type PeerList struct {
	chunks [][]byte
	n      int
}

// chunkSize is how much memory is allocated together, unless one peer needs more.
const chunkSize = 64 << 10

// What a packed peer has, as bits of its first byte.
const (
	packedRemove = 1 << iota
	packedUpdateOnly
	packedReplace
	packedPreshared
	packedEndpoint
	packedKeepalive
)

// What a packed prefix is, as bits of its first byte.
const (
	packedSix = 1 << iota
	packedTake
)

// Len returns the number of changes.
func (l *PeerList) Len() int { return l.n }

// Append adds a copy of c, whose prefixes must be valid and masked.
func (l *PeerList) Append(c *PeerChange) {
	size := 1 + 3*binary.MaxVarintLen64 + len(c.PublicKey) + key.Size + 2 + len(c.AllowedIPs)*(2+16)
	if c.Endpoint != nil {
		size += len(c.Endpoint.Host) + len(c.Endpoint.Port)
	}
	last := len(l.chunks) - 1
	if last < 0 || cap(l.chunks[last])-len(l.chunks[last]) < size {
		l.chunks = append(l.chunks, make([]byte, 0, max(size, chunkSize)))
		last++
	}
	l.chunks[last] = pack(l.chunks[last], c)
	l.n++
}

// All goes through the changes in order. Each is valid until the next one, and
// what it points to too: a caller that keeps one clones it.
func (l *PeerList) All() iter.Seq[*PeerChange] {
	return func(yield func(*PeerChange) bool) {
		var u unpacked
		defer u.psk.Clear()
		for _, b := range l.chunks {
			for len(b) > 0 {
				b = u.unpack(b)
				if !yield(&u.peer) {
					return
				}
			}
		}
	}
}

// Unpack returns the changes.
func (l *PeerList) Unpack() []PeerChange {
	if l.n == 0 {
		return nil
	}
	var lists slab.Slab[AllowedIP]
	var endpoints slab.Slab[Endpoint]
	out := make([]PeerChange, 0, l.n)
	for p := range l.All() {
		c := *p
		if c.AllowedIPs = nil; len(p.AllowedIPs) > 0 {
			c.AllowedIPs = lists.Keep(append(lists.Begin(), p.AllowedIPs...))
		}
		if p.Endpoint != nil {
			c.Endpoint = endpoints.One()
			*c.Endpoint = *p.Endpoint
		}
		if p.PresharedKey != nil {
			psk := key.NewPreshared(*p.PresharedKey.RevealBytes())
			c.PresharedKey = &psk
		}
		if p.PersistentKeepalive != nil {
			c.PersistentKeepalive = new(uint16)
			*c.PersistentKeepalive = *p.PersistentKeepalive
		}
		out = append(out, c)
	}
	return out
}

// Clear empties the list and overwrites its memory.
func (l *PeerList) Clear() {
	for _, b := range l.chunks {
		clear(b)
	}
	l.chunks, l.n = nil, 0
}

func pack(b []byte, c *PeerChange) []byte {
	at := len(b)
	b = append(b, 0)
	b = append(b, c.PublicKey[:]...)
	has := func(bit byte, yes bool) bool {
		if yes {
			b[at] |= bit
		}
		return yes
	}
	has(packedRemove, c.Remove)
	has(packedUpdateOnly, c.UpdateOnly)
	has(packedReplace, c.ReplaceAllowedIPs)
	if has(packedPreshared, c.PresharedKey != nil) {
		b = append(b, c.PresharedKey.RevealBytes()[:]...)
	}
	if has(packedEndpoint, c.Endpoint != nil) {
		b = binary.AppendUvarint(b, uint64(len(c.Endpoint.Host)))
		b = binary.AppendUvarint(b, uint64(len(c.Endpoint.Port)))
		b = append(append(b, c.Endpoint.Host...), c.Endpoint.Port...)
	}
	if has(packedKeepalive, c.PersistentKeepalive != nil) {
		b = binary.BigEndian.AppendUint16(b, *c.PersistentKeepalive)
	}
	b = binary.AppendUvarint(b, uint64(len(c.AllowedIPs)))
	for i := range c.AllowedIPs {
		b = packAllowedIP(b, &c.AllowedIPs[i])
	}
	return b
}

func packAllowedIP(b []byte, ip *AllowedIP) []byte {
	kind, bits := byte(0), ip.Prefix.Bits()
	if ip.Remove {
		kind = packedTake
	}
	n := (bits + 7) / 8
	if ip.Prefix.Addr().Is4() {
		a := ip.Prefix.Addr().As4()
		return append(append(b, kind, byte(bits)), a[:n]...)
	}
	a := ip.Prefix.Addr().As16()
	return append(append(b, kind|packedSix, byte(bits)), a[:n]...)
}

// unpacked is a change and the memory it points to.
type unpacked struct {
	peer      PeerChange
	psk       key.Preshared
	endpoint  Endpoint
	keepalive uint16
}

// unpack reads one change and returns what follows it.
func (u *unpacked) unpack(b []byte) []byte {
	has := b[0]
	c := &u.peer
	*c = PeerChange{
		PublicKey: key.Public(b[1:]),
		Remove:    has&packedRemove != 0, UpdateOnly: has&packedUpdateOnly != 0,
		ReplaceAllowedIPs: has&packedReplace != 0, AllowedIPs: c.AllowedIPs[:0],
	}
	b = b[1+len(c.PublicKey):]
	if has&packedPreshared != 0 {
		u.psk = key.NewPreshared([key.Size]byte(b))
		c.PresharedKey = &u.psk
		b = b[key.Size:]
	}
	if has&packedEndpoint != 0 {
		var host, port int
		host, b = uvarint(b)
		port, b = uvarint(b)
		s := string(b[:host+port])
		u.endpoint = Endpoint{Host: s[:host], Port: s[host:]}
		c.Endpoint = &u.endpoint
		b = b[host+port:]
	}
	if has&packedKeepalive != 0 {
		u.keepalive = binary.BigEndian.Uint16(b)
		c.PersistentKeepalive = &u.keepalive
		b = b[2:]
	}
	n, b := uvarint(b)
	for range n {
		b = u.unpackAllowedIP(b)
	}
	return b
}

func (u *unpacked) unpackAllowedIP(b []byte) []byte {
	kind, bits := b[0], int(b[1])
	b = b[2:]
	n := (bits + 7) / 8
	var a netip.Addr
	if kind&packedSix == 0 {
		var octets [4]byte
		copy(octets[:], b[:n])
		a = netip.AddrFrom4(octets)
	} else {
		var octets [16]byte
		copy(octets[:], b[:n])
		a = netip.AddrFrom16(octets)
	}
	u.peer.AllowedIPs = append(u.peer.AllowedIPs, AllowedIP{Prefix: netip.PrefixFrom(a, bits), Remove: kind&packedTake != 0})
	return b[n:]
}

func uvarint(b []byte) (int, []byte) {
	v, n := binary.Uvarint(b)
	return int(v), b[n:]
}

// All goes through the changes of peers in order.
func (ch *Change) All() iter.Seq[*PeerChange] {
	return func(yield func(*PeerChange) bool) {
		for i := range ch.Peers {
			if !yield(&ch.Peers[i]) {
				return
			}
		}
	}
}
