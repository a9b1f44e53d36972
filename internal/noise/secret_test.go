package noise

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/key"
)

// A32: no value of this package shows its secrets, by value or by pointer, in any
// way that Go programs print or encode things.
func TestSecretsAreNeverShown(t *testing.T) {
	c := newCouple(1)
	i := c.initiate(t)
	o := c.open(t)
	p := c.accept(t)
	k := c.respond(t)
	secrets := [][]byte{
		c.privI.RevealBytes()[:], c.privR.RevealBytes()[:], c.toI.ss[:],
		i.sym.chain[:], i.sym.key[:], i.ephemeral[:], o.sym.chain[:], o.sym.key[:],
		p.sym.chain[:], p.sym.key[:], k.Send[:], k.Receive[:],
	}
	for _, v := range []any{c.i, *c.i, c.toI, *c.toI, i, &i, o, &o, p, &p, k, &k} {
		name := fmt.Sprintf("%T", v)
		for form, text := range printed(v) {
			if form[0] == '%' && text != redacted {
				t.Errorf("%s as %s shows %q", name, form, text)
			}
			for _, s := range secrets {
				if shows(text, s) {
					t.Errorf("%s as %s shows a secret: %q", name, form, text)
				}
			}
		}
	}
}

// printed returns everything that printing and encoding make of v.
func printed(v any) map[string]string {
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d", "%t", "%o", "%b", "%64v"} {
		out[verb] = fmt.Sprintf(verb, v)
	}
	var b strings.Builder
	b.WriteString(fmt.Sprint(v) + fmt.Sprintln(v) + fmt.Errorf("x: %v", v).Error())
	out["print"] = b.String()

	j, err := json.Marshal(map[string]any{"a": v, "b": []any{v}})
	out["json"] = fmt.Sprint(string(j), err)
	x, err := xml.Marshal(v)
	out["xml"] = fmt.Sprint(string(x), err)
	var g bytes.Buffer
	err = gob.NewEncoder(&g).Encode(v)
	out["gob"] = fmt.Sprint(g.String(), err)

	var l bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&l, nil), slog.NewJSONHandler(&l, nil)} {
		slog.New(h).Info("m", "k", v, slog.Group("g", "k", v))
	}
	out["slog"] = l.String()
	return out
}

// shows reports whether text has eight bytes of secret in a row, raw, in
// hexadecimal, in base64 or as decimal numbers.
func shows(text string, secret []byte) bool {
	decimal := strings.Trim(fmt.Sprint(secret[:8]), "[]")
	return strings.Contains(text, string(secret[:8])) ||
		strings.Contains(strings.ToLower(text), hex.EncodeToString(secret[:8])) ||
		strings.Contains(text, base64.StdEncoding.EncodeToString(secret)[:10]) ||
		strings.Contains(text, decimal) || strings.Contains(text, strings.ReplaceAll(decimal, " ", ","))
}

// The helper above must be able to find something.
func TestShowsFindsASecret(t *testing.T) {
	type open struct{ B [key.Size]byte }
	v := open{*newCouple(1).bytes()}
	for form, text := range printed(v) {
		if (form == "%v" || form == "%x" || form == "json") && !shows(text, v.B[:]) {
			t.Errorf("%s of an open struct: the secret is not found in %q", form, text)
		}
	}
}

// [W] 5.4.5: when the session exists, chaining keys, ephemeral keys and hashes are
// zeroed. Looks at the memory of each value.
func TestNothingIsLeftAfterTheHandshake(t *testing.T) {
	c := newCouple(1)
	i := c.initiate(t)
	ephemeral := i.ephemeral
	o := c.open(t)
	p, err := o.Accept(c.r, c.toI)
	if err != nil {
		t.Fatal(err)
	}
	response := make([]byte, 92)
	kr, err := p.Respond(response, c.bytes(), c.sendR, c.psk)
	if err != nil {
		t.Fatal(err)
	}
	ki, err := i.Consume(response, c.i, c.psk)
	if err != nil {
		t.Fatal(err)
	}
	zeroSymmetric(t, "initiator", &i.sym)
	zeroSymmetric(t, "opened", &o.sym)
	zeroSymmetric(t, "responder", &p.sym)
	zero(t, "initiator's ephemeral key", ephemeral[:])
	if i.ephemeral != nil || o.to != nil {
		t.Error("a finished handshake keeps references")
	}
	zero(t, "opened", o.ephemeral[:], o.remote[:], o.timestamp[:])
	zero(t, "responder", p.ephemeral[:], p.remote[:])

	ki.Clear()
	kr.Clear()
	zero(t, "keys", ki.Send[:], ki.Receive[:], kr.Send[:], kr.Receive[:])
}

func TestClearErases(t *testing.T) {
	c := newCouple(1)
	i := c.initiate(t)
	o := c.open(t)
	p := c.accept(t)
	ephemeral := i.ephemeral
	i.Clear()
	i.Clear() // twice does no harm
	o.Clear()
	p.Clear()
	c.toI.Clear()
	c.r.Clear()
	zeroSymmetric(t, "initiator", &i.sym)
	zeroSymmetric(t, "opened", &o.sym)
	zeroSymmetric(t, "responder", &p.sym)
	zero(t, "ephemeral key", ephemeral[:])
	zero(t, "static key", c.r.private[:])
	zero(t, "static-static product", c.toI.ss[:])

	// The zero values are cleared handshakes.
	new(Initiator).Clear()
	new(Opened).Clear()
	new(Responder).Clear()
}

// A failed Initiate leaves no ephemeral key behind, and the caller's is untouched:
// it belongs to the caller.
func TestEphemeralBelongsToTheCaller(t *testing.T) {
	c := newCouple(1)
	e := *c.bytes()
	was := e
	if _, err := Initiate(make([]byte, 148), c.i, c.toR, &e, 1, c.stamp); err != nil || e != was {
		t.Errorf("Initiate: %v; the caller's ephemeral key changed: %v", err, e != was)
	}
}

func zeroSymmetric(t *testing.T, what string, y *symmetric) {
	t.Helper()
	zero(t, what+"'s chaining key, hash and message key", y.chain[:], y.hash[:], y.key[:])
}

func zero(t *testing.T, what string, memory ...[]byte) {
	t.Helper()
	for _, m := range memory {
		if !bytes.Equal(m, make([]byte, len(m))) {
			t.Errorf("%s: %x is left", what, m)
		}
	}
}
