package ippkt

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// guarded returns pages between two that cannot be touched.
func guarded(t *testing.T, size int) []byte {
	t.Helper()
	page := os.Getpagesize()
	size = (size + page - 1) / page * page
	m, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(m) })
	for _, p := range [][]byte{m[:page], m[page+size:]} {
		if err := unix.Mprotect(p, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return m[page : page+size]
}

// No kernel reads or writes beside its buffers: a fault kills the test.
func TestGuardPages(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		r := random(t)
		src, dst := guarded(t, 2200), guarded(t, 2200)
		fill(r, src)
		for n := range 2201 {
			front, back := src[:n], src[len(src)-n:]
			if got, want := CopySum(dst[:n], front).Fold(), naiveSum(front); got != want || Sum(front).Fold() != want {
				t.Fatalf("%d bytes behind a guard: got %#x, want %#x", n, got, want)
			}
			if got, want := CopySum(dst[len(dst)-n:], back).Fold(), naiveSum(back); got != want || Sum(back).Fold() != want {
				t.Fatalf("%d bytes in front of a guard: got %#x, want %#x", n, got, want)
			}
		}
	})
}
