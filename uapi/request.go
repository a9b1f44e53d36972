package uapi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
)

// Bounds of one request, so that a client cannot use up the memory. A device
// has at most 2^20 peers; a request may remove as many as it adds.
const (
	maxPeerBlocks = 1 << 21
	maxAllowedIPs = 1 << 23
)

var (
	errNoValue    = errors.New("no = in the line")
	errUnknownKey = errors.New("no such key here")
	errNotTrue    = errors.New("want true")
	errTooMuch    = errors.New("too many peers or allowed IPs")
)

// ReadChange reads the lines of a set request, after its operation line, up to
// and including the empty line. A mistake in it is a *RequestError; the rest of
// the request is not read then. A request that is cut off is io.EOF.
func ReadChange(r io.Reader) (*conf.Change, error) {
	l := newLineReader(r)
	defer l.clear()
	c, peers, err := readChange(l)
	if err != nil {
		return nil, err
	}
	defer peers.Clear()
	c.Peers = peers.Unpack()
	return c, nil
}

// readChange is ReadChange, but leaves the peers packed.
func readChange(in *lineReader) (_ *conf.Change, peers *conf.PeerList, err error) {
	p := changeReader{change: &conf.Change{}, peers: &conf.PeerList{}}
	defer func() {
		if err != nil {
			p.peers.Clear()
		}
	}()
	for line := 1; ; line++ {
		text, err := in.next()
		switch {
		case errors.Is(err, errLineTooLong):
			return nil, nil, &RequestError{Line: line, Errno: syscall.EIO, Err: err}
		case err != nil:
			return nil, nil, err
		case len(text) == 0:
			p.endPeer()
			return p.change, p.peers, nil
		}
		k, v, ok := bytes.Cut(text, []byte{'='})
		if !ok {
			return nil, nil, &RequestError{Line: line, Errno: syscall.EPROTO, Err: errNoValue}
		}
		if p.inPeer {
			err = p.peerLine(string(k), v)
		} else {
			err = p.deviceLine(string(k), v)
		}
		if err != nil {
			return nil, nil, &RequestError{Line: line, Key: printable(k), Errno: syscall.EINVAL, Err: err}
		}
	}
}

// changeReader collects the lines of a set.
type changeReader struct {
	change  *conf.Change // but for its peers
	peers   *conf.PeerList
	inPeer  bool
	peer    conf.PeerChange // the block being read, if inPeer
	removed bool            // a remove was seen: the rest of the block is only checked
	ips     int             // allowed IPs so far

	// Memory of the block being read.
	endpoint conf.Endpoint
	list     []conf.AllowedIP
}

func (p *changeReader) deviceLine(k string, v []byte) (err error) {
	c := p.change
	switch k {
	case "private_key":
		var sk key.Private
		sk, err = key.ParsePrivateHex(string(v))
		c.PrivateKey = &sk
	case "listen_port":
		c.ListenPort, err = uint16Value(v)
	case "fwmark":
		var n uint64
		n, err = strconv.ParseUint(string(v), 10, 32)
		mark := uint32(n)
		c.FwMark = &mark
	case "replace_peers":
		c.ReplacePeers = true
		err = wantTrue(v)
	case "public_key":
		err = p.beginPeer(v)
	default:
		err = errUnknownKey
	}
	return err
}

func (p *changeReader) peerLine(k string, v []byte) (err error) {
	c := &p.peer
	switch k {
	case "public_key":
		err = p.beginPeer(v)
	case "update_only":
		c.UpdateOnly = true
		err = wantTrue(v)
	case "remove":
		if err = wantTrue(v); err == nil {
			p.remove()
		}
	case "preshared_key":
		var psk key.Preshared
		psk, err = key.ParsePresharedHex(string(v))
		c.PresharedKey = &psk
	case "endpoint":
		c.Endpoint = &p.endpoint
		p.endpoint, err = endpointValue(v)
	case "persistent_keepalive_interval":
		c.PersistentKeepalive, err = uint16Value(v)
	case "replace_allowed_ips":
		if err = wantTrue(v); err == nil {
			p.replaceAllowedIPs()
		}
	case "allowed_ip":
		err = p.allowedIP(v)
	case "protocol_version":
		if string(v) != "1" {
			err = errors.New("want 1")
		}
	default:
		err = errUnknownKey
	}
	return err
}

