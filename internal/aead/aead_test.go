package aead

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
)

// P02: in place and separate, every length, against the general AEAD with the
// nonce spelled out.
func TestSealOpenEqualsGeneralAEAD(t *testing.T) {
	r := rand.New(rand.NewChaCha8([32]byte{1}))
	var k [32]byte
	for i := range k {
		k[i] = byte(r.Uint32())
	}
	ours := New(&k)
	general, err := chacha20poly1305.New(k[:])
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n <= 2048; n++ {
		plain := make([]byte, n)
		for i := range plain {
			plain[i] = byte(r.Uint32())
		}
		counter := r.Uint64()
		nonce := make([]byte, 12)
		for i := range 8 {
			nonce[4+i] = byte(counter >> (8 * i))
		}
		want := general.Seal(nil, nonce, plain, nil)
		buf := make([]byte, n, n+Overhead+1)
		copy(buf, plain)
		buf[:n+1][n:][0] = 0
		guard := buf[:n+Overhead+1]
		guard[n+Overhead] = 0xdb
		got := guard[:n+Overhead]
		ours.Seal(got, counter)
		if !bytes.Equal(got, want) {
			t.Fatalf("length %d: sealed bytes differ", n)
		}
		if guard[n+Overhead] != 0xdb {
			t.Fatalf("length %d: wrote beyond the tag", n)
		}
		back, ok := ours.Open(got, counter)
		if !ok || !bytes.Equal(back, plain) {
			t.Fatalf("length %d: does not open again", n)
		}
		want[r.IntN(len(want))] ^= 1 << r.IntN(8)
		if _, ok := ours.Open(want, counter); ok {
			t.Fatalf("length %d: opened a forged message", n)
		}
		if !bytes.Equal(want[:n], make([]byte, n)) {
			t.Fatalf("length %d: forged plaintext was left behind", n)
		}
	}
}

// P36: after Clear the cipher works with the zero key, so the secret is gone
// from the memory the cipher reads.
func TestClearErasesTheKey(t *testing.T) {
	k := [32]byte{1, 2, 3}
	ours, zero := New(&k), New(new([32]byte))
	ours.Clear()
	for _, kernel := range kernels.All() {
		got, want := make([]byte, 1+Overhead), make([]byte, 1+Overhead)
		kernel.Value.seal(ours, &Run{Messages: [][]byte{got}, Counters: []uint64{7}})
		kernel.Value.seal(zero, &Run{Messages: [][]byte{want}, Counters: []uint64{7}})
		if !bytes.Equal(got, want) {
			t.Errorf("%s: after Clear the key still seals: got %x, want %x", kernel.Name, got, want)
		}
	}
}

func TestRunsDoNotAllocate(t *testing.T) {
	k := New(&[32]byte{9})
	var r Run
	buf := make([]byte, 4*(1420+Overhead))
	nonce := make([]byte, chacha20poly1305.NonceSize)
	library := testing.AllocsPerRun(100, func() { k.general.Seal(buf[:0], nonce, buf[:1420], nil) })
	for _, kernel := range kernels.All() {
		turn := func() {
			r.Reset()
			for i := range 4 {
				r.Add(buf[i*(1420+Overhead):][:1420+Overhead], uint64(i))
			}
			r.OK = r.OK[:cap(r.OK)]
			kernel.Value.seal(k, &r)
			if len(r.OK) < 4 {
				r.OK = make([]bool, 4)
			}
			r.OK = r.OK[:4]
			kernel.Value.open(k, &r)
		}
		want := 0.0
		if kernel.Name == "x/crypto" {
			want = 2 * 4 * library // what it does itself where it has no assembly
		}
		if n := testing.AllocsPerRun(100, turn); n != want {
			t.Errorf("%s: allocations = %v, want %v", kernel.Name, n, want)
		}
	}
}

