package fakekernel

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
)

const (
	afInet  = 2
	afInet6 = 10
)

type device struct {
	private, public [32]byte
	hasKey          bool
	port            uint16
	mark            uint32
	peers           []*peer
	owner           map[ip]*peer
	generation      uint32
}

type peer struct {
	public, psk   [32]byte
	endpoint      []byte // as it came
	keepalive     uint16
	sec, nsec     int64
	rx, tx        uint64
	ips           []ip // in the order of their last insertion
	ipsGeneration int
}

type ip struct {
	family uint16
	bits   uint8
	addr   [16]byte // masked
}

func newDevice() *device { return &device{generation: 1, owner: map[ip]*peer{}} }

// setDevice is the set command, in the order of compat 3.3.3.
func (k *Kernel) setDevice(a attrs) syscall.Errno {
	l, errno := k.device(a)
	if errno != 0 {
		return errno
	}
	d := l.wg
	var flags uint32
	if v, ok := a[5]; ok {
		flags = native.Uint32(v)
	}
	if flags&^1 != 0 {
		return syscall.EOPNOTSUPP
	}
	d.generation++
	if v, ok := a[7]; ok {
		d.mark = native.Uint32(v)
	}
	if v, ok := a[6]; ok {
		d.port = native.Uint16(v)
	}
	if flags&1 != 0 {
		d.peers, d.owner = nil, map[ip]*peer{}
	}
	if v, ok := a[3]; ok {
		d.setKey([32]byte(v))
	}
	_, _, peerPolicy, _ := policies(k.Era)
	members(a[8], func(v []byte, nested bool) bool {
		var p attrs
		if p, errno = k.parseNested(v, nested, peerPolicy); errno == 0 {
			errno = k.setPeer(d, p)
		}
		return errno == 0
	})
	return errno
}

func (d *device) setKey(b [32]byte) {
	d.private, d.public, d.hasKey = [32]byte{}, [32]byte{}, false
	if b == [32]byte{} {
		return
	}
	private := key.NewPrivate(b)
	d.private, d.public, d.hasKey = *private.RevealBytes(), private.Public(), true
	d.remove(d.find(d.public))
}

func (d *device) find(public [32]byte) *peer {
	for _, p := range d.peers {
		if p.public == public {
			return p
		}
	}
	return nil
}

func (d *device) remove(p *peer) {
	if p == nil {
		return
	}
	d.disown(p)
	d.peers = slices.DeleteFunc(d.peers, func(q *peer) bool { return q == p })
}

func (d *device) disown(p *peer) {
	for _, i := range p.ips {
		delete(d.owner, i)
	}
	p.ips = nil
	p.ipsGeneration++
}

func (k *Kernel) setPeer(d *device, a attrs) syscall.Errno {
	public, ok := a[1]
	if !ok {
		return syscall.EINVAL
	}
	var flags uint32
	if v, ok := a[3]; ok {
		flags = native.Uint32(v)
	}
	if flags&^7 != 0 {
		return syscall.EOPNOTSUPP
	}
	if v, ok := a[10]; ok && native.Uint32(v) != 1 {
		return syscall.EPFNOSUPPORT
	}
	p := d.find([32]byte(public))
	if p == nil {
		if flags&(1|4) != 0 || d.hasKey && [32]byte(public) == d.public {
			return 0
		}
		p = &peer{public: [32]byte(public)}
		d.peers = append(d.peers, p)
	}
	if flags&1 != 0 {
		d.remove(p)
		return 0
	}
	if v, ok := a[2]; ok {
		p.psk = [32]byte(v)
	}
	if v, ok := a[4]; ok {
		family := native.Uint16(v)
		if family == afInet && len(v) == 16 || family == afInet6 && len(v) == 28 {
			p.endpoint = slices.Clone(v)
		}
	}
	if flags&2 != 0 {
		d.disown(p)
	}
	if errno := k.setIPs(d, p, a[9]); errno != 0 {
		return errno
	}
	if v, ok := a[5]; ok {
		p.keepalive = native.Uint16(v)
	}
	return 0
}

func (k *Kernel) setIPs(d *device, p *peer, list []byte) (errno syscall.Errno) {
	_, _, _, ipPolicy := policies(k.Era)
	members(list, func(v []byte, nested bool) bool {
		var a attrs
		if a, errno = k.parseNested(v, nested, ipPolicy); errno == 0 {
			errno = d.setIP(p, a)
		}
		return errno == 0
	})
	return errno
}

