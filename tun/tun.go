// Package tun opens the layer-3 interfaces that a device reads plain packets
// from and writes them to.
//
// A Device has one or more queues. Each is read by one goroutine at a time and
// may be written by several. On Linux a read brings a super-packet of up to 64
// KiB and a write takes one, as a list of slices: segmentation is the kernel's
// work, or that of package offload where the kernel cannot do it. What a kernel
// cannot do is found out when the device is opened, and again when a write is
// refused; it is never an error.
//
// The package does not configure addresses or routes and never brings a link
// up: it reports what others do with the link. On other systems than Linux the
// constructors return errors.ErrUnsupported.
//
//	dev, err := tun.Create("wg%d", tun.Config{MTU: 1420, Offload: true})
//	...
//	defer dev.Close()
//	for ev := range dev.Events() { ... }
//
// Device implements the TUN of package device. Its descriptors are closed on
// exec; FDs and Files give them to another process on purpose.
package tun

import "github.com/warrenvpn/warren/packet"

// Config says how an interface is to be made or taken over. The zero Config
// gives one queue without offload and changes nothing about the link.
type Config struct {
	// MTU is set if it is not 0.
	MTU int
	// Queues is the number of packet queues, 1 if 0. FromFDs ignores it.
	Queues int
	// Offload asks for checksum and segmentation offload. As much of it is
	// switched on as the kernel has; Caps tells how much that is.
	Offload bool
	// GSOMaxSize is the size that the system's super-packets on this link stay
	// below, in bytes: 0 chooses, a negative number leaves it alone.
	//
	// A little smaller than 64 KiB, a super-packet with the tunnel's overhead
	// still fits one segmented send. But a larger one that is forwarded into
	// the link is cut into single packets, which is a cliff for gateways. So
	// what is chosen is GSOSizeHost while the network namespace of the link
	// forwards nothing, and GSOSizeGateway from the moment it does.
	GSOMaxSize int
	// TxQueueLen is the number of packets, super-packets included, that the
	// system queues for us; 0 leaves the kernel's default of 500.
	TxQueueLen int
}

// What is chosen for Config.GSOMaxSize.
const (
	GSOSizeHost    = 61612 // 45 TCP segments at MTU 1420: as many messages as one send takes
	GSOSizeGateway = 65536
)

// Caps is what a device can do, as far as is known by now.
type Caps struct {
	Checksum  bool // may read packets with unfinished checksums, and takes them
	TCP       bool // takes TCP super-packets
	UDP       bool // takes UDP super-packets
	Queues    int
	JoinLimit int // largest super-packet worth writing
}

// Queue is one packet queue; see there for what its methods promise.
type Queue = packet.Queue
