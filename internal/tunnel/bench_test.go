package tunnel

import (
	"fmt"
	"testing"

	"github.com/warrenvpn/warren/internal/aead"
	"github.com/warrenvpn/warren/internal/replay"
	"github.com/warrenvpn/warren/internal/wire"
)

// The shapes of runs: a segmented send at MTU 1420, and a lone small packet.
var benchRuns = []struct{ messages, size int }{{45, 1424}, {1, 1424}, {1, 80}}

// BenchmarkSessionSend is all a session does for a run that leaves: counters,
// headers, sealing.
func BenchmarkSessionSend(b *testing.B) {
	for _, c := range benchRuns {
		b.Run(fmt.Sprintf("%dx%d", c.messages, c.size), func(b *testing.B) {
			s, _ := sessionPair()
			size := wire.TransportHeaderSize + c.size + wire.TagSize
			buf := make([]byte, c.messages*size)
			var r aead.Run
			b.SetBytes(int64(c.messages * c.size))
			b.ReportAllocs()
			for b.Loop() {
				first, ok, _ := s.Reserve(epoch, c.messages)
				if !ok || !s.Sendable() {
					b.Fatal("the session gives no counters")
				}
				r.Reset()
				s.Frame(&r, buf, size, first)
				s.SealRun(&r)
			}
		})
	}
}

// BenchmarkSessionReceive is all a session does for a run that arrives: age,
// opening, replay window, and what it asks itself afterwards. The same run comes
// again: a copy of it, which takes a tenth of the time, and to a young window.
func BenchmarkSessionReceive(b *testing.B) {
	for _, c := range benchRuns {
		b.Run(fmt.Sprintf("%dx%d", c.messages, c.size), func(b *testing.B) {
			s, receiver := sessionPair()
			receiver.window = new(replay.Window)
			size := wire.TransportHeaderSize + c.size + wire.TagSize
			sealed, buf := make([]byte, c.messages*size), make([]byte, c.messages*size)
			var r aead.Run
			s.Frame(&r, sealed, size, 0)
			s.SealRun(&r)
			b.SetBytes(int64(c.messages * c.size))
			b.ReportAllocs()
			for b.Loop() {
				copy(buf, sealed)
				*receiver.window = replay.Window{}
				r.Reset()
				for i := range c.messages {
					m := wire.Transport(buf[i*size:][:size])
					r.Add(m.EncryptedPacket(), m.Counter())
				}
				if !receiver.Receivable(epoch) {
					b.Fatal("the session is too old")
				}
				receiver.OpenRun(&r)
				receiver.Admit(r.Counters, r.OK)
				receiver.FirstReceipt()
				receiver.RekeyDueOnReceive(epoch)
				if !r.OK[0] {
					b.Fatal("the run was not authentic, or seen before")
				}
			}
		})
	}
}
