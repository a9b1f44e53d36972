package uapi

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"
)

// maxConnections bounds the connections that are served at the same time.
// Further ones wait in the listener's backlog.
const maxConnections = 128

// patience is how long others may have to wait for a connection that asks
// nothing before it is closed for them.
const patience = time.Second

// connections are those that are served. Clients that keep theirs open for
// nothing must not keep others out.
type connections struct {
	slots chan struct{}

	mu   sync.Mutex // guards idle
	idle map[io.Closer]time.Time
}

func newConnections() *connections {
	return &connections{slots: make(chan struct{}, maxConnections), idle: map[io.Closer]time.Time{}}
}

// enter waits until there is room for one more. It returns false when ctx ends.
func (s *connections) enter(ctx context.Context) bool {
	for {
		wait := time.NewTimer(patience)
		select {
		case s.slots <- struct{}{}:
			wait.Stop()
			return true
		case <-ctx.Done():
			wait.Stop()
			return false
		case <-wait.C:
			s.evict()
		}
	}
}

func (s *connections) leave() { <-s.slots }

// asks notes whether a connection is in the middle of a request.
func (s *connections) asks(c io.Closer, request bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if request {
		delete(s.idle, c)
	} else {
		s.idle[c] = time.Now()
	}
}

// evict closes the connection that has been idle the longest, if that is long.
func (s *connections) evict() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest io.Closer
	since := time.Now().Add(-patience)
	for c, t := range s.idle {
		if t.Before(since) {
			oldest, since = c, t
		}
	}
	if oldest != nil {
		delete(s.idle, oldest)
		_ = oldest.Close()
	}
}

// passes reports whether an error of accept is a lack of descriptors or memory,
// after which it may succeed again. A tunnel does not end for that.
func passes(err error) bool {
	for _, e := range [...]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// pause waits a moment, or until ctx ends.
func pause(ctx context.Context) {
	wait := time.NewTimer(patience / 10)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}