func (d *device) setIP(p *peer, a attrs) syscall.Errno {
	if a[1] == nil || a[2] == nil || a[3] == nil {
		return syscall.EINVAL
	}
	i := ip{family: native.Uint16(a[1]), bits: a[3][0]}
	size := map[uint16]int{afInet: 4, afInet6: 16}[i.family]
	if size == 0 || len(a[2]) != size || int(i.bits) > 8*size {
		return syscall.EINVAL
	}
	copy(i.addr[:], a[2])
	for b := int(i.bits); b < 8*size; b++ {
		i.addr[b/8] &^= 0x80 >> (b % 8)
	}
	owner := d.owner[i]
	if v, ok := a[4]; ok && native.Uint32(v)&1 != 0 {
		if owner == p {
			p.take(i)
			delete(d.owner, i)
		}
		return 0
	}
	if owner != nil {
		owner.take(i)
	}
	d.owner[i] = p
	p.ips = append(p.ips, i)
	p.ipsGeneration++
	return 0
}

func (p *peer) take(i ip) {
	n := slices.Index(p.ips, i)
	p.ips = slices.Delete(p.ips, n, n+1)
	p.ipsGeneration++
}

// state returns the device in the model of the rest of the module.
func (d *device) state() conf.Device {
	s := conf.Device{ListenPort: d.port, FwMark: d.mark}
	if d.hasKey {
		s.PrivateKey, s.PublicKey = key.NewPrivate(d.private), d.public
	}
	for _, p := range d.peers {
		c := conf.Peer{
			PublicKey: p.public, PresharedKey: key.NewPreshared(p.psk), Endpoint: endpoint(p.endpoint),
			RxBytes: p.rx, TxBytes: p.tx, PersistentKeepalive: p.keepalive,
		}
		if p.sec != 0 {
			c.LastHandshake = time.Unix(p.sec, p.nsec)
		}
		for _, i := range p.ips {
			c.AllowedIPs = append(c.AllowedIPs, prefixOf(i))
		}
		s.Peers = append(s.Peers, c)
	}
	return s
}

func endpoint(b []byte) netip.AddrPort {
	if len(b) == 0 {
		return netip.AddrPort{}
	}
	port := binary.BigEndian.Uint16(b[2:])
	if len(b) == 16 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), port)
	}
	a := netip.AddrFrom16([16]byte(b[8:24]))
	if n := native.Uint32(b[24:]); n != 0 {
		a = a.WithZone(strconv.Itoa(int(n)))
	}
	return netip.AddrPortFrom(a, port)
}

// set is the reverse of state.
func (d *device) set(s conf.Device, zone func(string) uint32) {
	d.port, d.mark = s.ListenPort, s.FwMark
	d.setKey(*s.PrivateKey.RevealBytes())
	for i := range s.Peers {
		c := &s.Peers[i]
		p := &peer{public: c.PublicKey, psk: *c.PresharedKey.RevealBytes(), rx: c.RxBytes, tx: c.TxBytes, keepalive: c.PersistentKeepalive}
		if !c.LastHandshake.IsZero() {
			p.sec, p.nsec = c.LastHandshake.Unix(), int64(c.LastHandshake.Nanosecond())
		}
		if a := c.Endpoint.Addr(); a.Is4() {
			p.endpoint = binary.BigEndian.AppendUint16(native.AppendUint16(nil, afInet), c.Endpoint.Port())
			p.endpoint = append(append(p.endpoint, a.AsSlice()...), make([]byte, 8)...)
		} else if a.Is6() {
			p.endpoint = binary.BigEndian.AppendUint16(native.AppendUint16(nil, afInet6), c.Endpoint.Port())
			p.endpoint = append(append(p.endpoint, 0, 0, 0, 0), a.AsSlice()...)
			n := uint32(0)
			if a.Zone() != "" {
				n = zone(a.Zone())
			}
			p.endpoint = native.AppendUint32(p.endpoint, n)
		}
		d.peers = append(d.peers, p)
		for _, x := range c.AllowedIPs {
			i := ip{family: afInet6, bits: uint8(x.Bits())}
			if x.Addr().Is4() {
				i.family = afInet
			}
			copy(i.addr[:], x.Addr().AsSlice())
			d.owner[i] = p
			p.ips = append(p.ips, i)
		}
	}
}
