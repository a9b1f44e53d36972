package ippkt

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"
)

// random returns a generator whose seed is printed if the test fails.
func random(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 1))
}

func fill(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

// naiveSum is RFC 1071 1 as it is written there.
func naiveSum(b []byte) uint16 {
	var s uint64
	for ; len(b) > 1; b = b[2:] {
		s += uint64(b[0])<<8 | uint64(b[1])
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

// ipv4 returns a packet with a correct header in front of body.
func ipv4(src, dst [4]byte, proto, tos byte, body []byte) []byte {
	b := make([]byte, 20, 20+len(body))
	b[0], b[1], b[8], b[9] = 0x45, tos, 64, proto
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(body)))
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	binary.BigEndian.PutUint16(b[10:], ^naiveSum(b))
	return append(b, body...)
}

// ipv6 returns a packet with next header proto in front of body.
func ipv6(src, dst [16]byte, proto, tos byte, body []byte) []byte {
	b := make([]byte, 40, 40+len(body))
	b[0], b[1] = 0x60|tos>>4, tos<<4
	binary.BigEndian.PutUint16(b[4:], uint16(len(body)))
	b[6], b[7] = proto, 64
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
	return append(b, body...)
}

var (
	a4 = [4]byte{10, 0, 0, 1}
	b4 = [4]byte{192, 0, 2, 9}
	a6 = [16]byte{0xfd, 15: 1}
	b6 = [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 9}
)
