package cookie

import (
	"crypto/cipher"
	"crypto/subtle"
	"fmt"
	"io"
	"net/netip"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/warrenvpn/warren/internal/blake2s"
	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
)

const secretSize = 32

// Checker checks the MACs of handshake messages sent to one public key, and makes
// cookie replies in its name.
type Checker struct {
	secret
	rand  io.Reader
	mac1  blake2s.MAC // the key for mac1
	reply cipher.AEAD // keyed for cookie replies

	cookie  blake2s.MAC // the secret R, if drawn is set
	drawn   bool
	changed mono.Time // when R was drawn
}

// NewChecker returns the checker for messages to public. rand provides cookie
// secrets and nonces.
func NewChecker(public key.Public, rand io.Reader) *Checker {
	replyKey := labelled(wire.LabelCookie, &public)
	reply, err := chacha20poly1305.NewX(replyKey[:])
	if err != nil {
		panic("cookie: 32 bytes refused as a key")
	}
	macKey := labelled(wire.LabelMAC1, &public)
	return &Checker{rand: rand, mac1: blake2s.NewMAC(macKey[:]), reply: reply}
}

// CheckMAC1 reports whether the first MAC of a handshake message is right, in
// constant time.
//
// [W] 5.3: the responder does nothing, not even under load, for a message whose
// sender does not know its public key.
func (c *Checker) CheckMAC1(msg []byte) bool {
	if len(msg) < 2*wire.MACSize {
		return false
	}
	sum := c.mac1.Sum(wire.BeforeMAC1(msg))
	return subtle.ConstantTimeCompare(sum[:], wire.MAC1(msg)) == 1
}

// CheckMAC2 reports whether the second MAC of a handshake message is right for
// its sender's address and port, in constant time. It is wrong, too, if the
// secret behind the cookie is no longer in use at now.
func (c *Checker) CheckMAC2(now mono.Time, msg []byte, from netip.AddrPort) bool {
	if len(msg) < 2*wire.MACSize || c.expired(now) {
		return false
	}
	cookie := c.cookieFor(from)
	m := blake2s.NewMAC(cookie[:])
	sum := m.Sum(wire.BeforeMAC2(msg))
	return subtle.ConstantTimeCompare(sum[:], wire.MAC2(msg)) == 1
}

// Reply writes a cookie reply to dst, whose first wire.CookieReplySize bytes it
// fills: the answer to the handshake message msg from that address. It fails, and
// writes nothing, only if no randomness is to be had.
//
// [W] 5.4.7: cookie = XAEAD(HASH(label || Spub), nonce, MAC(R, A), mac1)
func (c *Checker) Reply(now mono.Time, dst []byte, msg []byte, from netip.AddrPort) error {
	m := wire.CookieReply(dst[:wire.CookieReplySize:wire.CookieReplySize])
	if err := c.refresh(now); err != nil {
		return fmt.Errorf("draw cookie secret: %w", err)
	}
	var nonce [wire.NonceSize]byte
	if _, err := io.ReadFull(c.rand, nonce[:]); err != nil {
		return fmt.Errorf("draw cookie nonce: %w", err)
	}
	m.SetHeader(wire.SenderIndex(msg))
	copy(m.Nonce(), nonce[:])
	cookie := c.cookieFor(from)
	copy(m.EncryptedCookie(), cookie[:]) // sealed in place, so that nothing is allocated
	c.reply.Seal(m.EncryptedCookie()[:0], m.Nonce(), m.EncryptedCookie()[:len(cookie)], wire.MAC1(msg))
	return nil
}

// Clear forgets the cookie secret: cookies given out so far are worth nothing.
func (c *Checker) Clear() {
	c.cookie.Clear()
	c.drawn, c.changed = false, 0
}

// expired reports whether there is no secret, or one too old.
//
// [W] 5.4.7: R changes every two minutes.
func (c *Checker) expired(now mono.Time) bool {
	return !c.drawn || now.Sub(c.changed) >= wire.CookieSecretLifetime
}

// refresh makes sure that there is a secret to make cookies with.
func (c *Checker) refresh(now mono.Time) error {
	if !c.expired(now) {
		return nil
	}
	var r [secretSize]byte
	if _, err := io.ReadFull(c.rand, r[:]); err != nil {
		return err
	}
	c.cookie, c.drawn, c.changed = blake2s.NewMAC(r[:]), true, now
	clear(r[:])
	return nil
}

// cookieFor returns the cookie of an address.
//
// [W] 5.4.7: A is the concatenation of the address and the port, so neighbours
// behind one NAT have different cookies (B50). An IPv4 sender has one cookie
// however the socket writes its address.
func (c *Checker) cookieFor(from netip.AddrPort) [wire.MACSize]byte {
	var source [16 + 2]byte
	a := source[:0]
	if addr := from.Addr().Unmap(); addr.Is4() {
		b := addr.As4()
		a = append(a, b[:]...)
	} else {
		b := addr.As16()
		a = append(a, b[:]...)
	}
	a = append(a, byte(from.Port()>>8), byte(from.Port()))
	return c.cookie.Sum(a)
}

// labelled returns HASH(label || public): how a public key becomes a symmetric
// one that everybody who knows it can compute.
func labelled(label string, public *key.Public) [blake2s.Size]byte {
	return blake2s.Sum([]byte(label), public[:])
}
