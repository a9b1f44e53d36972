package udp

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/packet"
)

// Loopback carries a segmented send to a coalesced receive without cutting it,
// so these measure the price of a call per run against one per message, not a
// network. Lane counts are parameters, for hosts with more cores than this one
// was written on.

// BenchmarkRun sends one run and receives it, on one goroutine.
func BenchmarkRun(b *testing.B) {
	for _, c := range []struct {
		name string
		n    Network
	}{
		{"offload", Network{NoSteer: true}},
		{"single", Network{NoSteer: true, NoSegment: true, NoCoalesce: true}},
	} {
		for _, shape := range []struct{ count, size int }{{1, 64}, {1, 1452}, {16, 112}, {45, 1452}} {
			b.Run(fmt.Sprintf("%s/%dx%d", c.name, shape.count, shape.size), func(b *testing.B) {
				x, y := benchPort(b, c.n), benchPort(b, c.n)
				to := packet.Endpoint{Remote: netip.AddrPortFrom(home4, y.number), Local: home4, Epoch: 1}
				runs := []packet.Run{dataRun(to, shape.count, shape.size)}
				batch := newBatch(16, packet.MaxSuper)
				b.SetBytes(int64(len(runs[0].Buf)))
				b.ReportAllocs()
				for b.Loop() {
					if err := x.Send(runs); err != nil {
						b.Fatal(err)
					}
					receiveBytes(b, y.receivers[0], batch, len(runs[0].Buf))
				}
			})
		}
	}
}

// BenchmarkPing is one message there and one back, between two goroutines that
// sleep in between: the latency that a receiver adds.
func BenchmarkPing(b *testing.B) {
	x, y := benchPort(b, Network{NoSteer: true}), benchPort(b, Network{NoSteer: true})
	go func() {
		batch := newBatch(16, packet.MaxSuper)
		for {
			n, err := y.receivers[0].Receive(batch)
			if err != nil {
				return
			}
			for _, d := range batch[:n] {
				_ = y.Send([]packet.Run{{Buf: d.Buf[:d.N], Segment: d.N, To: d.From}})
			}
		}
	}()
	to := packet.Endpoint{Remote: netip.AddrPortFrom(home4, y.number)}
	runs := []packet.Run{dataRun(to, 1, 128)}
	batch := newBatch(16, packet.MaxSuper)
	for b.Loop() {
		_ = x.Send(runs)
		receiveBytes(b, x.receivers[0], batch, 128)
	}
}

// BenchmarkLanes drains one flow per lane, each lane on a goroutine of its own.
func BenchmarkLanes(b *testing.B) {
	for _, lanes := range []int{1, 2, 4} {
		b.Run(fmt.Sprint(lanes), func(b *testing.B) {
			x, y := benchPort(b, Network{}), benchPort(b, Network{Lanes: lanes})
			to := packet.Endpoint{Remote: netip.AddrPortFrom(home4, y.number)}
			const count, size = 40, 1452
			done := make(chan struct{}, lanes)
			next := make([]chan struct{}, lanes)
			for lane := range lanes {
				next[lane] = make(chan struct{}, 1)
				go func() {
					batch := newBatch(16, packet.MaxSuper)
					for range next[lane] {
						receiveBytes(b, y.receivers[lane], batch, count*size)
						done <- struct{}{}
					}
				}()
			}
			var runs []packet.Run
			for lane := range lanes {
				r := packet.Run{Segment: size, To: to}
				for range count {
					r.Buf = append(r.Buf, data(uint32(lane), 0, size)...)
				}
				runs = append(runs, r)
			}
			b.SetBytes(int64(lanes * count * size))
			for b.Loop() {
				for _, c := range next {
					c <- struct{}{}
				}
				if err := x.Send(runs); err != nil {
					b.Fatal(err)
				}
				for range lanes {
					<-done
				}
			}
			for _, c := range next {
				close(c)
			}
		})
	}
}

func benchPort(b *testing.B, n Network) *port {
	b.Helper()
	p, err := n.open(&kernel, 0, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Close() })
	return p
}

func receiveBytes(b *testing.B, r packet.Receiver, batch []packet.Datagram, total int) {
	for got := 0; got < total; {
		n, err := r.Receive(batch)
		if err != nil {
			b.Error(err)
			return
		}
		for _, d := range batch[:n] {
			got += d.N
		}
	}
}
