package fakekernel

import (
	"encoding/binary"

	"github.com/mdlayher/netlink"
)

// put appends an attribute.
func put(b []byte, typ uint16, v []byte) []byte {
	b = native.AppendUint16(b, uint16(4+len(v)))
	b = native.AppendUint16(b, typ)
	b = append(b, v...)
	return append(b, make([]byte, -len(v)&3)...)
}

// putU64 aligns the number in the message as kernels do where machines want it.
func putU64(b []byte, typ uint16, v uint64) []byte {
	if (16+len(b)+4)%8 != 0 {
		b = put(b, 0, nil)
	}
	return put(b, typ, native.AppendUint64(nil, v))
}

// nestedIn wraps what f appends.
func nestedIn(b []byte, typ uint16, f func([]byte) []byte) []byte {
	at := len(b)
	b = f(native.AppendUint16(native.AppendUint16(b, 0), typ))
	native.PutUint16(b[at:], uint16(len(b)-at))
	return b
}

// nestFlag: kernels before 5.2 send nests without it.
func (k *Kernel) nestFlag() uint16 {
	if k.Era < Linux56 {
		return 0
	}
	return nestedFlag
}

// dump is a get in progress.
type dump struct {
	k          *Kernel
	l          *link
	last       *peer // the last one that is complete
	nextIP     int   // of the peer after it; 0: none of it was sent
	ipsAt      int   // the generation of its list
	generation uint32
	done       bool
}

// part returns the next message of a dump and whether a change came between.
func (d *dump) part() (m netlink.Message) {
	w := d.l.wg
	m.Header = netlink.Header{Type: familyID, Flags: netlink.Multi}
	if d.generation != 0 && d.generation != w.generation {
		m.Header.Flags |= netlink.DumpInterrupted
	}
	d.generation = w.generation
	b := []byte{0, 1, 0, 0}
	if d.last == nil {
		b = put(b, 6, native.AppendUint16(nil, w.port))
		b = put(b, 7, native.AppendUint32(nil, w.mark))
		b = put(b, 1, native.AppendUint32(nil, uint32(d.l.index)))
		b = put(b, 2, append([]byte(d.l.name), 0))
		if w.hasKey {
			b = put(b, 3, w.private[:])
			b = put(b, 4, w.public[:])
		}
	}
	d.done = true
	at := len(b)
	empty := true
	peers := nestedIn(b, 8|d.k.nestFlag(), func(b []byte) []byte {
		for _, p := range d.after() {
			empty = false
			var whole bool
			if b, whole = d.peer(b, p); !whole {
				d.done = false
				break
			}
			d.last, d.nextIP = p, 0
		}
		return b
	})
	if empty {
		peers = peers[:at]
	}
	m.Data = peers
	return m
}

// after returns the peers that are not complete. The last one may be gone: then
// the dump ends, and is interrupted.
func (d *dump) after() []*peer {
	all := d.l.wg.peers
	if d.last == nil {
		return all
	}
	for i, p := range all {
		if p == d.last {
			return all[i+1:]
		}
	}
	return nil
}

// room is what a message may have.
func (d *dump) room() int { return d.k.Page - 16 }

// peer appends a peer, as much of it as fits, or nothing.
func (d *dump) peer(b []byte, p *peer) (out []byte, whole bool) {
	flag := d.k.nestFlag()
	start := len(b)
	whole = true
	fits := true
	out = nestedIn(b, flag, func(b []byte) []byte {
		b = put(b, 1, p.public[:])
		if d.nextIP == 0 {
			b = put(b, 2, p.psk[:])
			b = put(b, 6, native.AppendUint64(native.AppendUint64(nil, uint64(p.sec)), uint64(p.nsec)))
			b = put(b, 5, native.AppendUint16(nil, p.keepalive))
			b = putU64(b, 8, p.tx)
			b = putU64(b, 7, p.rx)
			b = put(b, 10, native.AppendUint32(nil, 1))
			if p.endpoint != nil {
				b = put(b, 4, p.endpoint)
			}
			d.ipsAt = p.ipsGeneration
		}
		if len(p.ips) == 0 || d.ipsAt != p.ipsGeneration {
			return b
		}
		if len(b)+4 > d.room() {
			fits = false
			return b
		}
		return nestedIn(b, 9|flag, func(b []byte) []byte {
			for n := d.nextIP; n < len(p.ips); n++ {
				more := nestedIn(b, flag, func(b []byte) []byte { return putIP(b, p.ips[n]) })
				if len(more) > d.room() {
					d.nextIP, whole = n, false
					return b
				}
				b = more
			}
			return b
		})
	})
	if !fits || len(out) > d.room() {
		d.nextIP = 0
		return out[:start], false
	}
	return out, whole
}

func putIP(b []byte, i ip) []byte {
	size := 16
	if i.family == afInet {
		size = 4
	}
	b = put(b, 3, []byte{i.bits})
	b = put(b, 1, native.AppendUint16(nil, i.family))
	return put(b, 2, i.addr[:size])
}

// putLink describes a link as a dump of links does, as far as anybody looks.
func putLink(l *link) []byte {
	b := make([]byte, 16)
	binary.NativeEndian.PutUint32(b[4:], uint32(l.index))
	b = put(b, 3, append([]byte(l.name), 0))
	b = put(b, 4, native.AppendUint32(nil, 1420))
	if l.kind == "" {
		return b
	}
	return nestedIn(b, 18, func(b []byte) []byte { return put(b, 1, append([]byte(l.kind), 0)) })
}
