package cookie

import (
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/warrenvpn/warren/internal/blake2s"
	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
)

// Generator finishes the handshake messages sent to one peer and takes the
// peer's cookie replies. It keeps about a hundred bytes and derives its keys when
// it needs them, which is once in five seconds at most.
type Generator struct {
	secret
	remote key.Public
	mac1   [wire.MACSize]byte // of the last message, if asked
	cookie [wire.MACSize]byte // L of [W] 5.4.4, if received is set
	// received is when the cookie came.
	received mono.Time
	// asked: a message went out and no cookie for it has come yet.
	asked bool
}

// NewGenerator returns the generator for messages to remote.
func NewGenerator(remote key.Public) *Generator { return &Generator{remote: remote} }

// AddMACs fills in the last two fields of a handshake message, everything before
// them being final, and remembers mac1 for the cookie reply it may cause.
//
// [W] 5.4.4: mac2 is zero without a cookie, or with one that is too old.
func (g *Generator) AddMACs(now mono.Time, msg []byte) {
	k := labelled(wire.LabelMAC1, &g.remote)
	sum(wire.MAC1(msg), k[:], wire.BeforeMAC1(msg))
	copy(g.mac1[:], wire.MAC1(msg))
	g.asked = true

	if g.received.IsZero() || now.Sub(g.received) >= wire.CookieLifetime {
		g.forgetCookie()
		clear(wire.MAC2(msg))
		return
	}
	sum(wire.MAC2(msg), g.cookie[:], wire.BeforeMAC2(msg))
}

// Consume takes a cookie reply and reports whether it was the peer's answer to
// the last message. Only then is anything changed, and only once per message, so
// replays and forgeries neither plant a cookie nor displace one.
//
// [W] 5.4.7: the receiver stores the cookie with the time it came, and that is
// all: it sends nothing until its next message is due.
func (g *Generator) Consume(now mono.Time, m wire.CookieReply) bool {
	if !g.asked {
		return false
	}
	k := labelled(wire.LabelCookie, &g.remote)
	aead, err := chacha20poly1305.NewX(k[:])
	if err != nil {
		panic("cookie: 32 bytes refused as a key")
	}
	// [W] 5.4.7: with mac1 as additional data, the reply is bound to our message.
	cookie, err := aead.Open(nil, m.Nonce(), m.EncryptedCookie(), g.mac1[:])
	if err != nil {
		return false
	}
	copy(g.cookie[:], cookie)
	clear(cookie)
	g.received, g.asked = now, false
	return true
}

// Clear forgets the cookie and the last message.
func (g *Generator) Clear() {
	g.forgetCookie()
	clear(g.mac1[:])
	g.asked = false
}

func (g *Generator) forgetCookie() {
	clear(g.cookie[:])
	g.received = 0
}

// sum writes MAC(k, data) to dst.
func sum(dst, k, data []byte) {
	m := blake2s.NewMAC(k)
	mac := m.Sum(data)
	copy(dst, mac[:])
}
