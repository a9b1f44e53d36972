package wgnl

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
)

// GetRequest asks for the state of an interface, as a dump.
func GetRequest(name string) []byte {
	w := writer{[]byte{cmdGet, familyVersion, 0, 0}}
	w.text(deviceIfName, name)
	return w.b
}

// Dump puts the messages of one dump together. The zero value is empty. After an
// error, or when the kernel says that the dump was interrupted, it is of no use.
type Dump struct {
	d     conf.Device
	count int
}

// Add reads the next message. Compat 3.3.2: only the first one has the fields of
// the interface, and a peer whose allowed IPs did not fit is continued at the
// start of the next one by its key and more of them.
func (d *Dump) Add(m []byte) error {
	if len(m) < genericHeader || m[0] != cmdGet {
		return malformed("a message of %d bytes is no part of a dump", len(m))
	}
	d.count++
	return attributes(m[genericHeader:], d.device)
}

// Device returns the state, and an error if there was no message.
func (d *Dump) Device() (conf.Device, error) {
	if d.count == 0 {
		return conf.Device{}, malformed("a dump without messages")
	}
	return d.d, nil
}

// Clear erases the keys.
func (d *Dump) Clear() {
	d.d.PrivateKey.Clear()
	for i := range d.d.Peers {
		d.d.Peers[i].PresharedKey.Clear()
	}
}

func (d *Dump) device(kind uint16, v []byte) (err error) {
	switch kind {
	case deviceIfName:
		d.d.Name = text(v)
	case devicePrivateKey:
		if err = sized("the private key", v, key.Size); err == nil {
			d.d.PrivateKey = key.NewPrivate([key.Size]byte(v))
		}
	case devicePublicKey:
		if err = sized("the public key", v, key.Size); err == nil {
			d.d.PublicKey = key.Public(v)
		}
	case deviceListenPort:
		if err = sized("the port", v, 2); err == nil {
			d.d.ListenPort = native.Uint16(v)
		}
	case deviceFwMark:
		if err = sized("the mark", v, 4); err == nil {
			d.d.FwMark = native.Uint32(v)
		}
	case devicePeers:
		return elements(v, func(_ uint16, v []byte) error { return d.peer(v) })
	}
	return err
}

// peer reads one peer, or more of the last one.
func (d *Dump) peer(b []byte) error {
	var k key.Public
	err := attributes(b, func(kind uint16, v []byte) error {
		if kind != peerPublicKey {
			return nil
		}
		k = key.Public{}
		copy(k[:], v)
		return sized("the public key of a peer", v, key.Size)
	})
	if err != nil {
		return err
	}
	if n := len(d.d.Peers); n == 0 || d.d.Peers[n-1].PublicKey != k {
		d.d.Peers = append(d.d.Peers, conf.Peer{PublicKey: k})
	}
	p := &d.d.Peers[len(d.d.Peers)-1]
	found := false
	err = attributes(b, func(kind uint16, v []byte) error {
		found = found || kind == peerPublicKey
		return peerField(p, kind, v)
	})
	if err == nil && !found {
		err = malformed("a peer without a public key")
	}
	return err
}

func peerField(p *conf.Peer, kind uint16, v []byte) (err error) {
	switch kind {
	case peerPresharedKey:
		if err = sized("a preshared key", v, key.Size); err == nil {
			p.PresharedKey = key.NewPreshared([key.Size]byte(v))
		}
	case peerEndpoint:
		if ap, ok := endpointOf(v); ok {
			p.Endpoint = ap
		}
	case peerKeepalive:
		if err = sized("a keepalive", v, 2); err == nil {
			p.PersistentKeepalive = native.Uint16(v)
		}
	case peerLastHandshake:
		if err = sized("a handshake time", v, 16); err == nil {
			p.LastHandshake = timeOf(v)
		}
	case peerRxBytes:
		if err = sized("a counter", v, 8); err == nil {
			p.RxBytes = native.Uint64(v)
		}
	case peerTxBytes:
		if err = sized("a counter", v, 8); err == nil {
			p.TxBytes = native.Uint64(v)
		}
	case peerAllowedIPs:
		return elements(v, func(_ uint16, v []byte) error {
			ip, err := allowedIP(v)
			p.AllowedIPs = append(p.AllowedIPs, ip)
			return err
		})
	}
	return err
}

// timeOf returns the zero time for a peer that never had a handshake: one in the
// first second of 1970. Both halves have 64 bits on all machines.
func timeOf(v []byte) time.Time {
	sec, nsec := int64(native.Uint64(v)), int64(native.Uint64(v[8:]))
	if sec == 0 {
		return time.Time{}
	}
	return time.Unix(sec, nsec)
}

// endpointOf reads a struct sockaddr_in or sockaddr_in6; there is no other kind
// yet. Family and zone are in the order of the machine, the port is big-endian.
func endpointOf(v []byte) (netip.AddrPort, bool) {
	if len(v) < 4 {
		return netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(v[2:])
	switch family := native.Uint16(v); {
	case family == afInet && len(v) == sizeofSockaddr4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(v[4:8])), port), true
	case family == afInet6 && len(v) == sizeofSockaddr6:
		a := netip.AddrFrom16([16]byte(v[8:24]))
		if zone := native.Uint32(v[24:]); zone != 0 {
			a = a.WithZone(strconv.FormatUint(uint64(zone), 10))
		}
		return netip.AddrPortFrom(a, port), true
	}
	return netip.AddrPort{}, false
}

func allowedIP(b []byte) (netip.Prefix, error) {
	var family uint16
	var addr []byte
	bits := -1
	err := attributes(b, func(kind uint16, v []byte) (err error) {
		switch kind {
		case ipFamily:
			if err = sized("an address family", v, 2); err == nil {
				family = native.Uint16(v)
			}
		case ipAddress:
			addr = slices.Clip(v)
		case ipBits:
			if err = sized("a prefix length", v, 1); err == nil {
				bits = int(v[0])
			}
		}
		return err
	})
	if err != nil {
		return netip.Prefix{}, err
	}
	a, ok := netip.AddrFromSlice(addr)
	if !ok || a.Is4() != (family == afInet) || a.Is6() != (family == afInet6) || bits < 0 || bits > a.BitLen() {
		return netip.Prefix{}, malformed("an allowed IP of family %d has %d bytes and length %d", family, len(addr), bits)
	}
	return netip.PrefixFrom(a, bits), nil
}
