package allowedips

import (
	"iter"
	"net/netip"
	"slices"
)

// List is a list of masked prefixes in the order of insertion, packed: an IPv4
// host takes 5 bytes and an IPv6 network of 64 bits 9, where a netip.Prefix
// takes 32. Devices have millions of them and look at few. The zero value is
// empty. Copies share memory, so only the last one made may be added to.
type List struct {
	// b has for each prefix a byte with its length in bits, of IPv6 the length
	// and wide, and then as many bytes of the address as the length reaches into.
	b []byte
	n int32
}

// wide marks a prefix of IPv6.
const wide = 64

// Len returns the number of prefixes.
func (l *List) Len() int { return int(l.n) }

// Append adds p, which must be valid and masked, at the end.
func (l *List) Append(p netip.Prefix) {
	l.b = appendPacked(l.b, p)
	l.n++
}

// NewList returns the list of prefixes, in memory of just its size.
func NewList(prefixes []netip.Prefix) List {
	size := 0
	for _, p := range prefixes {
		size += PackedSize(p)
	}
	var l List
	l.Grow(size)
	for _, p := range prefixes {
		l.Append(p)
	}
	return l
}

// PackedSize returns how many bytes of a list p takes.
func PackedSize(p netip.Prefix) int { return 1 + addressBytes(p.Bits()) }

// Grow makes room for so many bytes. An empty list gets that room and no more.
func (l *List) Grow(size int) {
	if l.n == 0 && size > 0 {
		l.b = make([]byte, 0, size)
		return
	}
	l.b = slices.Grow(l.b, size)
}

// All goes through the prefixes in order.
func (l *List) All() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for b := l.b; len(b) > 0; {
			p, n := unpack(b)
			if b = b[n:]; !yield(p) {
				return
			}
		}
	}
}

func addressBytes(bits int) int { return (bits + 7) / 8 }

func appendPacked(b []byte, p netip.Prefix) []byte {
	n := addressBytes(p.Bits())
	if p.Addr().Is4() {
		a := p.Addr().As4()
		return append(append(b, byte(p.Bits())), a[:n]...)
	}
	a := p.Addr().As16()
	return append(append(b, wide+byte(p.Bits())), a[:n]...)
}

// unpack returns the first prefix of b and how many bytes it takes.
func unpack(b []byte) (netip.Prefix, int) {
	bits := int(b[0])
	if bits < wide {
		var a [4]byte
		n := 1 + copy(a[:addressBytes(bits)], b[1:])
		return netip.PrefixFrom(netip.AddrFrom4(a), bits), n
	}
	bits -= wide
	var a [16]byte
	n := 1 + copy(a[:addressBytes(bits)], b[1:])
	return netip.PrefixFrom(netip.AddrFrom16(a), bits), n
}
