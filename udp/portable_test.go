package udp

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/packet"
)

// What other systems get, on this one.
func TestPortable(t *testing.T) {
	n := &Network{Portable: true}
	p, err := n.Open(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Open(p.Number(), 0); !errors.Is(err, errInUse) {
		t.Errorf("second port %d: %v, want %v", p.Number(), err, errInUse)
	}
	batch := []packet.Datagram{{Buf: make([]byte, packet.MaxSuper)}}
	self := packet.Endpoint{Remote: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), p.Number())}
	mapped := self
	mapped.Remote = netip.AddrPortFrom(netip.MustParseAddr("::ffff:127.0.0.1"), p.Number())
	for _, to := range []packet.Endpoint{self, mapped} {
		if err := p.Send([]packet.Run{{Buf: []byte("aaabbbc"), Segment: 3, To: to}}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"aaa", "bbb", "c"} {
			if n, err := p.Receivers()[0].Receive(batch); n != 1 || err != nil {
				t.Fatalf("%d datagrams, %v", n, err)
			}
			d := &batch[0]
			if got := string(d.Buf[:d.N]); got != want || d.Segment != len(want) || d.From != self {
				t.Errorf("got %q in %d from %v, want %q from %v", got, d.Segment, d.From, want, self)
			}
		}
	}
	if err := p.SetMark(0); err != nil {
		t.Errorf("no mark: %v", err)
	}
	if err := p.SetMark(1); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("mark: %v, want ErrUnsupported", err)
	}
	if _, err := n.Open(0, 1); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("open with a mark: %v, want ErrUnsupported", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.Receivers()[0].Receive(batch); !errors.Is(err, net.ErrClosed) {
		t.Errorf("receive after close: %v, want net.ErrClosed", err)
	}
}

func TestLanesAreBounded(t *testing.T) {
	for _, lanes := range []int{-1, maxLanes + 1} {
		if p, err := (&Network{Lanes: lanes}).Open(0, 0); err == nil {
			_ = p.Close()
			t.Errorf("%d lanes were accepted", lanes)
		}
	}
}
