package netpoll

import (
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkWaitReady is a wait for what is there already: the price of asking.
func BenchmarkWaitReady(b *testing.B) {
	fd, err := unix.Eventfd(1, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fd)
	w, err := New(fd)
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	done := func() bool { return true }
	for b.Loop() {
		if err := w.Wait(done); err != nil {
			b.Fatal(err)
		}
	}
}
