package tun

import (
	"bytes"
	"testing"

	"github.com/warrenvpn/warren/packet"
)

// B22: a header is written whole, whatever its memory held.
func TestVirtioRoundTrip(t *testing.T) {
	head := make([]byte, 80)
	head[20+12], head[40+12] = 0x80, 0x50
	for _, o := range []packet.Offload{
		{},
		{NeedsCsum: true, CsumStart: 20, CsumOffset: 6},
		{Kind: packet.TCP4, NeedsCsum: true, Segment: 1368, CsumStart: 20, CsumOffset: 16},
		{Kind: packet.TCP6, NeedsCsum: true, Segment: 1348, CsumStart: 40, CsumOffset: 16},
		{Kind: packet.UDP, NeedsCsum: true, Segment: 1300, CsumStart: 40, CsumOffset: 6},
	} {
		var h [virtioSize]byte
		copy(h[:], bytes.Repeat([]byte{0xdb}, virtioSize))
		putVirtio(&h, o, head)
		got, ok := parseVirtio(h[:])
		if !ok || got != o {
			t.Errorf("%x: %+v, %v, want %+v", h, got, ok, o)
		}
		want := uint16(0)
		switch o.Kind {
		case packet.TCP4:
			want = 20 + 32
		case packet.TCP6:
			want = 40 + 20
		case packet.UDP:
			want = 40 + 8
		}
		if got := native.Uint16(h[2:]); got != want {
			t.Errorf("%+v: header length %d, want %d", o, got, want)
		}
	}
}

func TestVirtioMarksCWR(t *testing.T) {
	head := make([]byte, 60)
	head[32], head[33] = 0x50, 0x90
	var h [virtioSize]byte
	putVirtio(&h, packet.Offload{Kind: packet.TCP4, NeedsCsum: true, Segment: 1, CsumStart: 20, CsumOffset: 16}, head)
	if h[1] != virtioTCP4|virtioECN {
		t.Errorf("type %#x, want ECN", h[1])
	}
	if o, ok := parseVirtio(h[:]); !ok || o.Kind != packet.TCP4 {
		t.Errorf("%+v, %v, want TCP", o, ok)
	}
}

// Z09: any header gives an offload that says what it needs, or none.
func FuzzVirtio(f *testing.F) {
	f.Add([]byte{1, 1, 52, 0, 88, 5, 20, 0, 16, 0}, []byte{})
	f.Add([]byte{1, 5, 48, 0, 0, 0, 40, 0, 6, 0}, make([]byte, 60))
	f.Add([]byte{0, 3, 0, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 20))
	f.Fuzz(func(t *testing.T, b, head []byte) {
		if len(b) < virtioSize {
			return
		}
		o, ok := parseVirtio(b)
		if ok && o.Kind != packet.Plain && o.Segment == 0 {
			t.Fatalf("%+v without segment size", o)
		}
		var h [virtioSize]byte
		putVirtio(&h, o, head)
		if again, ok2 := parseVirtio(h[:]); ok && o.NeedsCsum && (!ok2 || again != o) {
			t.Fatalf("%+v became %+v, %v", o, again, ok2)
		}
	})
}