func (p *changeReader) beginPeer(v []byte) error {
	p.endPeer()
	pub, err := publicKeyValue(v)
	if err != nil {
		return err
	}
	if p.peers.Len() >= maxPeerBlocks {
		return errTooMuch
	}
	p.inPeer, p.removed = true, false
	p.peer = conf.PeerChange{PublicKey: pub}
	return nil
}

// endPeer adds the block being read to the change.
func (p *changeReader) endPeer() {
	if p.inPeer && !p.removed {
		p.peers.Append(&p.peer)
	}
}

// remove makes the lines so far and a removal two changes: allowed IPs that
// came before it were taken from other peers.
func (p *changeReader) remove() {
	if p.removed {
		return
	}
	if c := p.peer; len(c.AllowedIPs) > 0 {
		p.peers.Append(&conf.PeerChange{PublicKey: c.PublicKey, UpdateOnly: c.UpdateOnly, AllowedIPs: c.AllowedIPs})
	}
	p.peers.Append(&conf.PeerChange{PublicKey: p.peer.PublicKey, Remove: true})
	p.removed = true
}

// replaceAllowedIPs empties the list at this point of the stream. What was
// added before it is dropped again, but was taken from other peers: two changes.
func (p *changeReader) replaceAllowedIPs() {
	c := &p.peer
	if len(c.AllowedIPs) > 0 && !p.removed {
		p.peers.Append(c)
		*c = conf.PeerChange{PublicKey: c.PublicKey, UpdateOnly: c.UpdateOnly}
	}
	c.ReplaceAllowedIPs, c.AllowedIPs = true, nil
}

func (p *changeReader) allowedIP(v []byte) error {
	text, remove := bytes.CutPrefix(v, []byte{'-'})
	prefix, err := prefixValue(string(text))
	if err != nil {
		return err
	}
	if p.ips++; p.ips > maxAllowedIPs {
		return errTooMuch
	}
	if !p.removed {
		if len(p.peer.AllowedIPs) == 0 {
			p.peer.AllowedIPs = p.list[:0]
		}
		p.peer.AllowedIPs = append(p.peer.AllowedIPs, conf.AllowedIP{Prefix: prefix, Remove: remove})
		p.list = p.peer.AllowedIPs
	}
	return nil
}

func wantTrue(v []byte) error {
	if string(v) != "true" {
		return errNotTrue
	}
	return nil
}

func uint16Value(v []byte) (*uint16, error) {
	n, err := strconv.ParseUint(string(v), 10, 16)
	if err != nil {
		return nil, err
	}
	u := uint16(n)
	return &u, nil
}

// prefixValue reads an address and a length, and masks the address.
func prefixValue(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return p.Masked(), nil
}

// publicKeyValue reads a public key. That is no secret, so it need not take the
// same time for every key, and be slow.
func publicKeyValue(v []byte) (pub key.Public, err error) {
	if len(v) == 2*key.Size {
		if _, err := hex.Decode(pub[:], v); err == nil {
			return pub, nil
		}
	}
	return key.ParsePublicHex(string(v))
}

// endpointValue reads a numeric endpoint. An IPv4-mapped address is left as it
// is: that is for the device.
func endpointValue(v []byte) (conf.Endpoint, error) {
	ap, err := netip.ParseAddrPort(string(v))
	if err != nil {
		return conf.Endpoint{}, err
	}
	return conf.NumericEndpoint(ap), nil
}

// printable shortens a key of unknown origin for an error text.
func printable(k []byte) string {
	const limit = 40
	if len(k) > limit {
		k = k[:limit]
	}
	return fmt.Sprintf("%q", k)
}
