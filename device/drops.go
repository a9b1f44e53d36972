package device

import (
	"sync/atomic"
)

// Drop is a reason for which a packet was not forwarded.
type Drop uint8

// The drop reasons. Their names appear in diagnostics.
const (
	DropMalformed       Drop = iota // not an IP packet, or cut short
	DropNoPeer                      // outgoing: no peer has the destination among its allowed IPs
	DropNoEndpoint                  // outgoing: the peer's address is not known
	DropStageFull                   // outgoing: pushed out by newer packets while waiting for a session
	DropLoop                        // outgoing: our own encrypted packet came back into the tunnel
	DropTooManySegments             // outgoing: an oversized packet would be cut into too many pieces
	DropSend                        // outgoing: the socket refused it
	DropUnknownType                 // incoming: no message of the protocol, or of a wrong size
	DropUnknownIndex                // incoming: no session has this receiver index
	DropExpired                     // incoming: the session is too old
	DropBadTag                      // incoming: authentication failed
	DropReplayed                    // incoming: counter seen before, or too old
	DropBadInner                    // incoming: authenticated, but not an IP packet
	DropNotAllowed                  // incoming: the inner source belongs to another peer or to none
	DropCongestion                  // incoming: inner packet refused by RFC 6040
	DropTUN                         // incoming: the interface refused it
	DropHandshakeFull               // incoming handshake: queue full
	DropBadMAC1                     // incoming handshake: wrong mac1
	DropCookieSent                  // incoming handshake: under load, answered with a cookie
	DropRateLimited                 // incoming handshake: under load, too many from this source
	DropBadHandshake                // incoming handshake: could not be authenticated
	numDrops
)

var dropNames = [numDrops]string{
	DropMalformed: "malformed", DropNoPeer: "no_peer", DropNoEndpoint: "no_endpoint",
	DropStageFull: "stage_full", DropLoop: "routing_loop", DropTooManySegments: "too_many_segments",
	DropSend: "send_failed", DropUnknownType: "unknown_type", DropUnknownIndex: "unknown_index",
	DropExpired: "session_expired", DropBadTag: "bad_tag", DropReplayed: "replayed", DropBadInner: "bad_inner",
	DropNotAllowed: "source_not_allowed", DropCongestion: "congestion", DropTUN: "tun_write_failed",
	DropHandshakeFull: "handshake_queue_full", DropBadMAC1: "bad_mac1", DropCookieSent: "cookie_sent",
	DropRateLimited: "rate_limited", DropBadHandshake: "bad_handshake",
}

// String returns the name used in diagnostics.
func (r Drop) String() string { return dropNames[r] }

// drops counts by reason. One goroutine writes each, any may read.
type drops struct {
	n [numDrops]atomic.Uint64
	_ [64]byte // lanes do not share a cache line
}

func (d *drops) add(r Drop, n int) {
	if n > 0 {
		d.n[r].Add(uint64(n))
	}
}
