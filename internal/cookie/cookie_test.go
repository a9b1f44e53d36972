package cookie

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/blake2s"
	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/vectors"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
)

const start = mono.Time(1_000_000 * time.Second)

var (
	home  = netip.MustParseAddrPort("192.0.2.7:51820")
	home6 = netip.MustParseAddrPort("[2001:db8::7]:51820")
)

// scene is a sender of handshake messages and the host they go to.
type scene struct {
	rand   *rand.ChaCha8
	public key.Public // of the receiver
	c      *Checker
	g      *Generator
}

func newScene(seed uint64) *scene {
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	n := &scene{rand: rand.NewChaCha8(s)}
	n.rand.Read(n.public[:])
	n.c, n.g = NewChecker(n.public, n.rand), NewGenerator(n.public)
	return n
}

// message returns a message with random content and MACs from n.g at now.
func (n *scene) message(now mono.Time, typ wire.Type) []byte {
	m := make([]byte, wire.InitiationSize)
	if typ == wire.TypeResponse {
		m = m[:wire.ResponseSize]
	}
	n.rand.Read(m)
	binary.LittleEndian.PutUint32(m, uint32(typ))
	n.g.AddMACs(now, m)
	return m
}

// reply returns n.c's cookie reply to m.
func (n *scene) reply(t testing.TB, now mono.Time, m []byte, from netip.AddrPort) wire.CookieReply {
	t.Helper()
	r := make([]byte, wire.CookieReplySize)
	if err := n.c.Reply(now, r, m, from); err != nil {
		t.Fatal(err)
	}
	return r
}

// teach gives n.g a cookie for from, asked for and received at now.
func (n *scene) teach(t testing.TB, now mono.Time, from netip.AddrPort) {
	t.Helper()
	if !n.g.Consume(now, n.reply(t, now, n.message(now, wire.TypeInitiation), from)) {
		t.Fatal("the cookie reply is refused")
	}
}

// P04: MACs and cookie replies byte for byte, in both directions.
func TestVectors(t *testing.T) {
	for _, v := range vectors.Handshakes() {
		t.Run(v.Name, func(t *testing.T) {
			checkVector(t, key.Public(v.Responder.Public), v.Initiation, &v.InitiationCookie)
			checkVector(t, key.Public(v.Initiator.Public), v.Response, &v.ResponseCookie)
		})
	}
}

// checkVector plays sender and receiver of message, which goes to public.
func checkVector(t *testing.T, public key.Public, message []byte, v *vectors.Cookie) {
	c := NewChecker(public, bytes.NewReader(append(bytes.Clone(v.Secret), v.Nonce...)))
	g := NewGenerator(public)

	m := bytes.Clone(message)
	clear(m[len(m)-2*wire.MACSize:])
	if g.AddMACs(start, m); !bytes.Equal(m, message) {
		t.Errorf("message with MACs = %x, want %x", m, message)
	}
	if !c.CheckMAC1(message) {
		t.Error("mac1 is refused")
	}
	reply := make([]byte, wire.CookieReplySize)
	if err := c.Reply(start, reply, message, v.Source); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(reply, v.Reply) {
		t.Errorf("reply = %x, want %x", reply, v.Reply)
	}
	if got := c.cookieFor(v.Source); !bytes.Equal(got[:], v.Value) {
		t.Errorf("cookie = %x, want %x", got, v.Value)
	}
	if !g.Consume(start, wire.CookieReply(v.Reply)) {
		t.Fatal("the reply is refused")
	}
	if g.AddMACs(start, m); !bytes.Equal(wire.MAC2(m), v.MAC2) || !bytes.Equal(wire.MAC1(m), wire.MAC1(message)) {
		t.Errorf("MACs = %x, %x; want %x, %x", wire.MAC1(m), wire.MAC2(m), wire.MAC1(message), v.MAC2)
	}
	if !c.CheckMAC2(start, m, v.Source) {
		t.Error("mac2 is refused")
	}
}

