package offload

import (
	"encoding/binary"

	"github.com/warrenvpn/warren/internal/ippkt"
	"github.com/warrenvpn/warren/packet"
)

const (
	openTrains = 8    // flows that a Joiner follows at a time
	maxParts   = 256  // packets in one super-packet; writev takes 1024 slices
	maxUDP     = 64   // of UDP: more are refused, [K] virtio_net.h, UDP_MAX_SEGMENTS
	maxPackets = 4096 // that a Joiner holds
)

// Joiner makes super-packets of the packets of a receive. Add the packets in
// the order they came in, then Flush. Between flows, a packet may overtake
// others; inside a flow, the order stays. A Joiner belongs to one goroutine.
//
// What is joined is such that cutting it gives the same packets again, byte by
// byte, as long as their checksums were right. The one liberty: packets that
// must not be fragmented and that all carry the same identification come out
// with rising ones, which for them has no meaning (RFC 6864 4.1).
type Joiner struct {
	tcp, udp bool
	limit    int

	packets []joined
	trains  []train
	open    [openTrains]int32 // indices of trains that may still grow, -1 for none
	recent  int               // index in open of the last one that grew
	victim  int               // index in open of the next one to give up
	parts   [][]byte          // scratch of Flush
}

// joined is one packet, and the next one of its train.
type joined struct {
	bytes []byte
	next  int32
}

// train is a packet, or several that are to become one.
type train struct {
	first, last int32 // in packets
	count       int
	length      int // of the whole as one IP packet
	proto       uint8
	version     uint8
	headers     int    // bytes of IP and transport header of every packet
	segment     int    // payload of every packet but the last
	seq         uint32 // TCP: of the next packet
	id          uint16 // IPv4: of the last packet
	step        uint16 // IPv4: by which identifications rise
	flags       byte   // TCP flags of all
}

// NewJoiner returns a Joiner that joins TCP, but not UDP, up to the largest IP
// packet there can be.
func NewJoiner() *Joiner {
	j := &Joiner{}
	j.Allow(true, false, 0)
	j.closeAll()
	return j
}

// Allow sets which protocols are joined, and the largest IP packet that is
// made; 0 means as large as there can be. The limit is to stay below the
// gso_max_size of an interface to which the packets may be forwarded, which
// would else cut every one of them.
func (j *Joiner) Allow(tcp, udp bool, limit int) {
	if limit <= 0 || limit > packet.MaxSuper {
		limit = packet.MaxSuper
	}
	j.tcp, j.udp, j.limit = tcp, udp, limit
}

// Len returns the number of packets waiting for Flush.
func (j *Joiner) Len() int { return len(j.packets) }

// Add takes the IP packet pkt, which is as long as its header says, and
// borrows its bytes until Flush. It reports false, and does not take it, if the
// Joiner is full and has to be flushed first.
//
// hot path
func (j *Joiner) Add(pkt []byte) bool {
	if len(j.packets) >= maxPackets {
		return false
	}
	var f flow
	if !f.classify(pkt) {
		if f.barrier {
			j.closeAll()
		}
		j.append(pkt)
		return true
	}
	slot := j.find(pkt, &f)
	if slot >= 0 {
		t := &j.trains[j.open[slot]]
		if f.joinable && t.fits(pkt, &f, j.packets[t.first].bytes, j.limit) {
			j.extend(t, slot, pkt, &f)
			return true
		}
		j.open[slot] = -1
	}
	index := j.append(pkt)
	if f.joinable && (f.proto == ippkt.ProtoTCP && j.tcp || f.proto == ippkt.ProtoUDP && j.udp) {
		j.start(index, slot, pkt, &f)
	}
	return true
}

// flow is what classify finds.
type flow struct {
	version  uint8
	proto    uint8
	joinable bool // may be part of a train
	barrier  bool // belongs to a flow that cannot be told: nothing may overtake it
	closing  bool // may only be the last of a train
	ip       int  // length of the IP header
	headers  int  // of all headers
}