// Nothing is touched if a counter is missing, and the run can be used again.
func TestRunWithoutCountersIsRefused(t *testing.T) {
	key := [32]byte{11}
	k := New(&key)
	inUse := kernels.Get()
	t.Cleanup(func() {
		for _, kernel := range kernels.All() {
			_ = kernels.Use(kernel.Name)
			if kernels.Get() == inUse {
				return
			}
		}
	})
	for _, kernel := range kernels.All() {
		if err := kernels.Use(kernel.Name); err != nil {
			t.Fatal(err)
		}
		for name, call := range map[string]func(*Run){"SealRun": k.SealRun, "OpenRun": k.OpenRun} {
			var r Run
			for i := range 40 {
				r.Add(reference(t, &key, uint64(i), []byte("some text")), uint64(i))
			}
			before := clone(&r)
			all := r.Counters
			r.Counters = all[:39]
			if !panics(func() { call(&r) }) {
				t.Errorf("%s, %s: no panic", kernel.Name, name)
			}
			if after := clone(&r); !reflect.DeepEqual(after, before) {
				t.Errorf("%s, %s: a message was written to", kernel.Name, name)
			}
			r.Counters = all
			if k.OpenRun(&r); slices.Contains(r.OK, false) || string(r.Messages[0][:9]) != "some text" {
				t.Errorf("%s, after %s: opened %q, authentic are %v", kernel.Name, name, r.Messages[0], r.OK)
			}
		}
	}
}

// OK is of this call alone, however long it was before; what was reset is not
// kept alive.
func TestRunIsOfItsOwnMessages(t *testing.T) {
	k := New(&[32]byte{14})
	var r Run
	for _, n := range []int{5, 2, 0, 7} {
		for i := range n {
			r.Add(make([]byte, 40), uint64(i))
		}
		k.SealRun(&r)
		if k.OpenRun(&r); len(r.OK) != n || slices.Contains(r.OK, false) {
			t.Errorf("%d messages: authentic are %v", n, r.OK)
		}
		r.Messages = append(r.Messages, nil)
		r.Counters = append(r.Counters, 0)
		if k.OpenRun(&r); len(r.OK) != n+1 || slices.Contains(r.OK, true) {
			t.Errorf("%d messages, opened twice, and one that is none: authentic are %v", n, r.OK)
		}
		r.Reset()
		if len(r.Messages)+len(r.Counters)+len(r.OK) != 0 {
			t.Errorf("%d messages: something is left: %+v", n, r)
		}
		for i, m := range r.Messages[:n] {
			if m != nil {
				t.Errorf("%d messages: number %d is kept alive", n, i)
			}
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

// Many lanes seal and open with one key, with messages of theirs between those
// of others: nobody writes to what is not his, not even what is there already.
// The race detector does not see what assembly does; who was disturbed does.
func TestOneKeyForManyLanes(t *testing.T) {
	const lanes, size = 8, 500
	k := New(&[32]byte{12})
	eachKernel(t, func(t *testing.T, kernel *kernel) {
		buf := make([]byte, lanes*size)
		var done sync.WaitGroup
		for lane := range lanes {
			done.Go(func() {
				part := buf[lane*size:][:size]
				var r Run
				for i := range uint64(300) {
					r.Reset()
					r.Add(part[:33], i)
					r.Add(part[33:200], ^i)
					r.Add(part[200:], i<<32)
					r.OK = append(r.OK, false, false, false)
					for j := range part {
						part[j] = byte(lane)
					}
					kernel.seal(k, &r)
					kernel.open(k, &r)
					for j, m := range r.Messages {
						if text := m[:len(m)-Overhead]; !r.OK[j] || bytes.Count(text, []byte{byte(lane)}) != len(text) {
							t.Errorf("lane %d, round %d: message %d is %x, authentic: %v", lane, i, j, m, r.OK[j])
							return
						}
					}
				}
			})
		}
		done.Wait()
	})
}

// A32
func TestKeyIsNeverPrinted(t *testing.T) {
	k := [32]byte{0xca, 0xfe, 0xba, 0xbe}
	for _, verb := range []string{"%v", "%+v", "%s", "%q"} {
		if s := fmt.Sprintf(verb, New(&k)); bytes.Contains([]byte(s), []byte(hex.EncodeToString(k[:4]))) {
			t.Errorf("%s shows the key: %s", verb, s)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
