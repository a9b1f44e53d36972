package udp

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/packet"
)

func newRoutes() *routes {
	return &routes{
		events: -1, queries: -1, self: 77, mark: new(atomic.Uint32), scratch: make([]byte, 4096),
		links: make(map[int32]link), addresses: make(map[netip.Addr][]int32), complete: true,
	}
}

// linkMessage reports an interface: its flags, and its name.
func linkMessage(kind uint16, index int32, flags uint32, name string) netlinkMessage {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	b = appendAttribute(b, unix.IFLA_MTU, []byte{1, 2, 3, 4})
	return netlinkMessage{kind: kind, body: appendAttribute(b, unix.IFLA_IFNAME, []byte(name))}
}

func addressMessage(kind uint16, index int32, address string, flags uint32) netlinkMessage {
	b := make([]byte, unix.SizeofIfAddrmsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	b = appendAttribute(b, unix.IFA_FLAGS, binary.NativeEndian.AppendUint32(nil, flags))
	b = appendAttribute(b, unix.IFA_ADDRESS, netip.MustParseAddr(address).AsSlice())
	return netlinkMessage{kind: kind, body: b}
}

func routeMessage(kind uint16, routeType byte, flags uint32) netlinkMessage {
	b := make([]byte, unix.SizeofRtMsg)
	b[7] = routeType
	binary.NativeEndian.PutUint32(b[8:], flags)
	return netlinkMessage{kind: kind, body: b}
}

// Much is reported that moves no route: it must not put the sources of all
// peers to the test.
func TestWhichReportsCount(t *testing.T) {
	const up = unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP
	r := newRoutes()
	bridge := linkMessage(unix.RTM_NEWLINK, 2, 0, "eth0")
	bridge.body[0] = unix.AF_BRIDGE
	answer := addressMessage(unix.RTM_NEWADDR, 9, "192.0.2.9", 0)
	answer.to = r.self
	for i, c := range []struct {
		name string
		m    netlinkMessage
		want bool
	}{
		{"new link", linkMessage(unix.RTM_NEWLINK, 2, up, "eth0"), true},
		{"same again", linkMessage(unix.RTM_NEWLINK, 2, up, "eth0"), false},
		{"promiscuous", linkMessage(unix.RTM_NEWLINK, 2, up|unix.IFF_PROMISC, "eth0"), false},
		{"bridge port", bridge, false},
		{"no carrier", linkMessage(unix.RTM_NEWLINK, 2, unix.IFF_UP, "eth0"), true},
		{"renamed", linkMessage(unix.RTM_NEWLINK, 2, unix.IFF_UP, "eth1"), true},
		{"deleted", linkMessage(unix.RTM_DELLINK, 2, 0, "eth1"), true},
		{"tentative address", addressMessage(unix.RTM_NEWADDR, 2, "2001:db8::1", unix.IFA_F_TENTATIVE), false},
		{"its check is over", addressMessage(unix.RTM_NEWADDR, 2, "2001:db8::1", 0), true},
		{"renewed by the router", addressMessage(unix.RTM_NEWADDR, 2, "2001:db8::1", 0), false},
		{"on another link too", addressMessage(unix.RTM_NEWADDR, 3, "2001:db8::1", 0), true},
		{"gone", addressMessage(unix.RTM_DELADDR, 2, "2001:db8::1", 0), true},
		{"found to be a duplicate", addressMessage(unix.RTM_NEWADDR, 3, "2001:db8::1", unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED), true},
		{"gone before it counted", addressMessage(unix.RTM_DELADDR, 3, "2001:db8::1", 0), false},
		{"answer to a question", answer, false},
		{"route", routeMessage(unix.RTM_NEWROUTE, unix.RTN_UNICAST, 0), true},
		{"blackhole", routeMessage(unix.RTM_DELROUTE, unix.RTN_BLACKHOLE, 0), true},
		{"cached route", routeMessage(unix.RTM_NEWROUTE, unix.RTN_UNICAST, unix.RTM_F_CLONED), false},
		{"local route", routeMessage(unix.RTM_NEWROUTE, unix.RTN_LOCAL, 0), false},
		{"rule", netlinkMessage{kind: unix.RTM_NEWRULE}, true},
		{"neighbour", netlinkMessage{kind: unix.RTM_NEWNEIGH}, false},
		{"cut off", netlinkMessage{kind: unix.RTM_NEWLINK, body: make([]byte, 3)}, false},
	} {
		if got := r.handle(c.m); got != c.want {
			t.Errorf("%d %s: counts = %v, want %v", i, c.name, got, c.want)
		}
	}
	if !r.isOn(netip.MustParseAddr("192.0.2.9"), 9) || r.exists(netip.MustParseAddr("2001:db8::1")) {
		t.Error("the addresses are not what was reported")
	}
}

// Without netlink, and where the table is full, a source is used in the epoch
// in which it was learnt.
func TestSourcesByEpochAlone(t *testing.T) {
	var s sources
	s.epoch.Store(5)
	e := &packet.Endpoint{Remote: netip.MustParseAddrPort("192.0.2.1:1"), Local: netip.MustParseAddr("192.0.2.2"), Epoch: 5}
	if !s.usable(e) {
		t.Error("a source of this epoch is refused")
	}
	s.advance()
	if s.usable(e) {
		t.Error("a source of an older epoch is used")
	}
	e.Epoch = 6
	s.routes = newRoutes() // which can answer nothing
	other := &sourceAnswer{remote: netip.MustParseAddr("192.0.2.77"), local: e.Local, epoch: 6}
	s.slots[slotOf(e.Remote.Addr(), e.Local)].Store(other)
	if !s.usable(e) {
		t.Error("refused because its slot is taken")
	}
	s.advance()
	if s.usable(e) {
		t.Error("used though there is no route")
	}
}

func TestSlotsAreSpread(t *testing.T) {
	used := make(map[uint64]int)
	local := netip.MustParseAddr("192.0.2.2")
	a := netip.MustParseAddr("10.0.0.0")
	for range 4 * sourceSlots {
		used[slotOf(a, local)]++
		a = a.Next()
	}
	for slot, n := range used {
		if n > 40 {
			t.Errorf("slot %d is shared by %d of %d pairs", slot, n, 4*sourceSlots)
		}
	}
	if len(used) < sourceSlots*3/4 {
		t.Errorf("%d slots used of %d", len(used), sourceSlots)
	}
}
