package netpoll

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Every event is seen, however it falls between looking and waiting.
func TestNoEventIsMissed(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	w, err := New(p[0])
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	const rounds = 20_000
	answer := make(chan struct{}, 1)
	go func() {
		for range rounds {
			unix.Write(p[1], []byte{1})
			<-answer
		}
	}()
	var b [8]byte
	var n int
	read := func() bool {
		n, err = unix.Read(p[0], b[:])
		return err != unix.EAGAIN
	}
	for got := 0; got < rounds; {
		if err := w.Wait(read); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		got += n
		answer <- struct{}{}
	}
}

// F22: closing ends a wait.
func TestCloseEndsWaiting(t *testing.T) {
	for range 1000 {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
			t.Fatal(err)
		}
		w, err := New(p[0])
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- w.Wait(func() bool { return false }) }()
		w.Close()
		if err := <-ended; !errors.Is(err, os.ErrClosed) {
			t.Fatalf("Wait = %v, want os.ErrClosed", err)
		}
		unix.Close(p[0])
		unix.Close(p[1])
	}
}

func TestWaitDoesNotAllocate(t *testing.T) {
	fd, err := unix.Eventfd(1, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	w, err := New(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	done := func() bool { return true }
	if n := testing.AllocsPerRun(100, func() { w.Wait(done) }); n != 0 {
		t.Errorf("allocations = %v, want 0", n)
	}
}
