package netlab

import (
	"net/netip"
	"time"
)

// Options describe a lab.
type Options struct {
	// Name says what the lab is for; List reports it.
	Name string
	// Path is put in front of PATH for everything that runs in a host.
	Path []string
}

// Port is one end of a cable: an interface of a host.
type Port struct {
	Host      *Host
	Name      string         // of the interface
	Addresses []netip.Prefix // with host bits: 203.0.113.2/24
	// Bridge joins the interface to this bridge of the host, made by
	// Host.Bridge. It then has no addresses.
	Bridge string
	// MTU is that of the interface, 0 for the usual 1500.
	MTU int
}

// PortPolicy is how a NAT chooses the outer source port of a new flow.
type PortPolicy uint8

// The port policies.
const (
	// KeepPorts keeps the inner source port where it is free, so the mapping
	// does not depend on the destination: such a NAT can be crossed by two
	// hosts that send to each other's well-known port.
	KeepPorts PortPolicy = iota
	// RandomPorts takes a random port for every flow, so the mapping differs
	// from destination to destination ("symmetric" NAT).
	RandomPorts
)

// NAT describes the masquerading router in front of a home, for both address
// families. Packets from outside that belong to no flow are dropped, whether
// for the router itself or for a host behind it.
type NAT struct {
	Outside  string // the interface to the internet
	Ports    PortPolicy
	Forwards []Forward
	// UDPTimeout is how long a UDP mapping lives without packets; 0 leaves
	// the kernel's 30 s, and 120 s once both sides have sent.
	UDPTimeout time.Duration
}

// Forward is a static UDP port map: what arrives outside on Port goes to To.
type Forward struct {
	Port uint16
	To   netip.AddrPort
}

// Info describes a lab found on the machine.
type Info struct {
	ID    string // names it for Remove
	Name  string // Options.Name
	Alive bool   // its owner still runs
	Kept  bool   // Keep was called
	Hosts []HostInfo
}

// HostInfo describes a host of a lab found on the machine.
type HostInfo struct {
	Name string `json:"name"`
	PID  int    `json:"pid"` // of its first process, seen from outside
	// Start is the start time of that process in clock ticks since boot, so
	// that a reused process id is not mistaken for it.
	Start uint64 `json:"start"`
}
