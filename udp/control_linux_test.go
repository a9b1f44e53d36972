package udp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// control returns the ancillary data that a header points to.
func control(m *message) []byte { return unsafe.Slice(m.Control, int(m.Controllen)) }

type item struct {
	level, kind int32
	data        []byte
}

// items reads ancillary data by the standard library, as a second opinion.
func items(b []byte) []item {
	all, err := syscall.ParseSocketControlMessage(b)
	if err != nil {
		return nil
	}
	var out []item
	for _, m := range all {
		out = append(out, item{m.Header.Level, m.Header.Type, m.Data})
	}
	return out
}

func TestSentControlIsWhatTheKernelReads(t *testing.T) { // B13, on 32 and 64 bits
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	b := make([]byte, 0, sendControlLen)
	b = appendSource(b, four)
	b = appendTOS(b, false, 0x88)
	b = appendHopLimit(b, false, 7)
	b = appendSegment(b, 1452)
	check := func(want ...item) {
		t.Helper()
		got := items(b)
		if len(got) != len(want) {
			t.Fatalf("%d items, want %d", len(got), len(want))
		}
		for i := range want {
			if got[i].level != want[i].level || got[i].kind != want[i].kind || !bytes.Equal(got[i].data, want[i].data) {
				t.Errorf("item %d: %v, want %v", i, got[i], want[i])
			}
		}
	}
	native32 := func(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
	native16 := func(v uint16) []byte { return binary.NativeEndian.AppendUint16(nil, v) }
	check(item{unix.IPPROTO_IP, unix.IP_PKTINFO, append([]byte{0, 0, 0, 0, 192, 0, 2, 1}, 0, 0, 0, 0)},
		item{unix.IPPROTO_IP, unix.IP_TOS, native32(0x88)},
		item{unix.IPPROTO_IP, unix.IP_TTL, native32(7)},
		item{unix.IPPROTO_UDP, unix.UDP_SEGMENT, native16(1452)})
	b = appendSource(b[:0], six)
	b = appendTOS(b, true, 3)
	b = appendHopLimit(b, true, 255)
	b = appendSegment(b, 40000)
	address := six.As16()
	check(item{unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, append(address[:], 0, 0, 0, 0)},
		item{unix.IPPROTO_IPV6, unix.IPV6_TCLASS, native32(3)},
		item{unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, native32(255)},
		item{unix.IPPROTO_UDP, unix.UDP_SEGMENT, native16(40000)})
}

func TestSocketAddresses(t *testing.T) {
	var s sockaddr
	for _, want := range []string{"192.0.2.1:51820", "[2001:db8::1]:1", "[fe80::1]:65535"} {
		ap := netip.MustParseAddrPort(want)
		s.set(ap.Addr(), ap.Port(), 7)
		got, scope := s.addrPort()
		if got != ap || ap.Addr().Is6() && scope != 7 {
			t.Errorf("got %v scope %d, want %v", got, scope, want)
		}
	}
	s = sockaddr{}
	if got, _ := s.addrPort(); got.IsValid() {
		t.Errorf("no family gave %v", got)
	}
}

// FuzzControl (Z08, B12, B13): the parser ends, stays inside, and agrees with
// the standard library on whatever that accepts.
func FuzzControl(f *testing.F) {
	b := make([]byte, 0, receiveControlLen)
	b = appendSource(b, netip.MustParseAddr("192.0.2.1"))
	b = appendTOS(b, false, 1)
	b, data := appendItem(b, unix.IPPROTO_UDP, unix.UDP_GRO, 4)
	binary.NativeEndian.PutUint32(data, 1452)
	f.Add(bytes.Clone(b))
	b = appendSource(b[:0], netip.MustParseAddr("2001:db8::1"))
	b = appendTOS(b, true, 255)
	f.Add(bytes.Clone(b))
	f.Add(b[:len(b)-1])
	f.Add([]byte{16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		got := parseControl(b)
		all, err := syscall.ParseSocketControlMessage(b)
		if err != nil {
			return
		}
		var want received
		for _, m := range all {
			want.item(m.Header.Level, m.Header.Type, m.Data)
		}
		if got != want {
			t.Errorf("got %+v, want %+v from % x", got, want, b)
		}
	})
}

// FuzzNetlink: what the kernel reports is read without going astray, too.
func FuzzNetlink(f *testing.F) {
	msg := appendHeader(nil, unix.RTM_NEWROUTE, 0, 1)
	msg = appendRoute(msg, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), 1)
	msg = appendAttribute(msg, unix.RTA_OIF, []byte{1, 0, 0, 0})
	finishMessage(msg)
	f.Add(msg)
	f.Add(msg[:len(msg)-3])
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &routes{events: -1, queries: -1, links: make(map[int32]link), addresses: make(map[netip.Addr][]int32)}
		eachMessage(b, func(m netlinkMessage) { r.handle(m) })
		outInterface(b, 1)
		eachMessage(b, func(m netlinkMessage) {
			m.kind = unix.RTM_NEWADDR
			r.handle(m)
			m.kind = unix.RTM_NEWLINK
			r.handle(m)
		})
	})
}
