package wgnl

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
)

// messageHeader is the size of what precedes a payload in a netlink message.
const messageHeader = 16

// MinMessage is the least size of messages that SetRequests can do with: a peer
// with all fields and one allowed IP fits whatever came before it.
const MinMessage = 512

// SetRequests returns the payloads of the messages that make a change, each of
// which fits with its header into limit bytes. They must be sent in order, each
// acknowledged before the next, up to the first error. A payload is valid until
// the next one is asked for; then it is overwritten, as it may hold secrets.
//
// A change that has no form here is refused before the first message: a name
// that is none, an endpoint that is not numeric or whose zone is not a number,
// an invalid prefix.
func SetRequests(name string, c *conf.Change, limit int) (iter.Seq[[]byte], error) {
	if limit < MinMessage {
		panic(fmt.Sprintf("wgnl: messages of %d bytes, want at least %d", limit, MinMessage))
	}
	if err := check(name, c); err != nil {
		return nil, err
	}
	return func(yield func([]byte) bool) {
		s := setter{name: name, room: limit - messageHeader, yield: yield}
		s.w.b = make([]byte, 0, s.room)
		s.change(c)
		clear(s.w.b[:cap(s.w.b)])
	}, nil
}

// NameFits reports whether a text can be the name of an interface here. The
// kernel would cut it off at a zero byte, and so might find another one.
func NameFits(name string) bool { return len(name) <= 15 && !strings.Contains(name, "\x00") }

func check(name string, c *conf.Change) error {
	if !NameFits(name) {
		return fmt.Errorf("%q is no name of an interface", name)
	}
	for i := range c.Peers {
		p := &c.Peers[i]
		if p.Remove {
			continue
		}
		if p.Endpoint != nil {
			if _, err := sockaddr(*p.Endpoint); err != nil {
				return err
			}
		}
		for _, ip := range p.AllowedIPs {
			if !ip.Prefix.IsValid() || ip.Prefix.Addr().Zone() != "" {
				return fmt.Errorf("allowed IP %v of peer %v is no prefix", ip.Prefix, p.PublicKey)
			}
		}
	}
	return nil
}

// setter writes one message after the other.
type setter struct {
	name    string
	room    int // bytes of a payload
	yield   func([]byte) bool
	stopped bool

	w     writer
	peers int // where the list of peers begins; 0: not yet in this message
}

func (s *setter) change(c *conf.Change) {
	s.begin()
	// The fields of the interface, and the flag, are in the first message only:
	// repeated, the flag would remove the peers of the messages before.
	if c.ReplacePeers {
		s.w.u32(deviceFlags, deviceReplacePeers)
	}
	if c.PrivateKey != nil {
		s.w.bytes(devicePrivateKey, c.PrivateKey.RevealBytes()[:])
	}
	if c.ListenPort != nil {
		s.w.u16(deviceListenPort, *c.ListenPort)
	}
	if c.FwMark != nil {
		s.w.u32(deviceFwMark, *c.FwMark)
	}
	for i := range c.Peers {
		if s.peer(&c.Peers[i]); s.stopped {
			return
		}
	}
	s.send()
}

func (s *setter) begin() {
	clear(s.w.b[:cap(s.w.b)])
	s.w.b = append(s.w.b[:0], cmdSet, familyVersion, 0, 0)
	s.w.text(deviceIfName, s.name)
	s.peers = 0
}

func (s *setter) send() {
	if s.peers > 0 {
		s.w.close(s.peers)
	}
	s.stopped = s.stopped || !s.yield(s.w.b)
}

// fits reports whether n more bytes have room.
func (s *setter) fits(n int) bool { return len(s.w.b)+n <= s.room }

// peer writes a peer, whole or in fragments. A peer that does not even fit
// without its allowed IPs begins in a new message.
func (s *setter) peer(c *conf.PeerChange) {
	fields := first(c)
	var ips []conf.AllowedIP
	if !c.Remove {
		ips = c.AllowedIPs
	}
	for {
		// The first peer of a message always fits: see MinMessage.
		if s.peers > 0 && !s.fits(attrHeader+len(fields)) {
			if s.send(); s.stopped {
				return
			}
			s.begin()
		}
		if s.peers == 0 {
			s.peers = s.w.open(devicePeers)
		}
		at := s.w.open(0)
		s.w.b = append(s.w.b, fields...)
		clear(fields)
		ips = s.allowedIPs(ips)
		s.w.close(at)
		if len(ips) == 0 {
			return
		}
		if s.send(); s.stopped {
			return
		}
		s.begin()
		fields = next(c)
	}
}

// first returns the fields of a peer's first fragment.
func first(c *conf.PeerChange) []byte {
	w := writer{make([]byte, 0, 128)} // enough, so that no copy of a key is left behind
	w.bytes(peerPublicKey, c.PublicKey[:])
	if c.Remove {
		w.u32(peerFlags, peerRemove)
		return w.b
	}
	if c.PresharedKey != nil {
		w.bytes(peerPresharedKey, c.PresharedKey.RevealBytes()[:])
	}
	var flags uint32
	if c.ReplaceAllowedIPs {
		flags |= peerReplaceAllowedIPs
	}
	if c.UpdateOnly {
		flags |= peerUpdateOnly
	}
	if flags != 0 {
		w.u32(peerFlags, flags)
	}
	if c.Endpoint != nil {
		addr, _ := sockaddr(*c.Endpoint) // it was checked
		w.bytes(peerEndpoint, addr)
	}
	if c.PersistentKeepalive != nil {
		w.u16(peerKeepalive, *c.PersistentKeepalive)
	}
	return w.b
}