// P11: no byte of a message can change without mac1 noticing, and so without any
// Diffie-Hellman; mac2 guards the rest.
func TestEveryFlippedByteIsNoticed(t *testing.T) {
	n := newScene(1)
	n.teach(t, start, home)
	for _, typ := range []wire.Type{wire.TypeInitiation, wire.TypeResponse} {
		m := n.message(start, typ)
		for i := range m {
			for bit := range 8 {
				m[i] ^= 1 << bit
				if inMAC2 := i >= len(m)-wire.MACSize; n.c.CheckMAC1(m) != inMAC2 {
					t.Errorf("%v, byte %d, bit %d: mac1 is right: %v", typ, i, bit, !inMAC2)
				}
				if n.c.CheckMAC2(start, m, home) {
					t.Errorf("%v, byte %d, bit %d: mac2 is right", typ, i, bit)
				}
				m[i] ^= 1 << bit
			}
		}
		if !n.c.CheckMAC1(m) || !n.c.CheckMAC2(start, m, home) {
			t.Errorf("%v: the whole message is refused", typ)
		}
	}
}

// P11, A01: a receiver that follows the order of compat 5.4 opens nothing whose
// mac1 is wrong.
func TestWrongMAC1CostsNoDiffieHellman(t *testing.T) {
	n := newScene(1)
	opened := 0
	receive := func(m []byte) {
		if n.c.CheckMAC1(m) {
			opened++
		}
	}
	for range 10_000 {
		m := make([]byte, wire.InitiationSize)
		n.rand.Read(m)
		binary.LittleEndian.PutUint32(m, uint32(wire.TypeInitiation))
		receive(m)
	}
	if opened != 0 {
		t.Errorf("%d of 10000 random messages pass mac1", opened)
	}
	if receive(n.message(start, wire.TypeInitiation)); opened != 1 {
		t.Error("the true message is refused")
	}
}

// P12, B50, A10: for which source and at what age a cookie is good.
func TestCookieIsBoundToSourceAndTime(t *testing.T) {
	const life = wire.CookieSecretLifetime
	for _, c := range []struct {
		name  string
		given string // whom the cookie was given to
		used  string // who uses it
		after time.Duration
		want  bool
	}{
		{"same source", "192.0.2.7:51820", "192.0.2.7:51820", 0, true},
		{"same source later", "192.0.2.7:51820", "192.0.2.7:51820", life - 1, true},
		{"same source too late", "192.0.2.7:51820", "192.0.2.7:51820", life, false},
		{"much too late", "192.0.2.7:51820", "192.0.2.7:51820", 24 * time.Hour, false},
		{"other port", "192.0.2.7:51820", "192.0.2.7:51821", 0, false},
		{"other port, high byte", "192.0.2.7:51820", "192.0.2.7:52076", 0, false},
		{"other address", "192.0.2.7:51820", "192.0.2.8:51820", 0, false},
		{"mapped form of the address", "192.0.2.7:51820", "[::ffff:192.0.2.7]:51820", 0, true},
		{"from the mapped form", "[::ffff:192.0.2.7]:51820", "192.0.2.7:51820", 0, true},
		{"IPv6", "[2001:db8::7]:51820", "[2001:db8::7]:51820", 0, true},
		{"IPv6 other port", "[2001:db8::7]:51820", "[2001:db8::7]:1", 0, false},
		{"IPv6 other address of the /64", "[2001:db8::7]:51820", "[2001:db8::8]:51820", 0, false},
		{"IPv6 too late", "[2001:db8::7]:51820", "[2001:db8::7]:51820", life, false},
		{"IPv4-compatible is another address", "[::192.0.2.7]:51820", "192.0.2.7:51820", 0, false},
	} {
		n := newScene(1)
		n.teach(t, start, netip.MustParseAddrPort(c.given))
		m := n.message(start, wire.TypeInitiation)
		if got := n.c.CheckMAC2(start.Add(c.after), m, netip.MustParseAddrPort(c.used)); got != c.want {
			t.Errorf("%s: accepted = %v, want %v", c.name, got, c.want)
		}
	}
}

