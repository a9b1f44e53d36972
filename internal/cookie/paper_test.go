package cookie

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/warrenvpn/warren/internal/vectors"
	"github.com/warrenvpn/warren/internal/vectors/wycheproof"
	"github.com/warrenvpn/warren/internal/wire"
)

// One test per sentence of the paper's sections 5.3, 5.4.4 and 5.4.7. The sentence
// is retold above each.

// mac is MAC of [W] 5.4, written out once more.
func mac(key, data []byte) []byte {
	h, err := blake2s.New128(key)
	if err != nil {
		panic(err)
	}
	h.Write(data)
	return h.Sum(nil)
}

// [W] 5.3: the first MAC is always required, under load or not, and shows that the
// sender knows whom it is talking to.
func TestPaper53FirstMACNeedsThePublicKey(t *testing.T) {
	n, other := newScene(1), newScene(2)
	if m := n.message(start, wire.TypeInitiation); !n.c.CheckMAC1(m) || other.c.CheckMAC1(m) {
		t.Error("mac1 does not tell the receivers apart")
	}
}

// [W] 5.3: the MACs cover the whole message before them, so they cannot be moved
// to another.
func TestPaper53MACsBelongToTheirMessage(t *testing.T) {
	n := newScene(1)
	n.teach(t, start, home)
	a, b := n.message(start, wire.TypeInitiation), n.message(start, wire.TypeInitiation)
	copy(b[116:], a[116:])
	if n.c.CheckMAC1(b) || n.c.CheckMAC2(start, b, home) {
		t.Error("the MACs of one message fit another")
	}
}

// [W] 5.3: the cookie is computed from the source address under a secret that
// changes every two minutes, so that the responder need not remember senders.
func TestPaper53ResponderKeepsNothingPerSender(t *testing.T) {
	n := newScene(1)
	n.teach(t, start, home)
	m := n.message(start, wire.TypeInitiation)
	for i := range 1000 { // cookies for others do not touch it
		n.reply(t, start, m, home6)
		if !n.c.CheckMAC2(start.Add(time.Duration(i)), m, home) {
			t.Fatal("the cookie is forgotten")
		}
	}
}

// [W] 5.3: the cookie does not travel in the clear, where somebody on the way
// could pick it up without knowing the responder's key.
func TestPaper53CookieIsEncrypted(t *testing.T) {
	n := newScene(1)
	r := n.reply(t, start, n.message(start, wire.TypeInitiation), home)
	if cookie := n.c.cookieFor(home); bytes.Contains(r, cookie[:4]) {
		t.Error("the cookie can be read in its reply")
	}
}

// [W] 5.4.4: mac1 = MAC(HASH(label || receiver's static key), message before mac1).
func TestPaper544MAC1(t *testing.T) {
	n := newScene(1)
	for _, typ := range []wire.Type{wire.TypeInitiation, wire.TypeResponse} {
		m := n.message(start, typ)
		k := blake2s.Sum256(append([]byte("mac1----"), n.public[:]...))
		if want := mac(k[:], m[:len(m)-32]); !bytes.Equal(wire.MAC1(m), want) {
			t.Errorf("%v: mac1 = %x, want %x", typ, wire.MAC1(m), want)
		}
	}
}

// [W] 5.4.4: without a cookie, or when the last one is 120 s old (we stop 5 s
// earlier, [K]), mac2 is sixteen zero bytes.
func TestPaper544MAC2WithoutCookie(t *testing.T) {
	n := newScene(1)
	m := n.message(start, wire.TypeInitiation)
	if !bytes.Equal(wire.MAC2(m), make([]byte, 16)) {
		t.Errorf("mac2 without a cookie = %x", wire.MAC2(m))
	}
	n.teach(t, start, home)
	m = n.message(start.Add(120*time.Second), wire.TypeInitiation)
	if !bytes.Equal(wire.MAC2(m), make([]byte, 16)) {
		t.Errorf("mac2 with an old cookie = %x", wire.MAC2(m))
	}
}

// [W] 5.4.4: otherwise mac2 = MAC(cookie, message before mac2), mac1 included.
func TestPaper544MAC2WithCookie(t *testing.T) {
	n := newScene(1)
	n.teach(t, start, home)
	m := n.message(start, wire.TypeResponse)
	cookie := n.c.cookieFor(home)
	if want := mac(cookie[:], m[:len(m)-16]); !bytes.Equal(wire.MAC2(m), want) {
		t.Errorf("mac2 = %x, want %x", wire.MAC2(m), want)
	}
}

