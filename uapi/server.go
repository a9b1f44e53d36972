package uapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"sync"
	"syscall"

	"github.com/warrenvpn/warren/conf"
)

// Backend is a device as the server sees it. device.Device is one. Both methods
// may be called from several goroutines.
type Backend interface {
	// Status returns the present state, peers in the order of creation.
	Status() conf.Device
	// Apply makes a change, whole or not at all. The number in the reply comes
	// from the error: see ErrnoOf.
	Apply(conf.Change) error
}

// LargeBackend is a Backend that takes the peers of a change one after the other,
// so that a change of very many need not be in memory as values.
type LargeBackend interface {
	Backend
	// ApplyOf is Apply with peers in place of those in the change. They may be
	// gone through more than once; each is valid until the next one.
	ApplyOf(c conf.Change, peers iter.Seq[*conf.PeerChange]) error
}

// Releaser is a Backend that is told when the memory of a set is not in use any
// more, before the set is answered.
type Releaser interface {
	// Release is called after a set of so many peers.
	Release(peers int)
}

// Serve answers the requests of l's connections until ctx ends, which is no
// error, or l fails: with ErrRemoved when its socket file was removed. It
// closes l and returns when every connection has ended.
func Serve(ctx context.Context, l net.Listener, b Backend) error {
	ctx, cancel := context.WithCancel(ctx)
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel() // ends the connections before they are waited for
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	served := newConnections()
	for served.enter(ctx) {
		c, err := l.Accept()
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil && passes(err):
			served.leave()
			served.evict()
			pause(ctx)
			continue
		case err != nil:
			return fmt.Errorf("control socket: %w", errors.Join(err, l.Close()))
		}
		conns.Go(func() {
			defer served.leave()
			defer c.Close()
			defer context.AfterFunc(ctx, func() { _ = c.Close() })()
			defer served.asks(c, true) // it is not idle: it has ended
			_ = serveConn(c, b, func(request bool) { served.asks(c, request) })
		})
	}
	return l.Close()
}

// ServeConn answers the requests of one connection until its end, which is no
// error, or until it fails or asks for an operation that does not exist.
func ServeConn(c io.ReadWriter, b Backend) error { return serveConn(c, b, func(bool) {}) }

// serveConn is ServeConn, and tells where a request begins and ends.
func serveConn(c io.ReadWriter, b Backend, asks func(request bool)) error {
	s := session{in: newLineReader(c), out: bufio.NewWriterSize(c, bufferSize), backend: b}
	defer s.in.clear()
	for {
		asks(false)
		op, err := s.in.next()
		asks(true)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read operation: %w", err)
		}
		switch string(op) {
		case "get=1":
			err = s.get()
		case "set=1":
			err = s.set()
		default:
			// Closed without a reply, as by every server of this protocol.
			err = errOperation
		}
		if errors.Is(err, io.EOF) {
			return nil // cut off: dropped, and nobody is there for a reply
		}
		if err != nil {
			return err
		}
	}
}

var errOperation = errors.New("unknown operation")

// session is one connection being served.
type session struct {
	in      *lineReader
	out     *bufio.Writer
	backend Backend
}

// get answers get=1, whose only further line is the empty one.
func (s *session) get() error {
	extra, err := s.in.drain()
	if err != nil {
		return err
	}
	if extra > 0 {
		// Non-negative here: clients take a sign in the reply of a get for
		// nonsense.
		return s.reply(int(syscall.EINVAL))
	}
	d := s.backend.Status()
	defer d.PrivateKey.Clear()
	if err := WriteDevice(s.out, &d); err != nil {
		return fmt.Errorf("write reply: %w", err)
	}
	return s.reply(0)
}

// set answers set=1. Nothing is applied before the empty line was seen and
// every line before it was good.
func (s *session) set() error {
	c, peers, err := readChange(s.in)
	var bad *RequestError
	switch {
	case errors.As(err, &bad):
		if _, err := s.in.drain(); err != nil {
			return err
		}
		return s.reply(-int(bad.Errno))
	case err != nil:
		return err
	}
	n := peers.Len()
	err = s.apply(c, peers)
	if r, ok := s.backend.(Releaser); ok {
		r.Release(n)
	}
	if err != nil {
		return s.reply(-int(ErrnoOf(err)))
	}
	return s.reply(0)
}

// apply makes a change and forgets it.
func (s *session) apply(c *conf.Change, peers *conf.PeerList) error {
	defer peers.Clear()
	if large, ok := s.backend.(LargeBackend); ok {
		return large.ApplyOf(*c, peers.All())
	}
	c.Peers = peers.Unpack()
	return s.backend.Apply(*c)
}

func (s *session) reply(errno int) error {
	_, _ = fmt.Fprintf(s.out, "errno=%d\n\n", errno)
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("write reply: %w", err)
	}
	return nil
}