// classify finds out whether pkt belongs to a flow of TCP or UDP, and whether
// it may be joined. Packets with IPv4 options or IPv6 extension headers have
// no flow here and go out as they are.
//
// hot path
func (f *flow) classify(pkt []byte) bool {
	f.barrier = true
	switch {
	case len(pkt) < ippkt.IPv4Size+ippkt.UDPSize:
		return false
	case pkt[0] == 0x45:
		f.version, f.proto, f.ip = 4, pkt[9], ippkt.IPv4Size
		if binary.BigEndian.Uint16(pkt[6:])&0x3fff != 0 {
			return false
		}
		f.joinable = int(binary.BigEndian.Uint16(pkt[2:])) == len(pkt) && pkt[6]&0x80 == 0
	case pkt[0]>>4 == 6 && len(pkt) >= ippkt.IPv6Size+ippkt.UDPSize:
		f.version, f.proto, f.ip = 6, pkt[6], ippkt.IPv6Size
		f.joinable = ippkt.IPv6Size+int(binary.BigEndian.Uint16(pkt[4:])) == len(pkt)
	default:
		return false // with IPv4 options, for example
	}
	switch f.proto {
	case ippkt.ProtoTCP:
		return f.classifyTCP(pkt)
	case ippkt.ProtoUDP:
		th := pkt[f.ip : f.ip+ippkt.UDPSize]
		f.headers = f.ip + ippkt.UDPSize
		f.joinable = f.joinable && len(pkt) > f.headers &&
			int(binary.BigEndian.Uint16(th[4:])) == len(pkt)-f.ip &&
			binary.BigEndian.Uint16(th[udpCheck:]) != 0
		return true
	case ippkt.ProtoHopByHop, ippkt.ProtoRouting, ippkt.ProtoFragment, ippkt.ProtoAuth, ippkt.ProtoDestination:
		return false // what follows may be TCP or UDP
	}
	f.barrier = false
	return false
}

// hot path
func (f *flow) classifyTCP(pkt []byte) bool {
	if len(pkt) < f.ip+ippkt.TCPSize {
		return false
	}
	th := pkt[f.ip : f.ip+ippkt.TCPSize]
	size := int(th[12]>>4) * 4
	f.headers = f.ip + size
	flags := th[13]
	f.closing = flags&(flagPSH|flagFIN) != 0
	f.joinable = f.joinable && size >= ippkt.TCPSize && len(pkt) > f.headers &&
		flags&(flagSYN|flagRST|flagURG|flagCWR|flagACK) == flagACK
	return true
}

// find returns the slot of the open train of pkt's flow, or -1.
//
// hot path
func (j *Joiner) find(pkt []byte, f *flow) int {
	if i := j.open[j.recent]; i >= 0 && j.sameFlow(&j.trains[i], pkt, f) {
		return j.recent
	}
	for slot, i := range j.open {
		if i >= 0 && slot != j.recent && j.sameFlow(&j.trains[i], pkt, f) {
			return slot
		}
	}
	return -1
}

// sameFlow compares addresses, protocol and ports.
//
// hot path
func (j *Joiner) sameFlow(t *train, pkt []byte, f *flow) bool {
	if t.version != f.version || t.proto != f.proto {
		return false
	}
	first := j.packets[t.first].bytes
	if f.version == 4 {
		a, b := first[12:24], pkt[12:24]
		return word(a) == word(b) && half(a[8:]) == half(b[8:])
	}
	a, b := first[8:44], pkt[8:44]
	return word(a) == word(b) && word(a[8:]) == word(b[8:]) && word(a[16:]) == word(b[16:]) &&
		word(a[24:]) == word(b[24:]) && half(a[32:]) == half(b[32:])
}

