package fakekernel

import (
	"fmt"
	"net/netip"
	"sync"
	"syscall"
	"testing"

	"github.com/mdlayher/netlink"

	"github.com/warrenvpn/warren/conf"
)

// Era is how a kernel treats requests.
type Era int

// The eras, oldest first.
const (
	// Linux44 is a kernel with the module built outside of it: unknown
	// attributes are overlooked, and nests need no flag.
	Linux44 Era = iota
	// Linux56 is strict and knows no flags of allowed IPs.
	Linux56
	// Linux616 knows them.
	Linux616
	// Linux700 checks a whole message before it does anything.
	Linux700
)

// String returns the version.
func (e Era) String() string { return [...]string{"4.4", "5.6", "6.16", "7.0"}[e] }

// Eras are all of them.
var Eras = []Era{Linux44, Linux56, Linux616, Linux700}

// ebadr is EBADR, which other systems do not have.
const ebadr = syscall.Errno(53)

// familyID is arbitrary, as in a kernel.
const familyID = 0x1d

// Kernel answers requests. The exported fields are set before the first.
type Kernel struct {
	Era Era
	// Page is the size of one datagram of a dump.
	Page int
	// NoFamily takes WireGuard away.
	NoFamily bool
	// Denied is a caller without CAP_NET_ADMIN.
	Denied bool
	// BetweenParts, if set, runs before each part of a dump but the first.
	BetweenParts func(k *Kernel)
	// Spoil, if set, may change an answer before it is delivered.
	Spoil func(m *netlink.Message)
	// FailSet is the number of the set that fails with ENOMEM, counted from 1.
	FailSet int

	mu       sync.Mutex
	links    []*link   // guarded by mu
	requests []Request // guarded by mu
	sets     int       // guarded by mu
	open     int       // guarded by mu
}

// Request is a request that was made.
type Request struct {
	Type    uint16
	Command uint8  // of generic netlink
	Data    []byte // with the header of generic netlink
	Length  int    // with the header of netlink
}

type link struct {
	index      int
	name, kind string
	wg         *device // nil: of another kind
}

// New returns a kernel that has a loopback interface.
func New(e Era) *Kernel {
	return &Kernel{Era: e, Page: 3776, links: []*link{{index: 1, name: "lo"}}}
}

// Dial is wgctl.Client.Dial.
func (k *Kernel) Dial(protocol int, _ *netlink.Config) (*netlink.Conn, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open++
	return netlink.NewConn(&socket{k: k, protocol: protocol, pid: 4711}, 4711), nil
}

// AddLink adds an interface of any kind.
func (k *Kernel) AddLink(name, kind string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := &link{index: len(k.links) + 1, name: name, kind: kind}
	if kind == "wireguard" {
		l.wg = newDevice()
	}
	k.links = append(k.links, l)
}

// AddWireGuard adds an interface that can be configured.
func (k *Kernel) AddWireGuard(name string) { k.AddLink(name, "wireguard") }

// Touch is what a change by somebody else does to dumps in progress.
func (k *Kernel) Touch(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.find(name).wg.generation++
}

// Device returns the state of an interface. Zones of endpoints are numbers.
func (k *Kernel) Device(name string) conf.Device {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.find(name).wg.state()
	d.Name = name
	return d
}

// SetDevice sets the state of an interface, counters and times included. Names
// of zones are looked up.
func (k *Kernel) SetDevice(name string, d conf.Device) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := newDevice()
	w.set(d, func(zone string) uint32 { return uint32(k.find(zone).index) })
	k.find(name).wg = w
}

// Requests returns what was asked since the last call.
func (k *Kernel) Requests() []Request {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.requests
	k.requests = nil
	return r
}

// CheckClosed fails a test that left sockets open.
func (k *Kernel) CheckClosed(t *testing.T) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open != 0 {
		t.Errorf("%d netlink sockets are still open", k.open)
	}
}

// find returns a link by name. A test that names one that is not there is wrong.
func (k *Kernel) find(name string) *link {
	l := k.lookup(func(l *link) bool { return l.name == name })
	if l == nil {
		panic(fmt.Sprintf("fakekernel: no link %q", name))
	}
	return l
}

func (k *Kernel) lookup(is func(*link) bool) *link {
	for _, l := range k.links {
		if is(l) {
			return l
		}
	}
	return nil
}

// device finds what a request is about.
func (k *Kernel) device(a attrs) (*link, syscall.Errno) {
	index, byIndex := a[1]
	name, byName := a[2]
	if byIndex == byName {
		return nil, ebadr
	}
	l := k.lookup(func(l *link) bool {
		return byIndex && l.index == int(native.Uint32(index)) || byName && l.name == cString(name)
	})
	switch {
	case l == nil:
		return nil, syscall.ENODEV
	case l.wg == nil:
		return nil, syscall.EOPNOTSUPP
	}
	return l, 0
}

func prefixOf(i ip) netip.Prefix {
	if i.family == afInet {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(i.addr[:4])), int(i.bits))
	}
	return netip.PrefixFrom(netip.AddrFrom16(i.addr), int(i.bits))
}
