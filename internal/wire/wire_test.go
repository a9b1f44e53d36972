package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/big"
	"testing"
	"time"
)

// P05, B33, B48, A14: every length of a datagram, for every type from 0 to 5.
func TestClassifyLengths(t *testing.T) {
	want := map[Type]func(n int) bool{
		0: func(int) bool { return false },
		1: func(n int) bool { return n == 148 },
		2: func(n int) bool { return n == 92 },
		3: func(n int) bool { return n == 64 },
		4: func(n int) bool { return n >= 32 }, // multiples of 16 or not
		5: func(int) bool { return false },
	}
	buf := make([]byte, 65536)
	for typ, accepted := range want {
		buf[0] = byte(typ)
		for n := range len(buf) {
			got, ok := Classify(buf[:n])
			if ok != accepted(n) {
				t.Fatalf("type %d, %d bytes: accepted = %v, want %v", typ, n, ok, accepted(n))
			}
			if ok && got != typ {
				t.Fatalf("type %d, %d bytes: classified as %d", typ, n, got)
			}
		}
	}
}

// P05: each reserved bit must be zero, and no other type byte is known.
func TestClassifyReservedBytes(t *testing.T) {
	sizes := map[Type]int{TypeInitiation: 148, TypeResponse: 92, TypeCookieReply: 64, TypeTransport: 100}
	for typ, size := range sizes {
		b := make([]byte, size)
		b[0] = byte(typ)
		for bit := 8; bit < 32; bit++ {
			b[bit/8] ^= 1 << (bit % 8)
			if _, ok := Classify(b); ok {
				t.Errorf("%v with reserved bit %d is accepted", typ, bit)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
		if _, ok := Classify(b); !ok {
			t.Errorf("%v is refused", typ)
		}
		for other := range 256 {
			b[0] = byte(other)
			if _, ok := Classify(b); ok && Type(other) != typ && Type(other) != TypeTransport {
				t.Errorf("type %d with %d bytes is accepted", other, size)
			}
		}
	}
}

// P11's other half: where the fields lie. The layout is written here once more,
// by hand from the paper.
func TestFieldOffsets(t *testing.T) {
	seq := make([]byte, InitiationSize)
	for i := range seq {
		seq[i] = byte(i)
	}
	i, r, c, d := Initiation(seq), Response(seq[:ResponseSize]), CookieReply(seq[:CookieReplySize]), Transport(seq[:100])
	for _, f := range []struct {
		name       string
		got        []byte
		begin, end int
	}{
		{"initiation ephemeral", i.Ephemeral(), 8, 40},
		{"initiation static", i.EncryptedStatic(), 40, 88},
		{"initiation timestamp", i.EncryptedTimestamp(), 88, 116},
		{"initiation mac1", i.MAC1(), 116, 132},
		{"initiation mac2", i.MAC2(), 132, 148},
		{"initiation before mac1", BeforeMAC1(i), 0, 116},
		{"initiation before mac2", BeforeMAC2(i), 0, 132},
		{"response ephemeral", r.Ephemeral(), 12, 44},
		{"response nothing", r.EncryptedNothing(), 44, 60},
		{"response mac1", r.MAC1(), 60, 76},
		{"response mac2", r.MAC2(), 76, 92},
		{"response before mac1", BeforeMAC1(r), 0, 60},
		{"response before mac2", BeforeMAC2(r), 0, 76},
		{"cookie reply nonce", c.Nonce(), 8, 32},
		{"cookie reply cookie", c.EncryptedCookie(), 32, 64},
		{"transport packet", d.EncryptedPacket(), 16, 100},
	} {
		if !bytes.Equal(f.got, seq[f.begin:f.end]) {
			t.Errorf("%s begins at %d with %d bytes, want bytes %d to %d", f.name, f.got[0], len(f.got), f.begin, f.end)
		}
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(seq[at:]) }
	for _, f := range []struct {
		name      string
		got, want uint32
	}{
		{"initiation sender", i.SenderIndex(), word(4)},
		{"response sender", r.SenderIndex(), word(4)},
		{"response receiver", r.ReceiverIndex(), word(8)},
		{"cookie reply receiver", c.ReceiverIndex(), word(4)},
		{"transport receiver", d.ReceiverIndex(), word(4)},
		{"sender of either", SenderIndex(r), word(4)},
		{"counter, low word", uint32(d.Counter()), word(8)},
		{"counter, high word", uint32(d.Counter() >> 32), word(12)},
	} {
		if f.got != f.want {
			t.Errorf("%s = %x, want %x", f.name, f.got, f.want)
		}
	}
}

// A view of one field cannot be extended over the next.
func TestFieldsAreCapped(t *testing.T) {
	m := make(Initiation, InitiationSize)
	for name, f := range map[string][]byte{"ephemeral": m.Ephemeral(), "static": m.EncryptedStatic(), "timestamp": m.EncryptedTimestamp(), "mac1": m.MAC1()} {
		if cap(f) != len(f) {
			t.Errorf("%s can be appended to", name)
		}
	}
}

func TestHeaders(t *testing.T) {
	dirty := func(n int) []byte { return bytes.Repeat([]byte{0xff}, n) }
	i, r, c, d := Initiation(dirty(148)), Response(dirty(92)), CookieReply(dirty(64)), dirty(32)
	i.SetHeader(0x01020304)
	r.SetHeader(0x01020304, 0xa1a2a3a4)
	c.SetHeader(0x01020304)
	PutTransportHeader(d, 0x01020304, 0x1112131415161718)
	for name, h := range map[string][2][]byte{
		"initiation":   {i[:9], {1, 0, 0, 0, 4, 3, 2, 1, 0xff}},
		"response":     {r[:13], {2, 0, 0, 0, 4, 3, 2, 1, 0xa4, 0xa3, 0xa2, 0xa1, 0xff}},
		"cookie reply": {c[:9], {3, 0, 0, 0, 4, 3, 2, 1, 0xff}},
		"transport":    {d[:17], {4, 0, 0, 0, 4, 3, 2, 1, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0xff}},
	} {
		if !bytes.Equal(h[0], h[1]) {
			t.Errorf("%s begins with %x, want %x", name, h[0], h[1])
		}
	}
	if !Transport(d).IsKeepalive() || Transport(dirty(33)).IsKeepalive() {
		t.Error("a keepalive is a transport message of 32 bytes")
	}
}

func TestTypeNames(t *testing.T) {
	if got := fmt.Sprint(TypeInitiation, TypeResponse, TypeCookieReply, TypeTransport, Type(9)); got != "initiation response cookie reply transport data unknown" {
		t.Errorf("names are %q", got)
	}
}

// A16: bytes out against bytes in, IPv4 and UDP headers included, for everything
// that an unauthenticated message can cause.
func TestAmplification(t *testing.T) {
	const headers = 20 + 8
	for _, c := range []struct {
		name           string
		out, in        int
		wantOut, wantI int
	}{
		{"response to an initiation", ResponseSize, InitiationSize, 120, 176},
		{"cookie for an initiation", CookieReplySize, InitiationSize, 92, 176},
		{"cookie for a response", CookieReplySize, ResponseSize, 92, 120},
	} {
		if out, in := c.out+headers, c.in+headers; out != c.wantOut || in != c.wantI || out >= in {
			t.Errorf("%s: %d bytes for %d, want %d for %d", c.name, out, in, c.wantOut, c.wantI)
		}
	}
}

// P17, P30, T01-T03: the constants, as figures.
func TestConstants(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want time.Duration
	}{
		{"RekeyAfterTime", RekeyAfterTime, 120 * time.Second},
		{"RejectAfterTime", RejectAfterTime, 180 * time.Second},
		{"RekeyAttemptTime", RekeyAttemptTime, 90 * time.Second},
		{"RekeyTimeout", RekeyTimeout, 5 * time.Second},
		{"KeepaliveTimeout", KeepaliveTimeout, 10 * time.Second},
		{"RekeyOnReceiveTime", RekeyOnReceiveTime, 165 * time.Second},
		{"NewHandshakeTime", NewHandshakeTime, 15 * time.Second},
		{"ZeroKeysTime", ZeroKeysTime, 540 * time.Second},
		{"InitiationInterval", InitiationInterval, 20 * time.Millisecond},
		{"CookieSecretLifetime", CookieSecretLifetime, 120 * time.Second},
		{"CookieLifetime", CookieLifetime, 115 * time.Second},
		{"UnderLoadTime", UnderLoadTime, time.Second},
	} {
		if c.got != c.want {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
	for _, c := range []struct {
		name      string
		got, want int
	}{
		{"MaxTimerHandshakes", MaxTimerHandshakes, 18},
		{"ReplayWindow", ReplayWindow, 8128},
		{"UnderLoadQueue", UnderLoadQueue, 512},
		{"RatePerSecond", RatePerSecond, 20},
		{"RateBurst", RateBurst, 5},
		{"MaxStaged", MaxStaged, 128},
		{"MaxPeers", MaxPeers, 1 << 20},
		{"HandshakeTOS", HandshakeTOS, 34 << 2}, // AF41 is code point 34
		{"len(Construction)", len(Construction), 37},
		{"len(Identifier)", len(Identifier), 34},
		{"len(LabelMAC1)", len(LabelMAC1), 8},
		{"len(LabelCookie)", len(LabelCookie), 8},
	} {
		if c.got != c.want {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
	if j := RekeyTimeoutJitterMax; j < 333*time.Millisecond || j > 334*time.Millisecond {
		t.Errorf("RekeyTimeoutJitterMax = %v, want a third of a second", j)
	}
}

// P17, B46: the limits need all 64 bits, on every platform, and leave room for
// the window above the last counter.
func TestMessageLimits(t *testing.T) {
	two := big.NewInt(2)
	limit := new(big.Int).Sub(new(big.Int).Exp(two, big.NewInt(64), nil), big.NewInt(1+8128+1))
	if new(big.Int).SetUint64(RejectAfterMessages).Cmp(limit) != 0 {
		t.Errorf("RejectAfterMessages = %d, want %v", RejectAfterMessages, limit)
	}
	if RekeyAfterMessages != 1152921504606846976 {
		t.Errorf("RekeyAfterMessages = %d, want 2^60", RekeyAfterMessages)
	}
	if last := RejectAfterMessages - 1; last+1+ReplayWindow < last {
		t.Error("the window above the last counter overflows")
	}
}

// [W] 5.4: a message begins with its type and three zero bytes, so that both can be
// read as one little-endian number; no two types are alike in size.
func TestPaper54TypeWord(t *testing.T) {
	for typ, first := range map[Type]byte{TypeInitiation: 1, TypeResponse: 2, TypeCookieReply: 3, TypeTransport: 4} {
		if b := binary.LittleEndian.AppendUint32(nil, uint32(typ)); !bytes.Equal(b, []byte{first, 0, 0, 0}) {
			t.Errorf("%v is %x on the wire", typ, b)
		}
	}
}

// [W] 5.4.6: a transport message has a header of type, receiver and counter, 16
// bytes, and a sealed packet; a keepalive is one with a packet of no bytes.
func TestPaper546TransportLayout(t *testing.T) {
	if TransportHeaderSize != 4+4+8 || KeepaliveSize != 16+16 {
		t.Errorf("header %d, keepalive %d; want 16 and 32", TransportHeaderSize, KeepaliveSize)
	}
}

// Z01: what is accepted reads back as it was written.
func FuzzMessages(f *testing.F) {
	for _, n := range []int{0, 31, 32, 64, 92, 148, 149} {
		for typ := range byte(6) {
			b := make([]byte, n)
			if n > 0 {
				b[0] = typ
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		typ, ok := Classify(b)
		if !ok {
			return
		}
		var again []byte
		switch typ {
		case TypeInitiation:
			m, w := Initiation(b), make(Initiation, InitiationSize)
			w.SetHeader(m.SenderIndex())
			copy(w.Ephemeral(), m.Ephemeral())
			copy(w.EncryptedStatic(), m.EncryptedStatic())
			copy(w.EncryptedTimestamp(), m.EncryptedTimestamp())
			copy(w.MAC1(), m.MAC1())
			copy(w.MAC2(), m.MAC2())
			again = w
		case TypeResponse:
			m, w := Response(b), make(Response, ResponseSize)
			w.SetHeader(m.SenderIndex(), m.ReceiverIndex())
			copy(w.Ephemeral(), m.Ephemeral())
			copy(w.EncryptedNothing(), m.EncryptedNothing())
			copy(w.MAC1(), m.MAC1())
			copy(w.MAC2(), m.MAC2())
			again = w
		case TypeCookieReply:
			m, w := CookieReply(b), make(CookieReply, CookieReplySize)
			w.SetHeader(m.ReceiverIndex())
			copy(w.Nonce(), m.Nonce())
			copy(w.EncryptedCookie(), m.EncryptedCookie())
			again = w
		case TypeTransport:
			m := Transport(b)
			again = make([]byte, TransportHeaderSize)
			PutTransportHeader(again, m.ReceiverIndex(), m.Counter())
			again = append(again, m.EncryptedPacket()...)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%x reads back as %x", b, again)
		}
	})
}

func TestClassifyDoesNotAllocate(t *testing.T) {
	b := make([]byte, 100)
	b[0] = 4
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := Classify(b); ok {
			PutTransportHeader(b, Transport(b).ReceiverIndex(), Transport(b).Counter())
		}
	}); n != 0 {
		t.Errorf("allocates %v times, want 0", n)
	}
}
