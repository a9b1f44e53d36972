package tun

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/packet"
)

// These run without a TUN: a pair of sockets that keeps packets apart stands in
// for it, so they are the price of the calls and of what surrounds them.
// BenchmarkTransfer, as root, has the kernel's side too.

// BenchmarkQueueWrite hands packets to the system: single ones, and joined ones
// in as many parts as a Joiner has them.
func BenchmarkQueueWrite(b *testing.B) {
	for _, shape := range []struct{ segments, size int }{{1, 64}, {1, 1392}, {45, 1300}} {
		b.Run(fmt.Sprintf("%dx%d", shape.segments, shape.size), func(b *testing.B) {
			q, far := fakeQueue(b, true, all)
			o, parts := super(shape.segments, shape.size)
			buf := make([]byte, 1<<17)
			b.SetBytes(int64(shape.segments * shape.size))
			b.ReportAllocs()
			for b.Loop() {
				if err := q.Write(o, parts); err != nil {
					b.Fatal(err)
				}
				if _, err := unix.Read(far, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkQueueRead takes packets from the system.
func BenchmarkQueueRead(b *testing.B) {
	for _, size := range []int{92, 1420, 60_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			q, far := fakeQueue(b, true, all)
			sent := make([]byte, virtioSize+size)
			batch := []packet.Super{{Buf: make([]byte, packet.MaxSuper)}}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := unix.Write(far, sent); err != nil {
					b.Fatal(err)
				}
				if n, err := q.Read(batch); n != 1 || err != nil || batch[0].N != size {
					b.Fatalf("%d packets, %v", n, err)
				}
			}
		})
	}
}

// BenchmarkVirtio writes a header and reads it back.
func BenchmarkVirtio(b *testing.B) {
	head := make([]byte, 80)
	head[20+12] = 0x80
	o := packet.Offload{Kind: packet.TCP4, NeedsCsum: true, Segment: 1368, CsumStart: 20, CsumOffset: 16}
	var h [virtioSize]byte
	for b.Loop() {
		putVirtio(&h, o, head)
		if got, ok := parseVirtio(h[:]); !ok || got != o {
			b.Fatalf("%+v, want %+v", got, o)
		}
	}
}

// BenchmarkGate is what every call on a descriptor pays to use it safely.
func BenchmarkGate(b *testing.B) {
	g := newGate()
	for b.Loop() {
		if !g.enter() {
			b.Fatal("the gate is shut")
		}
		g.leave()
	}
}
