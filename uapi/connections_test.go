package uapi

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// fakeListener hands out what is sent to it.
type fakeListener struct {
	conns chan net.Conn
	errs  chan error
	close func()
	done  chan struct{}
}

func newFakeListener() *fakeListener {
	l := &fakeListener{conns: make(chan net.Conn), errs: make(chan error), done: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.done) })
	return l
}

func (l *fakeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case err := <-l.errs:
		return nil, err
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *fakeListener) Close() error   { l.close(); return nil }
func (l *fakeListener) Addr() net.Addr { return &net.UnixAddr{Name: "fake", Net: "unix"} }

// connect returns the client's end of a connection, once it was accepted.
func (l *fakeListener) connect() net.Conn {
	client, server := net.Pipe()
	l.conns <- server
	return client
}

// answers sends a get and reports whether a whole reply comes.
func answers(t *testing.T, c net.Conn) bool {
	t.Helper()
	go io.WriteString(c, "get=1\n\n")
	var reply strings.Builder
	buf := make([]byte, 4096)
	for !strings.HasSuffix(reply.String(), "errno=0\n\n") {
		n, err := c.Read(buf)
		if err != nil {
			return false
		}
		reply.Write(buf[:n])
	}
	return true
}

// Connections that ask nothing are closed for one that wants to, the oldest
// first, and none before another has waited for it.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeListener()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- Serve(ctx, l, &model{d: sample()}) }()
		idle := make([]net.Conn, maxConnections)
		for i := range idle {
			idle[i] = l.connect()
			time.Sleep(time.Millisecond)
		}
		if !answers(t, idle[0]) { // so it is the youngest now
			t.Fatal("the first connection got no answer")
		}
		start := time.Now()
		if !answers(t, l.connect()) {
			t.Error("one more connection got no answer")
		}
		if waited := time.Since(start); waited > patience {
			t.Errorf("it waited for %v, want at most %v", waited, patience)
		}
		if answers(t, idle[1]) {
			t.Error("the connection that was idle the longest was kept")
		}
		for _, i := range []int{0, 2, maxConnections - 1} {
			if !answers(t, idle[i]) {
				t.Errorf("connection %d was closed, want the oldest alone to be", i)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A lack of descriptors is waited for: the tunnel does not end for it.
func TestLackOfDescriptorsPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeListener()
		ended := make(chan error)
		go func() { ended <- Serve(t.Context(), l, &model{d: sample()}) }()
		for range 3 * maxConnections {
			l.errs <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
		}
		if !answers(t, l.connect()) {
			t.Error("no answer after descriptors were short")
		}
		l.errs <- ErrRemoved
		if err := <-ended; err == nil {
			t.Error("Serve returned no error after its socket was removed")
		}
	})
}
