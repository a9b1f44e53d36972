package aead

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// guarded returns n bytes with a page that cannot be touched right behind them
// or, if front is set, right in front of them.
func guarded(t *testing.T, n int, front bool) []byte {
	t.Helper()
	page := os.Getpagesize()
	size := (n+page-1)/page*page + 2*page
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(m) })
	for _, p := range [][]byte{m[:page], m[size-page:]} {
		if err := unix.Mprotect(p, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	if front {
		return m[page : page+n : page+n]
	}
	return m[size-page-n : size-page : size-page]
}

// No kernel reads or writes beside a message: a fault kills the test.
func TestGuardPages(t *testing.T) {
	key := [32]byte{8}
	const most = 9
	for _, front := range []bool{true, false} {
		var rooms [most][]byte
		for i := range rooms {
			rooms[i] = guarded(t, 2200+Overhead, front)
		}
		// room returns n bytes at the guarded end of a room.
		room := func(i, n int) []byte {
			if front {
				return rooms[i][:n:n]
			}
			return rooms[i][len(rooms[i])-n:]
		}
		eachKernel(t, func(t *testing.T, k *kernel) {
			for n := 0; n <= 2200; n++ {
				for _, messages := range []int{1, 2, most} {
					if messages > 1 && n > 300 && n%37 != 0 {
						continue
					}
					r := Run{OK: make([]bool, messages)}
					var want [][]byte
					for i := range messages {
						size := n * (i + 1) / messages
						text := bytes.Repeat([]byte{byte(n + i)}, size)
						want = append(want, reference(t, &key, uint64(i), text))
						m := room(i, size+Overhead)
						copy(m, text)
						r.Add(m, uint64(i))
					}
					k.seal(New(&key), &r)
					for i, m := range r.Messages {
						if !bytes.Equal(m, want[i]) {
							t.Fatalf("%s: message %d is %x, want %x", fmt.Sprint(n, messages, front), i, m, want[i])
						}
					}
					k.open(New(&key), &r)
					if slices.Contains(r.OK, false) {
						t.Fatalf("%s: authentic are %v", fmt.Sprint(n, messages, front), r.OK)
					}
				}
			}
		})
	}
}
