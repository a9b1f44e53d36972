package wire

import "testing"

// BenchmarkTransport writes the header of a message and reads it back, as every
// packet has it done at one end and the other.
func BenchmarkTransport(b *testing.B) {
	buf := make([]byte, TransportHeaderSize+1424+TagSize)
	var counter uint64
	for b.Loop() {
		PutTransportHeader(buf, 7, counter)
		t, ok := Classify(buf)
		m := Transport(buf)
		if !ok || t != TypeTransport || m.ReceiverIndex() != 7 || m.Counter() != counter || m.IsKeepalive() ||
			len(m.EncryptedPacket()) != 1424+TagSize {
			b.Fatal("what was written is not what is read")
		}
		counter++
	}
}