// P12: the secret changes 120 s after it was drawn, not after it was last used,
// and every cookie made before is then worth nothing.
func TestSecretIsReplaced(t *testing.T) {
	n := newScene(1)
	n.teach(t, start, home)
	old := n.message(start, wire.TypeInitiation)
	secret := n.c.cookieFor(home)

	at := start.Add(wire.CookieSecretLifetime - 1)
	n.reply(t, at, old, home6)
	if !n.c.CheckMAC2(at, old, home) || secret != n.c.cookieFor(home) {
		t.Error("the secret changed early")
	}
	at = start.Add(wire.CookieSecretLifetime)
	n.reply(t, at, old, home6)
	if n.c.CheckMAC2(at, old, home) || secret == n.c.cookieFor(home) {
		t.Error("the secret did not change, or a cookie of the old one is still good")
	}
}

// P12: nothing is right before the first cookie, or after Clear.
func TestNoSecretNoCookie(t *testing.T) {
	n := newScene(1)
	m := n.message(start, wire.TypeInitiation)
	if n.c.CheckMAC2(start, m, home) {
		t.Error("mac2 is right before there was a cookie")
	}
	n.teach(t, start, home)
	m = n.message(start, wire.TypeInitiation)
	n.c.Clear()
	if n.c.CheckMAC2(start, m, home) {
		t.Error("mac2 is right after Clear")
	}
}

// A sender without a cookie sends zeros, which are not a valid mac2.
func TestZeroMAC2IsWrong(t *testing.T) {
	n := newScene(1)
	m := n.message(start, wire.TypeInitiation)
	n.reply(t, start, m, home)
	if n.c.CheckMAC2(start, m, home) {
		t.Error("a mac2 of zeros is right")
	}
}

// E9: the holder stops using a cookie 5 s before its maker could.
func TestCookieHolderLifetime(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{
		{0, true}, {wire.CookieLifetime - 1, true}, {wire.CookieLifetime, false}, {wire.CookieLifetime + time.Hour, false},
	} {
		n := newScene(1)
		n.teach(t, start, home)
		m := n.message(start.Add(c.after), wire.TypeInitiation)
		if has := !bytes.Equal(wire.MAC2(m), make([]byte, wire.MACSize)); has != c.want {
			t.Errorf("after %v: mac2 is present: %v, want %v", c.after, has, c.want)
		}
	}
	if wire.CookieLifetime != 115*time.Second {
		t.Errorf("CookieLifetime = %v, want 115 s", wire.CookieLifetime)
	}
}

// A cookie that is too old is forgotten, not only left unused.
func TestOldCookieIsErased(t *testing.T) {
	n := newScene(1)
	n.teach(t, start, home)
	n.message(start.Add(wire.CookieLifetime), wire.TypeInitiation)
	if n.g.cookie != [wire.MACSize]byte{} || n.g.received != 0 {
		t.Error("the cookie is still there")
	}
}

// P13: which cookie replies count.
func TestWhichRepliesAreTaken(t *testing.T) {
	n := newScene(1)

	unasked := newScene(2)
	if r := n.reply(t, start, n.message(start, wire.TypeInitiation), home); unasked.g.Consume(start, r) {
		t.Error("a reply before any message is taken")
	}

	m := n.message(start, wire.TypeInitiation)
	r := n.reply(t, start, m, home)
	for i := 8; i < wire.CookieReplySize; i++ {
		r[i] ^= 1
		if n.g.Consume(start, r) {
			t.Errorf("a reply with byte %d changed is taken", i)
		}
		r[i] ^= 1
	}
	if other := newScene(3); n.g.Consume(start, other.reply(t, start, m, home)) {
		t.Error("a reply of another host is taken")
	}
	if n.g.received != 0 {
		t.Error("a refused reply left a cookie")
	}

	// An answer to an earlier message does not fit the later one.
	later := n.message(start, wire.TypeInitiation)
	if n.g.Consume(start, r) {
		t.Error("a reply to an earlier message is taken")
	}
	r = n.reply(t, start, later, home)
	second := n.reply(t, start, later, home6)
	if !n.g.Consume(start, r) {
		t.Error("the true reply is refused after the false ones")
	}
	cookie := n.g.cookie
	if n.g.Consume(start, r) || n.g.Consume(start, second) || n.g.cookie != cookie {
		t.Error("a second reply to one message is taken")
	}

	// The next message may get a new cookie.
	n.teach(t, start.Add(time.Second), home6)
	if n.g.cookie == cookie {
		t.Error("the cookie was not replaced")
	}
}