func word(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
func half(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

// fits reports whether pkt, of the same flow as the train that begins with
// first, can be its next packet.
//
// hot path
func (t *train) fits(pkt []byte, f *flow, first []byte, limit int) bool {
	payload := len(pkt) - f.headers
	if f.headers != t.headers || payload > t.segment || t.length+payload > limit {
		return false
	}
	if t.count >= maxUDP && (t.count >= maxParts || f.proto == ippkt.ProtoUDP) {
		return false
	}
	if f.version == 4 {
		// Version, size and TOS; fragment bits; TTL. The rest was compared or varies.
		if first[1] != pkt[1] || first[6] != pkt[6] || first[8] != pkt[8] || !t.nextID(pkt) {
			return false
		}
	} else if half(first) != half(pkt) || first[7] != pkt[7] {
		return false // version, traffic class and flow label; hop limit
	}
	if f.proto == ippkt.ProtoUDP {
		return true
	}
	return t.nextTCP(pkt[f.ip:f.headers], first[f.ip:f.headers])
}

// nextID reports whether the IPv4 identification of pkt follows: one more
// each, or always the same where fragmentation is forbidden.
//
// hot path
func (t *train) nextID(pkt []byte) bool {
	step := binary.BigEndian.Uint16(pkt[4:]) - t.id
	if t.count > 1 {
		return step == t.step
	}
	return step == 1 || step == 0 && pkt[6]&0x40 != 0
}

// nextTCP compares TCP headers: the sequence number follows, the checksum does
// not matter, PSH and FIN end a train, and all else is the same.
//
// hot path
func (t *train) nextTCP(th, first []byte) bool {
	if binary.BigEndian.Uint32(th[4:]) != t.seq || half(th[8:]) != half(first[8:]) || th[12] != first[12] ||
		th[13]&^(flagPSH|flagFIN) != first[13]&^(flagPSH|flagFIN) ||
		binary.LittleEndian.Uint16(th[14:]) != binary.LittleEndian.Uint16(first[14:]) ||
		binary.LittleEndian.Uint16(th[18:]) != binary.LittleEndian.Uint16(first[18:]) {
		return false
	}
	a, b := th[ippkt.TCPSize:], first[ippkt.TCPSize:]
	for len(a) >= 4 && len(b) >= 4 {
		if half(a) != half(b) {
			return false
		}
		a, b = a[4:], b[4:]
	}
	return true
}

// append adds a train of one packet and returns its index.
//
// hot path
func (j *Joiner) append(pkt []byte) int32 {
	at := int32(len(j.packets))
	j.packets = append(j.packets, joined{bytes: pkt, next: -1})
	j.trains = append(j.trains, train{first: at, last: at, count: 1})
	return int32(len(j.trains) - 1)
}

// start opens the train at index for more, in slot or, if that is -1, in
// another one.
//
// hot path
func (j *Joiner) start(index int32, slot int, pkt []byte, f *flow) {
	if f.closing {
		return
	}
	if slot < 0 {
		slot = j.victim
		j.victim = (j.victim + 1) % openTrains
	}
	j.open[slot], j.recent = index, slot
	t := &j.trains[index]
	t.version, t.proto, t.headers = f.version, f.proto, f.headers
	t.length = len(pkt)
	t.segment = len(pkt) - f.headers
	if f.version == 4 {
		t.id = binary.BigEndian.Uint16(pkt[4:])
	}
	if f.proto == ippkt.ProtoTCP {
		t.seq = binary.BigEndian.Uint32(pkt[f.ip+4:]) + uint32(t.segment)
		t.flags = pkt[f.ip+13]
	}
}

// extend makes pkt the last packet of t.
//
// hot path
func (j *Joiner) extend(t *train, slot int, pkt []byte, f *flow) {
	payload := len(pkt) - f.headers
	at := int32(len(j.packets))
	j.packets = append(j.packets, joined{bytes: pkt, next: -1})
	j.packets[t.last].next = at
	t.last = at
	t.count++
	t.length += payload
	t.seq += uint32(payload)
	if f.version == 4 {
		id := binary.BigEndian.Uint16(pkt[4:])
		t.id, t.step = id, id-t.id
	}
	if f.proto == ippkt.ProtoTCP {
		t.flags |= pkt[f.ip+13]
	}
	j.recent = slot
	if payload < t.segment || f.closing {
		j.open[slot] = -1
	}
}

func (j *Joiner) closeAll() {
	for i := range j.open {
		j.open[i] = -1
	}
}

// Flush hands over everything that was added: each packet as the list of
// slices it consists of, which write does not keep. All are tried; the first
// error is returned. Afterwards the Joiner is empty.
//
// hot path
func (j *Joiner) Flush(write func(o packet.Offload, parts [][]byte) error) error {
	var first error
	for i := range j.trains {
		t := &j.trains[i]
		head := j.packets[t.first].bytes
		j.parts = append(j.parts[:0], head)
		var o packet.Offload
		if t.count > 1 {
			o = t.seal(head)
			for at := j.packets[t.first].next; at >= 0; at = j.packets[at].next {
				j.parts = append(j.parts, j.packets[at].bytes[t.headers:])
			}
		}
		if err := write(o, j.parts); err != nil && first == nil {
			first = err
		}
	}
	j.packets = j.packets[:0]
	j.trains = j.trains[:0]
	j.closeAll()
	return first
}

// seal patches the headers of the first packet to be those of the whole train.
// The transport checksum becomes the pseudo-header's sum, to be completed.
//
// hot path
func (t *train) seal(b []byte) packet.Offload {
	o := packet.Offload{NeedsCsum: true, Segment: uint16(t.segment)}
	ip := ippkt.IPv6Size
	if t.version == 4 {
		ip = ippkt.IPv4Size
		was := binary.BigEndian.Uint16(b[2:])
		binary.BigEndian.PutUint16(b[10:], ippkt.Update(binary.BigEndian.Uint16(b[10:]), was, uint16(t.length)))
		binary.BigEndian.PutUint16(b[2:], uint16(t.length))
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(t.length-ippkt.IPv6Size))
	}
	size := uint16(t.length - ip)
	addresses := b[8:ip]
	if t.version == 4 {
		addresses = b[12:ip]
	}
	sum := ippkt.Sum(addresses).Add16(uint16(t.proto)).Add16(size).Fold()
	o.CsumStart = uint16(ip)
	if t.proto == ippkt.ProtoUDP {
		o.Kind, o.CsumOffset = packet.UDP, udpCheck
		binary.BigEndian.PutUint16(b[ip+4:], size)
		binary.BigEndian.PutUint16(b[ip+udpCheck:], sum)
		return o
	}
	o.Kind, o.CsumOffset = packet.TCP6, tcpCheck
	if t.version == 4 {
		o.Kind = packet.TCP4
	}
	b[ip+13] = t.flags
	binary.BigEndian.PutUint16(b[ip+tcpCheck:], sum)
	return o
}
