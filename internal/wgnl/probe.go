package wgnl

import "github.com/warrenvpn/warren/key"

// Whether a kernel can remove single prefixes is asked by two requests that
// change nothing, because they cannot be carried out: they end with an address
// of one byte, which every kernel finds out of range (ERANGE). What comes before
// it decides whether a kernel gets there.
//
//	                               ProbeFlags   ProbeUnknown
//	Linux 6.16 and later           ERANGE       EINVAL
//	5.2 to 6.15: no such flags     EINVAL
//	before: unknown is overlooked  ERANGE       ERANGE
//
// The last kind would add what it should remove. Allowed IPs are only looked at
// if the peer exists, and the requests do not create it; without it they succeed
// and tell nothing. (Kernels that check a message before they begin answer for
// any peer.)

// ProbeFlags asks whether allowed IPs have flags.
func ProbeFlags(name string, peer key.Public) []byte { return probe(name, peer, ipFlags) }

// ProbeUnknown asks whether attributes that do not exist are refused.
func ProbeUnknown(name string, peer key.Public) []byte { return probe(name, peer, unknownAttr) }

func probe(name string, peer key.Public, kind uint16) []byte {
	w := writer{[]byte{cmdSet, familyVersion, 0, 0}}
	w.text(deviceIfName, name)
	peers := w.open(devicePeers)
	at := w.open(0)
	w.bytes(peerPublicKey, peer[:])
	w.u32(peerFlags, peerUpdateOnly)
	ips := w.open(peerAllowedIPs)
	ip := w.open(0)
	w.u32(kind, ipRemove)
	w.u16(ipFamily, afInet)
	w.bytes(ipAddress, []byte{0})
	w.u8(ipBits, 32)
	w.close(ip)
	w.close(ips)
	w.close(at)
	w.close(peers)
	return w.b
}