// A cookie for responses works like one for initiations.
func TestResponsesHaveCookiesToo(t *testing.T) {
	n := newScene(1)
	m := n.message(start, wire.TypeResponse)
	if !n.c.CheckMAC1(m) || !n.g.Consume(start, n.reply(t, start, m, home6)) {
		t.Fatal("refused")
	}
	if m = n.message(start, wire.TypeResponse); !n.c.CheckMAC2(start, m, home6) {
		t.Error("mac2 is wrong")
	}
}

// A10: guesses. Each try is a fresh message from a source whose cookie is unknown.
func TestForgedCookies(t *testing.T) {
	n := newScene(1)
	n.teach(t, start, home)
	g := *n.g // a host that has a cookie, for another port
	for i := range 50_000 {
		m := make([]byte, wire.ResponseSize)
		n.rand.Read(m)
		g.AddMACs(start, m)
		from := netip.AddrPortFrom(home.Addr(), uint16(i))
		if from != home && n.c.CheckMAC2(start, m, from) {
			t.Fatalf("the cookie of port %d is good for port %d", home.Port(), i)
		}
	}
}

// F23: without randomness there is no reply, and none with weak values.
func TestReplyFailsWithoutRandomness(t *testing.T) {
	broken := errors.New("no randomness")
	for _, available := range []int{0, secretSize - 1, secretSize, secretSize + wire.NonceSize - 1} {
		n := newScene(1)
		n.c.rand = &limitedReader{n: available, err: broken}
		dst := make([]byte, wire.CookieReplySize)
		if err := n.c.Reply(start, dst, n.message(start, wire.TypeInitiation), home); !errors.Is(err, broken) {
			t.Errorf("%d bytes available: err = %v, want the reader's", available, err)
		}
		if !bytes.Equal(dst, make([]byte, len(dst))) {
			t.Errorf("%d bytes available: something was written", available)
		}
	}
}

type limitedReader struct {
	n   int
	err error
}

func (r *limitedReader) Read(b []byte) (int, error) {
	if r.n == 0 {
		return 0, r.err
	}
	k := min(r.n, len(b))
	r.n -= k
	return k, nil
}

// Every reply has a nonce of its own.
func TestNoncesDiffer(t *testing.T) {
	n := newScene(1)
	seen := map[string]bool{}
	m := n.message(start, wire.TypeInitiation)
	for range 1000 {
		seen[string(n.reply(t, start, m, home).Nonce())] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different nonces in 1000 replies", len(seen))
	}
}

func TestClearForgets(t *testing.T) {
	n := newScene(1)
	n.teach(t, start, home)
	n.message(start, wire.TypeInitiation)
	n.g.Clear()
	if n.g.cookie != [wire.MACSize]byte{} || n.g.mac1 != [wire.MACSize]byte{} || n.g.asked || n.g.received != 0 {
		t.Error("the generator keeps something")
	}
	n.c.CheckMAC1(n.message(start, wire.TypeInitiation))
	n.c.Clear()
	if n.c.drawn || n.c.cookie != (blake2s.MAC{}) {
		t.Error("the checker keeps something")
	}
}

