package tun

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func linkMessage(typ uint16, index int32, flags uint32, attrs []byte) []byte {
	body := append(ifinfo(index, unix.AF_UNSPEC), attrs...)
	native.PutUint32(body[8:], flags)
	b := native.AppendUint32(nil, uint32(16+len(body)))
	b = native.AppendUint16(b, typ)
	b = append(b, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0)
	return append(b, body...)
}

func TestParseLink(t *testing.T) {
	attrs := appendAttr(nil, unix.IFLA_IFNAME, []byte("wg0\x00"))
	attrs = append(attrs, appendAttr32(nil, unix.IFLA_MTU, 1420)...)
	attrs = append(attrs, appendAttr(nil, unix.IFLA_LINKINFO, appendAttr(nil, unix.IFLA_INFO_KIND, []byte("tun\x00")))...)
	b := append(linkMessage(unix.RTM_NEWLINK, 7, unix.IFF_UP, attrs), linkMessage(unix.RTM_DELLINK, 8, 0, nil)...)
	var got []link
	parseMessages(b, func(m message) bool {
		l, ok := parseLink(m.body)
		if !ok {
			t.Errorf("message of type %d is not a link", m.typ)
		}
		got = append(got, l)
		return true
	})
	want := []link{{index: 7, name: "wg0", kind: "tun", mtu: 1420, up: true}, {index: 8}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v, want %+v", got, want)
	}
	b[16] = unix.AF_BRIDGE
	if _, ok := parseLink(b[16:]); ok {
		t.Error("a bridge's message is taken for the link's")
	}
}

func TestAnswer(t *testing.T) {
	ack := func(seq uint32, code int32) []byte {
		b := native.AppendUint32(nil, 20)
		b = native.AppendUint16(b, unix.NLMSG_ERROR)
		b = native.AppendUint16(b, 0)
		b = native.AppendUint32(b, seq)
		b = native.AppendUint32(b, 0)
		return native.AppendUint32(b, uint32(code))
	}
	if done, err := answer(ack(3, 0), 3, nil); !done || err != nil {
		t.Errorf("acknowledged: %v, %v", done, err)
	}
	if done, err := answer(ack(3, -int32(unix.ENODEV)), 3, nil); !done || !errors.Is(err, unix.ENODEV) {
		t.Errorf("refused: %v, %v, want ENODEV", done, err)
	}
	if done, err := answer(ack(2, 0), 3, nil); done || err != nil {
		t.Errorf("an old answer: %v, %v", done, err)
	}
}

// Whatever comes over netlink, nothing is read beyond its end.
func FuzzNetlink(f *testing.F) {
	f.Add(linkMessage(unix.RTM_NEWLINK, 7, 1, nested(unix.IFLA_LINKINFO, unix.IFLA_INFO_KIND, []byte("tun"))))
	f.Add(linkMessage(unix.RTM_NEWNETCONF, 7, 1, appendAttr32(nil, netconfForwarding, 1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		parseMessages(b, func(m message) bool {
			n += unix.SizeofNlMsghdr + len(m.body)
			if l, ok := parseLink(m.body); ok && len(l.name) > len(m.body) {
				t.Fatalf("%+v", l)
			}
			parseNetconf(m.body)
			return true
		})
		if n > len(b) {
			t.Fatalf("%d bytes of messages in %d", n, len(b))
		}
		answer(b, 9, func(message) {})
	})
}
