// Package wycheproof reads the vectors of Project Wycheproof for the primitives
// of the handshake. It is apart from package vectors because the module embeds
// all its files, which would make every test binary large. Only tests import it.
package wycheproof

import (
	"encoding/hex"
	"encoding/json"
	"io/fs"

	"github.com/c2sp/wycheproof"
)

// Hex is a byte string that is hexadecimal in the files.
type Hex []byte

// UnmarshalText decodes hexadecimal.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// Array returns the 32 bytes of a key.
func (h Hex) Array() *[32]byte { return (*[32]byte)(h) }

// X25519 is a test of a key exchange. Result is "valid", "acceptable" (a peculiar
// public key, which may be refused) or "invalid".
type X25519 struct {
	ID                      int `json:"tcId"`
	Comment                 string
	Public, Private, Shared Hex
	Result                  string
}

// AEAD is a test of authenticated encryption. Result is "valid" or "invalid".
type AEAD struct {
	ID           int `json:"tcId"`
	Comment      string
	Key, IV, AAD Hex
	Msg, CT, Tag Hex
	Result       string
}

// X25519s returns the tests of X25519.
func X25519s() []X25519 { return load[X25519]("x25519_test.json") }

// ChaCha20Poly1305s returns the tests of ChaCha20-Poly1305.
func ChaCha20Poly1305s() []AEAD { return load[AEAD]("chacha20_poly1305_test.json") }

// XChaCha20Poly1305s returns the tests of XChaCha20-Poly1305.
func XChaCha20Poly1305s() []AEAD { return load[AEAD]("xchacha20_poly1305_test.json") }

func load[T any](name string) (tests []T) {
	var file struct {
		TestGroups []struct{ Tests []T }
	}
	b, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err == nil {
		err = json.Unmarshal(b, &file)
	}
	if err != nil {
		panic("wycheproof: " + name + ": " + err.Error())
	}
	for _, g := range file.TestGroups {
		tests = append(tests, g.Tests...)
	}
	return tests
}