// Checking mac1 is what a flood of junk costs (A01, A17): it must not allocate.
func TestCheckMAC1DoesNotAllocate(t *testing.T) {
	n := newScene(1)
	m := n.message(start, wire.TypeInitiation)
	if a := testing.AllocsPerRun(100, func() { n.c.CheckMAC1(m) }); a != 0 {
		t.Errorf("CheckMAC1 allocates %v times, want 0", a)
	}
}

func TestShortMessagesAreWrong(t *testing.T) {
	n := newScene(1)
	for l := range 2 * wire.MACSize {
		if n.c.CheckMAC1(make([]byte, l)) || n.c.CheckMAC2(start, make([]byte, l), home) {
			t.Errorf("%d bytes are right", l)
		}
	}
}

// Z06: any message, any source: only what the generator made passes.
func FuzzChecker(f *testing.F) {
	n := newScene(1)
	n.teach(f, start, home)
	good := n.message(start, wire.TypeInitiation)
	f.Add(good, []byte{192, 0, 2, 7}, uint16(51820), int64(0))
	f.Add(n.message(start, wire.TypeResponse), make([]byte, 16), uint16(0), int64(-1))
	f.Fuzz(func(t *testing.T, msg, addr []byte, port uint16, after int64) {
		typ, ok := wire.Classify(msg)
		if !ok || typ != wire.TypeInitiation && typ != wire.TypeResponse {
			return
		}
		a, _ := netip.AddrFromSlice(addr)
		from := netip.AddrPortFrom(a, port)
		at := start.Add(time.Duration(after))
		again := bytes.Clone(msg)
		g := *n.g
		g.AddMACs(start, again)
		if got, want := n.c.CheckMAC1(msg), bytes.Equal(wire.MAC1(msg), wire.MAC1(again)); got != want {
			t.Errorf("mac1 of %x: %v, want %v", msg, got, want)
		}
		if n.c.CheckMAC2(at, msg, from) && (from != home || after >= int64(wire.CookieSecretLifetime)) {
			t.Errorf("mac2 of %x from %v is right", msg, from)
		}
		if a.IsValid() {
			c := *n.c
			reply := make(wire.CookieReply, wire.CookieReplySize)
			if err := c.Reply(at, reply, msg, from); err != nil || reply.ReceiverIndex() != wire.SenderIndex(msg) {
				t.Errorf("reply %x, %v", reply, err)
			}
		}
	})
}

// Z06
func FuzzCookieReply(f *testing.F) {
	n := newScene(1)
	m := n.message(start, wire.TypeInitiation)
	good := n.reply(f, start, m, home)
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, b []byte) {
		if typ, ok := wire.Classify(b); !ok || typ != wire.TypeCookieReply {
			return
		}
		g := *n.g
		if got, want := g.Consume(start, b), bytes.Equal(b[8:], good[8:]); got != want {
			t.Errorf("reply %x: taken = %v, want %v", b, got, want)
		}
	})
}

func BenchmarkCheckMAC1(b *testing.B) {
	n := newScene(1)
	m := n.message(start, wire.TypeInitiation)
	b.ReportAllocs()
	for b.Loop() {
		n.c.CheckMAC1(m)
	}
}

func BenchmarkCheckMAC2(b *testing.B) {
	n := newScene(1)
	n.teach(b, start, home)
	m := n.message(start, wire.TypeInitiation)
	b.ReportAllocs()
	for b.Loop() {
		n.c.CheckMAC2(start, m, home)
	}
}

func BenchmarkReply(b *testing.B) {
	n := newScene(1)
	m := n.message(start, wire.TypeInitiation)
	dst := make([]byte, wire.CookieReplySize)
	b.ReportAllocs()
	for b.Loop() {
		if err := n.c.Reply(start, dst, m, home); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAddMACs(b *testing.B) {
	n := newScene(1)
	n.teach(b, start, home)
	m := n.message(start, wire.TypeInitiation)
	b.ReportAllocs()
	for b.Loop() {
		n.g.AddMACs(start, m)
	}
}
