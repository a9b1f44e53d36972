package conf

import (
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/key"
)

// Device is the state of one WireGuard interface: what `wg show` prints and
// what a get of UAPI or netlink carries.
type Device struct {
	Name       string
	PrivateKey key.Private // zero: none
	PublicKey  key.Public  // zero: none
	ListenPort uint16      // 0: not chosen yet
	FwMark     uint32      // 0: off
	Peers      []Peer      // in the order of creation
}

// Peer is the state of one peer of a Device.
type Peer struct {
	PublicKey           key.Public
	PresharedKey        key.Preshared  // zero: none
	Endpoint            netip.AddrPort // invalid: not known
	LastHandshake       time.Time      // zero: never
	RxBytes, TxBytes    uint64         // UDP payload bytes
	PersistentKeepalive uint16         // seconds, 0: off
	AllowedIPs          []netip.Prefix // masked, in the order of insertion
}

// Change is one change of a device, applied whole or not at all: what a set of
// UAPI or netlink carries. A nil pointer leaves the field as it is.
type Change struct {
	PrivateKey   *key.Private // zero value: remove
	ListenPort   *uint16      // 0: choose at random
	FwMark       *uint32      // 0: off
	ReplacePeers bool         // remove all peers first
	Peers        []PeerChange // applied in order; a key may occur more than once
}

// PeerChange creates, changes or removes one peer.
type PeerChange struct {
	PublicKey           key.Public
	Remove              bool // everything below is ignored
	UpdateOnly          bool // do nothing unless the peer exists
	PresharedKey        *key.Preshared
	Endpoint            *Endpoint
	PersistentKeepalive *uint16 // seconds, 0: off
	ReplaceAllowedIPs   bool
	AllowedIPs          []AllowedIP // applied in order
}

// AllowedIP adds a prefix to a peer, taking it from any other peer that has
// it, or removes it if it belongs to the peer.
type AllowedIP struct {
	Prefix netip.Prefix // masked
	Remove bool
}

// Endpoint is a host and a port as configured. This package never resolves
// names: a Change that reaches a device has only numeric endpoints.
type Endpoint struct {
	Host string // IPv4, IPv6 (with zone if need be, no brackets) or a name
	Port string // number or service name
}