// [W] 5.4.7: the reply is type 3, goes to the sender index of the message it
// answers, and has a random nonce of 24 bytes.
func TestPaper547ReplyFields(t *testing.T) {
	n := newScene(1)
	for _, typ := range []wire.Type{wire.TypeInitiation, wire.TypeResponse} {
		m := n.message(start, typ)
		r := n.reply(t, start, m, home)
		if got, ok := wire.Classify(r); got != wire.TypeCookieReply || !ok || !bytes.Equal(r[:4], []byte{3, 0, 0, 0}) {
			t.Errorf("header = %x", r[:4])
		}
		if !bytes.Equal(r[4:8], m[4:8]) {
			t.Errorf("receiver = %x, want %x", r[4:8], m[4:8])
		}
		if len(r.Nonce()) != 24 || bytes.Equal(r.Nonce(), make([]byte, 24)) {
			t.Errorf("nonce = %x", r.Nonce())
		}
	}
}

// [W] 5.4.7: cookie = XAEAD(HASH(label || responder's static key), nonce,
// MAC(R, source address and port), mac1 of the message).
func TestPaper547EncryptedCookie(t *testing.T) {
	n := newScene(1)
	m := n.message(start, wire.TypeInitiation)
	r := n.reply(t, start, m, home)
	k := blake2s.Sum256(append([]byte("cookie--"), n.public[:]...))
	aead, err := chacha20poly1305.NewX(k[:])
	if err != nil {
		t.Fatal(err)
	}
	got, err := aead.Open(nil, r[8:32], r[32:64], m[116:132])
	if cookie := n.c.cookieFor(home); err != nil || !bytes.Equal(got, cookie[:]) {
		t.Errorf("opened %x, %v", got, err)
	}
}

// [W] 5.4.7: with mac1 as additional data, only somebody who sees our messages
// can make us take a cookie.
func TestPaper547ReplyIsBoundToTheMessage(t *testing.T) {
	n := newScene(1)
	m := n.message(start, wire.TypeInitiation)
	other := bytes.Clone(m)
	wire.MAC1(other)[0] ^= 1
	if n.g.Consume(start, n.reply(t, start, other, home)) {
		t.Error("a reply to a message we did not send is taken")
	}
}

// [W] 5.4.7: the reply is smaller than both messages it may answer, so nobody gains
// by letting it be sent to a victim.
func TestPaper547ReplyDoesNotAmplify(t *testing.T) {
	if wire.CookieReplySize >= wire.ResponseSize || wire.ResponseSize >= wire.InitiationSize {
		t.Error("an answer is larger than the question")
	}
}

// [W] 5.4.7: upon a valid reply the cookie and the time are stored, and that is
// all; sending waits for its timer. There is nothing here that could send: the
// next message, whenever it comes, has the cookie.
func TestPaper547NextMessageHasTheCookie(t *testing.T) {
	n := newScene(1)
	n.teach(t, start, home)
	at := start.Add(wire.RekeyTimeout)
	if m := n.message(at, wire.TypeInitiation); !n.c.CheckMAC2(at, m, home) {
		t.Error("the next attempt has no valid mac2")
	}
}

// P02
func TestXChaCha20Poly1305(t *testing.T) {
	v := vectors.XChaCha20Poly1305()
	checkXAEAD(t, v.Name, v.Key, v.Nonce, v.AD, v.Plaintext, v.Sealed)
	tests := wycheproof.XChaCha20Poly1305s()
	if len(tests) < 300 {
		t.Fatalf("only %d tests found", len(tests))
	}
	for _, w := range tests {
		if len(w.IV) != chacha20poly1305.NonceSizeX {
			continue // the nonce is an array here; other sizes cannot come up
		}
		sealed := append(bytes.Clone(w.CT), w.Tag...)
		if w.Result == "valid" {
			checkXAEAD(t, w.Comment, w.Key, w.IV, w.AAD, w.Msg, sealed)
			continue
		}
		aead, err := chacha20poly1305.NewX(w.Key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := aead.Open(nil, w.IV, sealed, w.AAD); err == nil {
			t.Errorf("test %d (%s): a forged message opens", w.ID, w.Comment)
		}
	}
}

func checkXAEAD(t *testing.T, name string, key, nonce, ad, plaintext, sealed []byte) {
	t.Helper()
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		t.Fatal(err)
	}
	if got := aead.Seal(nil, nonce, plaintext, ad); !bytes.Equal(got, sealed) {
		t.Errorf("%s: sealed %x, want %x", name, got, sealed)
	}
	if got, err := aead.Open(nil, nonce, sealed, ad); err != nil || !bytes.Equal(got, plaintext) {
		t.Errorf("%s: opened %x, %v; want %x", name, got, err, plaintext)
	}
}
