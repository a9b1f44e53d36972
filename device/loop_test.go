package device

import (
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/internal/ippkt"
)

// K16: what may be a message in a message counts down, nothing else does.
func TestNestedMessagesCountDown(t *testing.T) {
	from, to := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	message := func(hops byte, six bool) []byte {
		f, o, at, body := from, to, 8, 28
		if six {
			f, o, at, body = v6(from), v6(to), 7, 48
		}
		b := ping(f, o, 160, 0)
		clear(b[body:])
		b[at], b[body] = hops, 4
		return b
	}
	data := message(9, false)
	data[28] = 9
	piece := message(9, false)
	piece[7] = 5 // fragment offset
	short := ping(from, to, 28, 0)
	for name, c := range map[string]struct {
		pkt  []byte
		hops uint8
		ok   bool
	}{
		"ordinary":       {data, 0, true},
		"short":          {short, 0, true},
		"first":          {message(64, false), 60, true},
		"from elsewhere": {message(128, false), 64, true},
		"deep":           {message(5, true), 1, true},
		"too deep":       {message(4, true), 0, false},
		"fragment":       {piece, 5, true},
	} {
		h, ok := ippkt.Parse(c.pkt)
		if !ok {
			t.Fatalf("%s: does not parse", name)
		}
		if hops, ok := nestedHops(&h, c.pkt); hops != c.hops || ok != c.ok {
			t.Errorf("%s: hop limit %d, %v, want %d, %v", name, hops, ok, c.hops, c.ok)
		}
	}
}
