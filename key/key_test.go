package key

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
)

func seeded(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

// Q02: a private key is clamped however it is made, and gives the public key of
// RFC 7748, 6.1.
func TestPublicOfPrivate(t *testing.T) {
	const (
		alice  = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
		clampd = "70076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c6a"
		public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
	)
	k, err := ParsePrivateHex(alice)
	if err != nil {
		t.Fatal(err)
	}
	if k.RevealHex() != clampd {
		t.Errorf("the key is %s, want it clamped: %s", k.RevealHex(), clampd)
	}
	if p := k.Public(); p.Hex() != public {
		t.Errorf("public key = %s, want %s", p.Hex(), public)
	}
	again, err := ParsePrivate(k.Reveal())
	if err != nil || !again.Equal(&k) || !bytes.Equal(again.RevealBytes()[:], k.RevealBytes()[:]) {
		t.Errorf("the base64 form does not read back: %v", err)
	}
}

func TestEveryPrivateKeyIsClamped(t *testing.T) {
	r := seeded(1)
	seen := map[string]bool{}
	for range 10_000 {
		k, err := GeneratePrivate(r)
		if err != nil {
			t.Fatal(err)
		}
		b := k.RevealBytes()
		if b[0]&7 != 0 || b[31]&0xc0 != 0x40 {
			t.Fatalf("seed 1: key %x is not clamped", *b)
		}
		seen[k.Reveal()] = true
	}
	if len(seen) != 10_000 {
		t.Errorf("%d different keys of 10000", len(seen))
	}
}

// The zero private key means "none" and stays so, with a zero public key.
func TestZeroMeansNone(t *testing.T) {
	zero := NewPrivate([Size]byte{})
	if p := zero.Public(); !zero.IsZero() || !p.IsZero() {
		t.Error("the zero private key became a key")
	}
	if k, err := ParsePrivate(strings.Repeat("A", 43) + "="); err != nil || !k.IsZero() {
		t.Errorf("the text of the zero key: %v", err)
	}
	psk := NewPreshared([Size]byte{})
	if !psk.IsZero() {
		t.Error("a preshared key of zeros is not none (B63)")
	}
	for i := range Size {
		var b [Size]byte
		b[i] = 0x40 // survives clamping everywhere
		k, psk, pub := NewPrivate(b), NewPreshared(b), Public(b)
		if k.IsZero() || psk.IsZero() || pub.IsZero() {
			t.Errorf("byte %d does not count", i)
		}
	}
}

func TestEqual(t *testing.T) {
	a, b := NewPrivate([Size]byte{1: 1}), NewPrivate([Size]byte{1: 2})
	p, q := NewPreshared([Size]byte{1: 1}), NewPreshared([Size]byte{1: 2})
	same, samePSK := NewPrivate([Size]byte{1: 1}), NewPreshared([Size]byte{1: 1})
	if a.Equal(&b) || !a.Equal(&same) || p.Equal(&q) || !p.Equal(&samePSK) {
		t.Error("Equal is wrong")
	}
}

func TestClearErases(t *testing.T) {
	k, p := NewPrivate([Size]byte{1: 1}), NewPreshared([Size]byte{1: 1})
	memory, memoryPSK := k.RevealBytes(), p.RevealBytes()
	k.Clear()
	p.Clear()
	if *memory != [Size]byte{} || *memoryPSK != [Size]byte{} || !k.IsZero() || !p.IsZero() {
		t.Error("something is left")
	}
}

// F23: no randomness, no key.
func TestGenerateFailsWithoutRandomness(t *testing.T) {
	short := func() io.Reader { return strings.NewReader("too short") }
	if k, err := GeneratePrivate(short()); !errors.Is(err, io.ErrUnexpectedEOF) || !k.IsZero() {
		t.Errorf("GeneratePrivate: %v", err)
	}
	if k, err := GeneratePreshared(short()); !errors.Is(err, io.ErrUnexpectedEOF) || !k.IsZero() {
		t.Errorf("GeneratePreshared: %v", err)
	}
}

func TestGeneratePreshared(t *testing.T) {
	var want [Size]byte
	io.ReadFull(seeded(2), want[:])
	k, err := GeneratePreshared(seeded(2))
	if err != nil || *k.RevealBytes() != want {
		t.Errorf("got %x, %v; want the reader's bytes unchanged", *k.RevealBytes(), err)
	}
	if back, err := ParsePreshared(k.Reveal()); err != nil || !back.Equal(&k) {
		t.Errorf("base64 does not read back: %v", err)
	}
	if back, err := ParsePresharedHex(k.RevealHex()); err != nil || !back.Equal(&k) {
		t.Errorf("hexadecimal does not read back: %v", err)
	}
}

// Texts that are not keys, in each form.
func TestBadTexts(t *testing.T) {
	good := Public{1, 2, 3}.String()
	for name, s := range map[string]string{
		"empty": "", "too short": good[:43], "too long": good + "=", "no padding": good[:43] + "A",
		"space before": " " + good[:43], "space inside": good[:20] + " " + good[21:], "newline": good[:43] + "\n",
		"url alphabet": "-_" + good[2:], "padding inside": good[:42] + "==", "not ASCII": "é" + good[2:],
		"unused bits set": strings.Repeat("A", 42) + "B=", "NUL": "\x00" + good[1:], "high bit": "\x80" + good[1:],
	} {
		for form, err := range map[string]error{"public": errOf(ParsePublic(s)), "private": errOf(ParsePrivate(s)), "preshared": errOf(ParsePreshared(s))} {
			if !errors.Is(err, ErrFormat) {
				t.Errorf("%s as %s: err = %v, want ErrFormat", name, form, err)
			}
		}
	}
	goodHex := Public{1, 2, 3}.Hex()
	for name, s := range map[string]string{
		"empty": "", "too short": goodHex[:63], "too long": goodHex + "0", "g": "g" + goodHex[1:], "0x": "0x" + goodHex[2:],
		"space": " " + goodHex[1:], "colon": ":" + goodHex[1:], "@": "@" + goodHex[1:], "`": "`" + goodHex[1:], "high bit": "\xb0" + goodHex[1:],
	} {
		for form, err := range map[string]error{"public": errOf(ParsePublicHex(s)), "private": errOf(ParsePrivateHex(s)), "preshared": errOf(ParsePresharedHex(s))} {
			if !errors.Is(err, ErrFormat) {
				t.Errorf("%s as %s in hexadecimal: err = %v, want ErrFormat", name, form, err)
			}
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

// A bad text can be a key with one letter wrong: errors do not repeat it.
func TestErrorsDoNotRepeatTheText(t *testing.T) {
	k := NewPrivate([Size]byte{1, 2, 3, 4, 5, 6, 7, 8})
	for _, err := range []error{errOf(ParsePrivate(k.Reveal()[:43])), errOf(ParsePrivate("!" + k.Reveal()[1:])), errOf(ParsePrivateHex(k.RevealHex()[:63] + "x"))} {
		if err == nil || strings.Contains(err.Error(), k.Reveal()[4:12]) || strings.Contains(err.Error(), k.RevealHex()[4:12]) {
			t.Errorf("err = %v", err)
		}
	}
}

// B104's code is arithmetic instead of tables, so every character is tried.
func TestCodecAgainstStandardLibrary(t *testing.T) {
	for c := range 256 {
		var want int
		if i := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", byte(c)); true {
			want = i
		}
		if got := sextet(byte(c)); got != want {
			t.Errorf("sextet(%q) = %d, want %d", byte(c), got, want)
		}
		want = strings.IndexByte("0123456789abcdef", byte(c))
		if want < 0 {
			want = strings.IndexByte("0123456789ABCDEF", byte(c))
		}
		if got := nibble(byte(c)); got != want {
			t.Errorf("nibble(%q) = %d, want %d", byte(c), got, want)
		}
	}
	r := seeded(3)
	for range 10_000 {
		var b [Size]byte
		r.Read(b[:])
		s := Public(b).String()
		if want := base64.StdEncoding.EncodeToString(b[:]); s != want {
			t.Fatalf("seed 3: %x is %s, want %s", b, s, want)
		}
		if back, err := ParsePublic(s); err != nil || back != Public(b) {
			t.Fatalf("seed 3: %s reads as %v, %v", s, back, err)
		}
		h := Public(b).Hex()
		for _, form := range []string{h, strings.ToUpper(h)} {
			if back, err := ParsePublicHex(form); err != nil || back != Public(b) {
				t.Fatalf("seed 3: %s reads as %v, %v", form, back, err)
			}
		}
	}
}

// A32: secrets are shown by no verb and no encoder, by value or by pointer, alone
// or inside other values.
func TestSecretsAreNeverShown(t *testing.T) {
	r := seeded(4)
	k, _ := GeneratePrivate(r)
	p, _ := GeneratePreshared(r)
	secrets := []string{}
	for _, b := range []*[Size]byte{k.RevealBytes(), p.RevealBytes()} {
		decimal := strings.Trim(fmt.Sprint(b[4:12]), "[]")
		secrets = append(secrets, string(b[4:12]), hex.EncodeToString(b[4:12]), base64.StdEncoding.EncodeToString(b[:])[4:14],
			decimal, strings.ReplaceAll(decimal, " ", ","))
	}
	type config struct {
		Key  Private
		PSK  *Preshared
		Keys []Private
	}
	for _, v := range []any{k, &k, p, &p, config{k, &p, []Private{k}}, &config{k, &p, []Private{k}}, map[string]any{"k": k, "p": &p}} {
		for form, text := range shown(v) {
			for _, s := range secrets {
				if strings.Contains(text, s) || strings.Contains(strings.ToLower(text), s) {
					t.Errorf("%T as %s shows a secret: %q", v, form, text)
				}
			}
		}
	}
}

func shown(v any) map[string]string {
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d", "%o", "%b", "%50v"} {
		out[verb] = fmt.Sprintf(verb, v)
	}
	out["error"] = fmt.Errorf("bad: %v", v).Error()
	j, err := json.Marshal(v)
	out["json"] = fmt.Sprint(string(j), err)
	x, err := xml.Marshal(v)
	out["xml"] = fmt.Sprint(string(x), err)
	var g bytes.Buffer
	err = gob.NewEncoder(&g).Encode(v)
	out["gob"] = fmt.Sprint(g.String(), err)
	var l bytes.Buffer
	slog.New(slog.NewTextHandler(&l, nil)).Info("m", "k", v)
	slog.New(slog.NewJSONHandler(&l, nil)).Info("m", "k", v)
	out["slog"] = l.String()
	return out
}

// Public keys are shown in full: they name peers.
func TestPublicIsShown(t *testing.T) {
	p := Public{1, 2, 3}
	if got := fmt.Sprintf("%v %s", p, p); got != p.String()+" "+p.String() {
		t.Errorf("printed as %q", got)
	}
}

// Z16: base64. What is accepted is what the standard library accepts in strict
// mode, and writes back as it was read.
func FuzzParsePublic(f *testing.F) {
	f.Add(Public{1, 2, 3}.String())
	f.Add(strings.Repeat("/", 43) + "=")
	f.Add(strings.Repeat("A", 42) + "B=")
	f.Fuzz(func(t *testing.T, s string) {
		want, wantErr := base64.StdEncoding.Strict().DecodeString(s)
		ok := wantErr == nil && len(want) == Size && len(s) == textLen && !strings.ContainsAny(s, "\r\n")
		got, err := ParsePublic(s)
		if (err == nil) != ok {
			t.Fatalf("%q: err = %v, want accepted = %v", s, err, ok)
		}
		if ok && (got != Public(want) || got.String() != s) {
			t.Fatalf("%q reads as %v", s, got)
		}
		if err != nil && (got != Public{} || !errors.Is(err, ErrFormat)) {
			t.Fatalf("%q: %v with %v", s, got, err)
		}
	})
}

// Z16: hexadecimal.
func FuzzParsePublicHex(f *testing.F) {
	f.Add(Public{1, 2, 3}.Hex())
	f.Add(strings.Repeat("aF", 32))
	f.Fuzz(func(t *testing.T, s string) {
		want, wantErr := hex.DecodeString(s)
		ok := wantErr == nil && len(want) == Size
		got, err := ParsePublicHex(s)
		if (err == nil) != ok {
			t.Fatalf("%q: err = %v, want accepted = %v", s, err, ok)
		}
		if ok && (got != Public(want) || got.Hex() != strings.ToLower(s)) {
			t.Fatalf("%q reads as %v", s, got)
		}
		if err != nil && got != (Public{}) {
			t.Fatalf("%q: %v with %v", s, got, err)
		}
	})
}

// Z16: private keys come out clamped or zero, whatever the text.
func FuzzParsePrivate(f *testing.F) {
	f.Add(Public{1, 2, 3}.String())
	f.Add(strings.Repeat("A", 43) + "=")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParsePrivate(s)
		b := k.RevealBytes()
		if !k.IsZero() && (b[0]&7 != 0 || b[31]&0xc0 != 0x40) {
			t.Fatalf("%q: not clamped", s)
		}
		if err != nil && !k.IsZero() {
			t.Fatalf("%q: an error and a key", s)
		}
	})
}

func Example() {
	private, err := ParsePrivate("yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=")
	if err != nil {
		panic(err)
	}
	fmt.Println(private, private.Public())
	// Output: (redacted) HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=
}

func BenchmarkParsePublic(b *testing.B) {
	s := Public{1, 2, 3}.String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParsePublic(s); err != nil {
			b.Fatal(err)
		}
	}
}
