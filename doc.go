// Package warren is the root of a WireGuard implementation in Go. It holds no
// code; this is the map.
//
// What a program embeds:
//
//	key      private, public and preshared keys
//	packet   batches, runs and endpoints: the memory every layer shares
//	conf     the configuration model, and the text forms of it
//	tun      TUN interfaces
//	udp      UDP sockets
//	device   a running WireGuard device made of a TUN and sockets
//	uapi     the cross-platform configuration protocol
//	wgctl    list, read and change any WireGuard interface of this host
//
// The protocol itself is under internal: wire (messages), noise (handshake),
// cookie (mac1, mac2 and load), replay (window), tunnel (the state machine of
// one peer). The command is cmd/warren.
//
// docs/architecture.md follows one packet through all of it, and the README
// names seven files that are enough to understand one packet in each direction.
package warren
