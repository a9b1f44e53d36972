package tunnel

import (
	"bytes"
	"crypto/ecdh"
	"encoding/binary"
	"reflect"
	"testing"
	"time"

	"github.com/warrenvpn/warren/key"
)

// holds reports whether secret stands anywhere in the memory that can be reached
// from root, exported or not.
func holds(root any, secret []byte) bool {
	return (&searcher{secret: secret, seen: map[uintptr]bool{}}).search(reflect.ValueOf(root))
}

type searcher struct {
	secret []byte
	seen   map[uintptr]bool
	skip   reflect.Type // not followed
}

func (f *searcher) search(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || v.Type() == f.skip || f.seen[v.Pointer()] {
			return false
		}
		f.seen[v.Pointer()] = true
		return f.search(v.Elem())
	case reflect.Interface:
		return !v.IsNil() && f.search(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if f.search(v.Field(i)) {
				return true
			}
		}
	case reflect.Array, reflect.Slice:
		return f.searchList(v)
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if f.search(it.Key()) || f.search(it.Value()) {
				return true
			}
		}
	}
	return false
}

// searchList looks at a list of integers as the bytes it is, and into any other.
func (f *searcher) searchList(v reflect.Value) bool {
	var b []byte
	for i := range v.Len() {
		switch e := v.Index(i); e.Kind() {
		case reflect.Uint8:
			b = append(b, byte(e.Uint()))
		case reflect.Uint32:
			b = binary.NativeEndian.AppendUint32(b, uint32(e.Uint()))
		case reflect.Uint64:
			b = binary.NativeEndian.AppendUint64(b, e.Uint())
		default:
			if f.search(e) {
				return true
			}
		}
	}
	return bytes.Contains(b, f.secret)
}

// recorder remembers what was drawn from a source of randomness.
type recorder struct {
	from  interface{ Read([]byte) (int, error) }
	drawn [][]byte
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.from.Read(b)
	if n == key.Size {
		r.drawn = append(r.drawn, bytes.Clone(b))
	}
	return n, err
}

func (l *link) holds(secret []byte) bool {
	f := &searcher{secret: secret, seen: map[uintptr]bool{}, skip: reflect.TypeFor[*Env]()}
	return f.search(reflect.ValueOf(l.peer))
}

// P36: of a peer that goes down, or of what is too old, no ephemeral key, no
// transport key, no static-static product can be reached; after Clear no preshared
// key either.
func TestSecretsAreGone(t *testing.T) {
	for _, how := range []string{"down", "540 s"} {
		t.Run(how, func(t *testing.T) {
			w, a, b := pair(t, 1)
			ephemerals := &recorder{from: a.h.env.Rand}
			a.h.env.Rand = ephemerals
			a.setPSK("a preshared key of 32 bytes' len")
			b.setPSK("a preshared key of 32 bytes' len")
			psk := bytes.Clone(a.peer.Preshared().RevealBytes()[:])

			a.data("x")
			w.advance(time.Second)
			sessions := []*Session{a.peer.current}
			a.until(125 * time.Second)
			a.data("rekey")
			w.advance(time.Second)
			sessions = append(sessions, a.peer.current)
			a.until(125 * time.Second)
			w.rules = []*rule{{left: -1, act: "drop"}}
			a.data("a handshake that is not answered")

			last := ephemerals.drawn[len(ephemerals.drawn)-1]
			if len(ephemerals.drawn) != 3 || !a.holds(last) || !a.holds(psk) {
				t.Fatal("the search does not find the pending ephemeral key or the preshared key, so it proves nothing")
			}
			for _, e := range ephemerals.drawn[:2] {
				if a.holds(e) {
					t.Error("the ephemeral key of a finished handshake can be reached")
				}
			}
			product := staticStatic(t, a, b)
			if !a.holds(product) {
				t.Fatal("the search does not find the static-static product, so it proves nothing")
			}
			if how == "down" {
				a.h.setUp(false)
				if a.holds(product) {
					t.Error("the static-static product can be reached")
				}
			} else {
				w.advance(3 * 180 * time.Second)
			}
			for _, e := range ephemerals.drawn {
				if a.holds(e) {
					t.Error("an ephemeral key can be reached")
				}
			}
			for _, s := range sessions {
				if s.Sendable() {
					t.Error("a session is not cleared")
				}
			}
			if !a.holds(psk) {
				t.Error("the preshared key is configuration and must stay")
			}
			a.h.removeLink(a)
			if a.holds(psk) {
				t.Error("the preshared key can be reached after Clear")
			}
		})
	}
}

// staticStatic is DH of the private key of a's host and the public key of b's.
func staticStatic(t *testing.T, a, b *link) []byte {
	t.Helper()
	private, err := ecdh.X25519().NewPrivateKey(a.h.private.RevealBytes()[:])
	if err != nil {
		t.Fatal(err)
	}
	public, err := ecdh.X25519().NewPublicKey(b.h.public[:])
	if err != nil {
		t.Fatal(err)
	}
	product, err := private.ECDH(public)
	if err != nil {
		t.Fatal(err)
	}
	return product
}