// next returns the fields of a peer's further fragments. One that may only be
// changed must not be made by them either.
func next(c *conf.PeerChange) []byte {
	var w writer
	w.bytes(peerPublicKey, c.PublicKey[:])
	if c.UpdateOnly {
		w.u32(peerFlags, peerUpdateOnly)
	}
	return w.b
}

// allowedIPs writes as many as fit and returns the rest.
func (s *setter) allowedIPs(ips []conf.AllowedIP) []conf.AllowedIP {
	if len(ips) == 0 || !s.fits(attrHeader+sizeofAllowedIP(ips[0])) {
		return ips
	}
	at := s.w.open(peerAllowedIPs)
	for len(ips) > 0 && s.fits(sizeofAllowedIP(ips[0])) {
		s.allowedIP(ips[0])
		ips = ips[1:]
	}
	s.w.close(at)
	return ips
}

// sizeofAllowedIP counts the nest, family, address, length and flags.
func sizeofAllowedIP(ip conf.AllowedIP) int {
	n := attrHeader + 8 + attrHeader + ip.Prefix.Addr().BitLen()/8 + 8
	if ip.Remove {
		n += 8
	}
	return n
}

func (s *setter) allowedIP(ip conf.AllowedIP) {
	at := s.w.open(0)
	p := ip.Prefix.Masked()
	family := uint16(afInet6)
	if p.Addr().Is4() {
		family = afInet
	}
	s.w.u16(ipFamily, family)
	s.w.bytes(ipAddress, p.Addr().AsSlice())
	s.w.u8(ipBits, uint8(p.Bits()))
	// Kernels that do not know the flags refuse the attribute, or worse, overlook
	// it: only what needs it has it.
	if ip.Remove {
		s.w.u32(ipFlags, ipRemove)
	}
	s.w.close(at)
}

// sockaddr returns an endpoint as a struct sockaddr_in or sockaddr_in6.
func sockaddr(e conf.Endpoint) ([]byte, error) {
	ap, ok := e.AddrPort()
	if !ok {
		return nil, fmt.Errorf("endpoint %q is not numeric", e.Text())
	}
	a := ap.Addr()
	if a.Is4() {
		b := native.AppendUint16(make([]byte, 0, sizeofSockaddr4), afInet)
		b = binary.BigEndian.AppendUint16(b, ap.Port())
		return append(b, append(a.AsSlice(), make([]byte, 8)...)...), nil
	}
	var zone uint64
	if a.Zone() != "" {
		var err error
		if zone, err = strconv.ParseUint(a.Zone(), 10, 32); err != nil {
			return nil, fmt.Errorf("endpoint %q: the zone is not the number of an interface", e.Text())
		}
	}
	b := native.AppendUint16(make([]byte, 0, sizeofSockaddr6), afInet6)
	b = binary.BigEndian.AppendUint16(b, ap.Port())
	b = native.AppendUint32(b, 0) // flow information
	b = append(b, a.AsSlice()...)
	return native.AppendUint32(b, uint32(zone)), nil
}

// Removes reports whether a change takes single prefixes from peers, for which
// not every kernel has a form.
func Removes(c *conf.Change) bool {
	return slices.ContainsFunc(c.Peers, func(p conf.PeerChange) bool { return removes(&p) })
}

func removes(p *conf.PeerChange) bool {
	return !p.Remove && slices.ContainsFunc(p.AllowedIPs, func(ip conf.AllowedIP) bool { return ip.Remove })
}

// WithoutRemovals returns a change that does the same to an interface that has
// no peers, or loses them by it, but takes no prefixes from anybody: whatever
// could be taken is given by this change itself. own is the interface's public
// key.
func WithoutRemovals(c *conf.Change, own key.Public) conf.Change {
	d := conf.Device{PublicKey: own}
	d.Apply(&conf.Change{PrivateKey: c.PrivateKey, Peers: c.Peers})
	out := *c
	out.Peers = make([]conf.PeerChange, 0, len(d.Peers))
	for i := range d.Peers {
		out.Peers = append(out.Peers, made(&d.Peers[i]))
	}
	return out
}

// made is the change that makes a peer.
func made(p *conf.Peer) conf.PeerChange {
	c := conf.PeerChange{PublicKey: p.PublicKey}
	if !p.PresharedKey.IsZero() {
		c.PresharedKey = &p.PresharedKey
	}
	if p.Endpoint.IsValid() {
		e := conf.NumericEndpoint(p.Endpoint)
		c.Endpoint = &e
	}
	if p.PersistentKeepalive != 0 {
		c.PersistentKeepalive = &p.PersistentKeepalive
	}
	for _, ip := range p.AllowedIPs {
		c.AllowedIPs = append(c.AllowedIPs, conf.AllowedIP{Prefix: ip})
	}
	return c
}
