package noise

import (
	"bytes"
	stdhmac "crypto/hmac"
	"encoding/hex"
	"hash"
	"math/rand/v2"
	"testing"

	library "golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/warrenvpn/warren/internal/blake2s"
	"github.com/warrenvpn/warren/internal/vectors"
	"github.com/warrenvpn/warren/internal/vectors/wycheproof"
	"github.com/warrenvpn/warren/key"
)

// P01
func TestKDFVectors(t *testing.T) {
	for _, c := range vectors.Hashes() {
		message := c.Data[:min(len(c.Data), hashSize+1)]
		var outs [3][hashSize]byte
		for n := 1; n <= 3; n++ {
			kdf(c.Chain.Array(), message, []*[hashSize]byte{&outs[0], &outs[1], &outs[2]}[:n]...)
			for i := range n {
				if !bytes.Equal(outs[i][:], c.KDF[i]) {
					t.Errorf("KDF%d of %d bytes: output %d = %x, want %x", n, len(message), i+1, outs[i], c.KDF[i])
				}
			}
			outs = [3][hashSize]byte{}
		}
	}
}

// P01: against the standard library's HMAC over x/crypto's BLAKE2s.
func TestKDFAgainstLibrary(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, 0))
	for n := range 2_000 {
		var k, got1, got2 [hashSize]byte
		message := make([]byte, n%(2*hashSize))
		fill(r, k[:])
		fill(r, message)
		t0 := hmac(&k, message)
		t1 := hmac(&t0, []byte{1})
		t2 := hmac(&t0, append(t1[:], 2))
		if kdf(&k, message, &got1, &got2); got1 != t1 || got2 != t2 {
			t.Fatalf("seed %d: KDF2(%x, %x) = %x, %x; want %x, %x", seed, k, message, got1, got2, t1, t2)
		}
		var kept blake2s.HMAC
		if kept.SetKey(&k); len(message) > 0 {
			if kdfWith(&kept, message, &got2); got2 != t1 {
				t.Fatalf("seed %d: KDF1(%x, %x) with a kept key = %x, want %x", seed, k, message, got2, t1)
			}
		}
	}
}

// hmac is HMAC as others make it.
func hmac(k *[hashSize]byte, message []byte) [hashSize]byte {
	h := stdhmac.New(func() hash.Hash { h, _ := library.New256(nil); return h }, k[:])
	h.Write(message)
	return [hashSize]byte(h.Sum(nil))
}

func TestKDFMayOverwriteItsInputs(t *testing.T) {
	chain, input := [hashSize]byte{1}, [hashSize]byte{2}
	var want1, want2 [hashSize]byte
	kdf(&chain, input[:], &want1, &want2)
	if kdf(&chain, input[:], &chain, &input); chain != want1 || input != want2 {
		t.Errorf("kdf in place = %x, %x; want %x, %x", chain, input, want1, want2)
	}
}

func TestHashingDoesNotAllocate(t *testing.T) {
	y := begin(initialHash, initialHash[:])
	var shared, out [hashSize]byte
	if n := testing.AllocsPerRun(100, func() {
		y.mixKey(&shared)
		y.mixHash(shared[:])
		y.mixEphemeral(shared[:])
		y.mixPreshared(nil)
		y.split(&out, &out)
	}); n != 0 {
		t.Errorf("mixing allocates %v times, want 0", n)
	}
}

// P02
func TestChaCha20Poly1305RFC8439(t *testing.T) {
	checkAEAD(t, vectors.ChaCha20Poly1305())
}

// P02: the nonce here is 12 zero bytes, so only those vectors go through seal and
// open; all go through the cipher they use.
func TestChaCha20Poly1305Wycheproof(t *testing.T) {
	tests := wycheproof.ChaCha20Poly1305s()
	if len(tests) < 300 {
		t.Fatalf("only %d tests found", len(tests))
	}
	for _, v := range tests {
		if len(v.IV) != chacha20poly1305.NonceSize {
			continue // the type of the nonce excludes it: nonces are arrays
		}
		if v.Result == "valid" {
			checkAEAD(t, vectors.AEAD{Name: v.Comment, Key: v.Key, Nonce: v.IV, AD: v.AAD, Plaintext: v.Msg, Sealed: append(bytes.Clone(v.CT), v.Tag...)})
			continue
		}
		if _, err := newCipher(v.Key.Array()).Open(nil, v.IV, append(bytes.Clone(v.CT), v.Tag...), v.AAD); err == nil {
			t.Errorf("test %d (%s): a forged message opens", v.ID, v.Comment)
		}
	}
}

func checkAEAD(t *testing.T, v vectors.AEAD) {
	t.Helper()
	c := newCipher((*[key.Size]byte)(v.Key))
	if got := c.Seal(nil, v.Nonce, v.Plaintext, v.AD); !bytes.Equal(got, v.Sealed) {
		t.Errorf("%s: sealed %x, want %x", v.Name, got, v.Sealed)
	}
	if got, err := c.Open(nil, v.Nonce, v.Sealed, v.AD); err != nil || !bytes.Equal(got, v.Plaintext) {
		t.Errorf("%s: opened %x, %v; want %x", v.Name, got, err, v.Plaintext)
	}
}

func TestInitialHashes(t *testing.T) {
	// [W] 5.4.2: both are fixed by the two strings, so they are known figures.
	const c0 = "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36"
	const h0 = "2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3"
	if got := hex.EncodeToString(initialChain[:]); got != c0 {
		t.Errorf("C0 = %s, want %s", got, c0)
	}
	if got := hex.EncodeToString(initialHash[:]); got != h0 {
		t.Errorf("H0 = %s, want %s", got, h0)
	}
}

// TestEraseReachesTheCopies holds the assumption of erase: where x/crypto keeps
// the secret, and that it is really gone.
func TestEraseReachesTheCopies(t *testing.T) {
	secretBytes := [key.Size]byte{0: 8, 1: 0xc3, 31: 0x40}

	c := newCipher(&secretBytes)
	zero := newCipher(new([key.Size]byte))
	erase(c, "key")
	nonce := make([]byte, chacha20poly1305.NonceSize)
	if !bytes.Equal(c.Seal(nil, nonce, secretBytes[:], nil), zero.Seal(nil, nonce, secretBytes[:], nil)) {
		t.Error("the key in x/crypto survives: its field was renamed?")
	}

	erase(&struct{}{}, "no such field") // does nothing
}

func fill(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}
