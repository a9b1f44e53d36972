package ippkt

import "testing"

// P29, B87: RFC 6040 4.2, figure 4, row by row.
func TestDecapsulateTOS(t *testing.T) {
	const drop = 0xff
	table := map[byte][4]byte{ // by inner; columns are the outer Not-ECT, ECT(0), ECT(1), CE
		NotECT: {NotECT, NotECT, NotECT, drop},
		ECT0:   {ECT0, ECT0, ECT1, CE},
		ECT1:   {ECT1, ECT1, ECT1, CE},
		CE:     {CE, CE, CE, CE},
	}
	for inner, row := range table {
		for column, outer := range []byte{NotECT, ECT0, ECT1, CE} {
			got, ok := DecapsulateTOS(0xb8|outer, 0x28|inner)
			want := row[column]
			if want == drop {
				if ok || got != 0x28|inner {
					t.Errorf("inner %d, outer %d: %#x, %v, want it dropped", inner, outer, got, ok)
				}
				continue
			}
			if !ok || got != 0x28|want {
				t.Errorf("inner %d, outer %d: %#x, %v, want %#x: the DSCP stays, the ECN is %d", inner, outer, got, ok, 0x28|want, want)
			}
		}
	}
}

// P29: the outer DSCP is 0, ECT is copied, CE becomes ECT(0).
func TestEncapsulateTOS(t *testing.T) {
	for inner, want := range map[byte]byte{0xb8: NotECT, 0xb8 | ECT0: ECT0, ECT1: ECT1, 0xfc | CE: ECT0} {
		if got := EncapsulateTOS(inner); got != want {
			t.Errorf("inner %#x: outer %#x, want %#x", inner, got, want)
		}
	}
}

func TestSetTOSKeepsTheHeaderValid(t *testing.T) {
	for from := range 256 {
		for _, to := range []byte{0, 1, 2, 3, 0x88, 0xfc, 0xff, byte(from ^ 1)} {
			b := ipv4(a4, b4, 6, byte(from), nil)
			SetTOS(b, to)
			if b[1] != to || naiveSum(b) != 0xffff {
				t.Fatalf("IPv4 %#x -> %#x: %#x, sum %#x", from, to, b[1], naiveSum(b))
			}
			b = ipv6(a6, b6, 6, byte(from), nil)
			b[1] |= 0x0a
			b[2], b[3] = 0xbc, 0xde
			SetTOS(b, to)
			if h, ok := Parse(b); !ok || h.TOS != to || b[1]&0x0f != 0x0a || b[2] != 0xbc || b[3] != 0xde {
				t.Fatalf("IPv6 %#x -> %#x: %#x", from, to, b[:4])
			}
		}
	}
}

func TestDecapsulateMarksThePacket(t *testing.T) {
	for _, b := range [][]byte{ipv4(a4, b4, 6, ECT0, nil), ipv6(a6, b6, 6, ECT0, nil)} {
		h, _ := Parse(b)
		if !Decapsulate(b, &h, CE) {
			t.Fatal("dropped an ECN-capable packet")
		}
		if again, ok := Parse(b); !ok || again != h || h.TOS != CE {
			t.Errorf("header %+v, packet %+v, want CE in both", h, again)
		}
		h.TOS = NotECT
		SetTOS(b, NotECT)
		if Decapsulate(b, &h, CE) {
			t.Error("a mark that nobody will see, and the packet is let through")
		}
	}
}
