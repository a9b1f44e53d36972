package quick

// The sizes that decide about the MTU of a tunnel, in bytes.
const (
	// Overhead is what a tunnel adds to a packet at most: IPv6 and UDP headers,
	// the header and the tag of a message ([W] 5.4.6), wherever the endpoint is.
	Overhead = 40 + 8 + 16 + 16
	// UsualMTU is that of a path of which nothing is known.
	UsualMTU = 1500
	// MinMTU6 is the least that IPv6 works with (RFC 8200, 5): the kernel takes
	// IPv6 off an interface that has less.
	MinMTU6 = 1280
)

// AutoMTU chooses the MTU of a tunnel whose configuration gives none: room for
// a tunnel packet on the smallest of the paths to the endpoints, or on the
// default route when there is no such path. A path of 0 bytes is unknown. With
// ipv6, the result is never less than MinMTU6; then raised is true, and large
// packets will be fragmented outside the tunnel.
func AutoMTU(paths []int, defaultPath int, ipv6 bool) (mtu int, raised bool) {
	least := 0
	for _, p := range paths {
		if p > 0 && (least == 0 || p < least) {
			least = p
		}
	}
	if least == 0 {
		least = defaultPath
	}
	if least <= 0 {
		least = UsualMTU
	}
	mtu = least - Overhead
	if ipv6 && mtu < MinMTU6 {
		return MinMTU6, true
	}
	return max(mtu, 1), false
}
