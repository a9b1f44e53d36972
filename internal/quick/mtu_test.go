package quick

import "testing"

// Q21, B94: the smallest path less 80; what is unknown does not count.
func TestAutoMTU(t *testing.T) {
	for _, c := range []struct {
		name        string
		paths       []int
		defaultPath int
		ipv6        bool
		want        int
		raised      bool
	}{
		{"no endpoint, no default route", nil, 0, false, 1420, false},
		{"no endpoint", nil, 1492, false, 1412, false},
		{"ethernet", []int{1500}, 9000, false, 1420, false},
		{"jumbo frames", []int{9000}, 1500, false, 8920, false},
		{"narrow", []int{1400}, 1500, false, 1320, false},
		{"narrowest", []int{1280}, 1500, false, 1200, false},
		{"narrowest with IPv6 inside", []int{1280}, 1500, true, 1280, true},
		{"the last with IPv6 inside", []int{1360}, 1500, true, 1280, false},
		{"the smallest is first", []int{1280, 1500, 9000}, 1500, false, 1200, false},
		{"the smallest is last", []int{9000, 1500, 1400}, 1500, false, 1320, false},
		{"some unknown", []int{0, 1500, 0}, 1300, false, 1420, false},
		{"all unknown", []int{0, 0}, 1300, false, 1220, false},
		{"nonsense", []int{-5, 40}, 1500, false, 1, false},
		{"loopback", []int{65536}, 0, true, 65456, false},
	} {
		got, raised := AutoMTU(c.paths, c.defaultPath, c.ipv6)
		if got != c.want || raised != c.raised {
			t.Errorf("%s: %d, raised %v, want %d, %v", c.name, got, raised, c.want, c.raised)
		}
	}
}
