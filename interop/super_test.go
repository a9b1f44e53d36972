package interop

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/ippkt"
	"github.com/warrenvpn/warren/packet"
	"github.com/warrenvpn/warren/tun/tuntest"
)

// super returns a UDP super-packet as a TUN hands it over, and the packets it
// stands for.
func (d datagram) super(t *testing.T, number uint32, segments, size int) (packet.Offload, []byte, [][]byte) {
	t.Helper()
	whole := d.packet(number, segments*size-4-size/3) // the last one is shorter
	u := 40
	if d.from.Is4() {
		u = 20
	}
	sum := ippkt.PseudoHeader(d.from, d.to, ippkt.ProtoUDP, len(whole)-u)
	binary.BigEndian.PutUint16(whole[u+6:], sum.Fold())
	o := packet.Offload{Kind: packet.UDP, NeedsCsum: true, Segment: uint16(size), CsumStart: uint16(u), CsumOffset: 6}
	pieces, err := tuntest.Packet{Offload: o, Data: bytes.Clone(whole)}.Segments()
	if err != nil {
		t.Fatal(err)
	}
	if len(pieces) != segments {
		t.Fatalf("%d segments, want %d", len(pieces), segments)
	}
	return o, whole, pieces
}

// What is cut on our side arrives there as ordinary packets, each byte in place.
func TestSuperPacketsReachReference(t *testing.T) {
	for _, c := range []combination{{weInitiate: true}, {weInitiate: true, inner6: true, outer6: true}} {
		rnd := rand.NewChaCha8([32]byte{1})
		we, they := newOurs(t, newKey(t, rnd), false), newTheirs(t, newKey(t, rnd))
		flow, _ := c.connect(t, rnd, we, they)
		if err := transfer(we, they, flow, 10, rand.New(rnd)); err != nil {
			t.Fatal(err)
		}
		for i, size := range []int{1, 100, 511, 1000, 1340} {
			segments := min(40, 60000/size)
			o, whole, pieces := flow.super(t, uint32(i), segments, size)
			if err := we.host.SendSuper(o, whole); err != nil {
				t.Fatal(err)
			}
			for n, want := range pieces {
				select {
				case got := <-they.packets():
					if !bytes.Equal(got, want) {
						t.Fatalf("%v, size %d: segment %d arrived as\n%x, want\n%x", c, size, n, got, want)
					}
				case <-time.After(5 * time.Second):
					t.Fatalf("%v, size %d: segment %d of %d did not arrive", c, size, n, segments)
				}
			}
		}
	}
}

// What the reference sends in bursts is joined here, and stands for the same
// packets. In which order the first of them leave is the reference's business:
// its reader and its receiver may both be sending what was staged.
func TestJoinedPacketsFromReference(t *testing.T) {
	for _, c := range []combination{{}, {inner6: true, outer6: true}} {
		rnd := rand.NewChaCha8([32]byte{2})
		we, they := newOurs(t, newKey(t, rnd), true), newTheirs(t, newKey(t, rnd))
		flow, _ := c.connect(t, rnd, they, we)
		const count, size = 2000, 1300
		go func() {
			for i := range count {
				they.send(flow.packet(uint32(i), size))
				if i%32 == 31 {
					time.Sleep(time.Millisecond) // no faster than a socket takes it
				}
			}
		}()
		expected := make(map[string]bool, count)
		for i := range count {
			expected[string(flow.packet(uint32(i), size))] = true
		}
		for i := range count {
			select {
			case got := <-we.packets():
				if !expected[string(got)] {
					t.Fatalf("%v: packet %d that arrived is none that was sent, or came twice:\n%x", c, i, got)
				}
				delete(expected, string(got))
			case <-time.After(5 * time.Second):
				t.Fatalf("%v: packet %d did not arrive; drops %v", c, i, we.dev.Drops())
			}
		}
	}
}
