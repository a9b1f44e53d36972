package blake2s

import (
	"bytes"
	stdhmac "crypto/hmac"
	"hash"
	"math/rand/v2"
	"testing"

	library "golang.org/x/crypto/blake2s"

	"github.com/warrenvpn/warren/internal/vectors"
)

// P01
func TestRFC7693(t *testing.T) {
	if got := Sum([]byte("abc"), nil); !bytes.Equal(got[:], vectors.BLAKE2sABC()) {
		t.Errorf("BLAKE2s(abc) = %x", got)
	}
}

// P01: the independent vectors.
func TestVectors(t *testing.T) {
	for _, v := range vectors.Hashes() {
		if got := Sum(nil, v.Data); !bytes.Equal(got[:], v.Hash) {
			t.Errorf("BLAKE2s of %d bytes = %x, want %x", len(v.Data), got, v.Hash)
		}
		if len(v.Data) > 0 {
			m := NewMAC(v.Key)
			if got := m.Sum(v.Data); !bytes.Equal(got[:], v.MAC) {
				t.Errorf("MAC of %d bytes = %x, want %x", len(v.Data), got, v.MAC)
			}
			var k HMAC
			k.SetKey(v.Chain.Array())
			var sum [Size]byte
			if k.Sum(&sum, v.Data[:min(len(v.Data), Size+1)], nil); !bytes.Equal(sum[:], v.HMAC33) {
				t.Errorf("HMAC of %d bytes = %x, want %x", min(len(v.Data), Size+1), sum, v.HMAC33)
			}
			m = NewMAC(v.Key[:16])
			if got := m.Sum(v.Data); !bytes.Equal(got[:], v.MAC16) {
				t.Errorf("MAC of %d bytes with a short key = %x, want %x", len(v.Data), got, v.MAC16)
			}
		}
	}
}

// sameAsLibrary compares everything with x/crypto's BLAKE2s, the plain twin that
// has been reviewed, and crypto/hmac.
func sameAsLibrary(t *testing.T, data []byte, cut int, key *[Size]byte, keyLength int) {
	t.Helper()
	if got, want := Sum(data[:cut], data[cut:]), library.Sum256(data); got != want {
		t.Fatalf("hash of %x and %x = %x, want %x", data[:cut], data[cut:], got, want)
	}
	s := stdhmac.New(func() hash.Hash { h, _ := library.New256(nil); return h }, key[:])
	s.Write(data)
	var k HMAC
	var got [Size]byte
	if k.SetKey(key); len(data) == 0 {
		k.Nothing(&got, key)
	} else {
		k.Sum(&got, data[:cut], data[cut:])
	}
	if !bytes.Equal(got[:], s.Sum(nil)) {
		t.Fatalf("HMAC of %x under %x = %x, want %x", data, *key, got, s.Sum(nil))
	}
	if len(data) == 0 {
		return // there is no MAC of nothing
	}
	h, err := library.New128(key[:keyLength])
	if err != nil {
		t.Fatal(err)
	}
	h.Write(data)
	m := NewMAC(key[:keyLength])
	if got, want := m.Sum(data), h.Sum(nil); !bytes.Equal(got[:], want) {
		t.Fatalf("MAC of %x under %x = %x, want %x", data, key[:keyLength], got, want)
	}
}

func TestEveryLengthAgainstLibrary(t *testing.T) {
	const seed = 1
	r := rand.NewChaCha8([32]byte{seed})
	data := make([]byte, 5*BlockSize)
	for n := range data {
		var key [Size]byte
		r.Read(data)
		r.Read(key[:])
		cut := int(r.Uint64() % uint64(n+1))
		if sameAsLibrary(t, data[:n], cut, &key, 1+n%Size); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzAgainstLibrary(f *testing.F) {
	f.Add([]byte("abc"), []byte("key"), byte(1))
	f.Add(make([]byte, 2*BlockSize), make([]byte, Size), byte(BlockSize))
	f.Fuzz(func(t *testing.T, data, key []byte, cut byte) {
		var k [Size]byte
		n := copy(k[:], key)
		sameAsLibrary(t, data, min(int(cut), len(data)), &k, max(n, 1))
	})
}

// A result may be in the memory of what is hashed.
func TestHMACOverItsMessage(t *testing.T) {
	var k HMAC
	k.SetKey(&[Size]byte{7})
	message, want := [Size]byte{1, 2, 3}, [Size]byte{}
	k.Sum(&want, message[:], []byte{1})
	if k.Sum(&message, message[:], []byte{1}); message != want {
		t.Errorf("in place %x, want %x", message, want)
	}
}

// More than 2^32 bytes set the upper word of the count, which no message here
// does; x/crypto keeps such a state too.
func TestCountOverTheWord(t *testing.T) {
	var s state
	s.begin(Size, 0)
	s.t = 1<<32 - BlockSize
	block := bytes.Repeat([]byte{0x5a}, 2*BlockSize)
	s.write(block)
	s.finish()
	var got [Size]byte
	put(got[:], &s.h)

	h, err := library.New256(nil)
	if err != nil {
		t.Fatal(err)
	}
	type marshaler interface {
		MarshalBinary() ([]byte, error)
		UnmarshalBinary([]byte) error
	}
	// "b2s" || state || counts || size || block || offset
	b, err := h.(marshaler).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	const counts = 3 + 8*4
	copy(b[counts:], []byte{0xff, 0xff, 0xff, 0xc0, 0, 0, 0, 0})
	if err := h.(marshaler).UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	h.Write(block)
	if !bytes.Equal(got[:], h.Sum(nil)) {
		t.Errorf("hash over 2^32 bytes = %x, want %x", got, h.Sum(nil))
	}
}

func TestClearErases(t *testing.T) {
	m := NewMAC([]byte{1})
	var k HMAC
	k.SetKey(&[Size]byte{1})
	m.Clear()
	k.Clear()
	if m != (MAC{}) || k != (HMAC{}) {
		t.Error("a key is left")
	}
}

func TestWrongUsePanics(t *testing.T) {
	m := NewMAC([]byte{1})
	for name, f := range map[string]func(){
		"no key":   func() { NewMAC(nil) },
		"long key": func() { NewMAC(make([]byte, Size+1)) },
		"no data":  func() { m.Sum(nil) },
		"nothing":  func() { new(HMAC).Sum(new([Size]byte), nil, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestNothingAllocates(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		var data [100]byte
		var key [Size]byte
		m := NewMAC(key[:])
		var k HMAC
		k.SetKey(&key)
		k.Sum(&key, data[:], key[:])
		key = Sum(data[:], key[:])
		if m.Sum(data[:]) == ([MACSize]byte{}) {
			t.Error("zero MAC")
		}
	}); n != 0 {
		t.Errorf("allocations = %v, want 0", n)
	}
}

func BenchmarkSum64(b *testing.B) {
	var data [64]byte
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			Sum(data[:32], data[32:])
		}
	})
	b.Run("x_crypto", func(b *testing.B) {
		for b.Loop() {
			library.Sum256(data[:])
		}
	})
}
