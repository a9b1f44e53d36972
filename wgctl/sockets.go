package wgctl

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/uapi"
)

// sockets are the interfaces with a control socket in a directory.
type sockets struct {
	ctx     context.Context // of exchanges
	dir     string
	timeout time.Duration
}

func (s *sockets) names() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".sock"); ok && s.listening(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (s *sockets) has(name string) (bool, error) { return s.listening(name), nil }

// listening reports whether somebody listens on the socket of an interface. A
// socket nobody listens on is deleted; one we may not connect to counts.
func (s *sockets) listening(name string) bool {
	path, ok := uapi.Path(s.dir, name)
	if !ok {
		return false
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return false
	}
	c, err := connect(path)
	if err == nil {
		_ = c.Close()
		return true
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		_ = os.Remove(path)
		return false
	}
	// A path that does not fit into a socket address is nobody's.
	return !errors.Is(err, syscall.EINVAL) && !errors.Is(err, fs.ErrNotExist)
}

// connect waits for a place in the queue of a busy device, as a blocking connect
// would. Go's does not block and reports EAGAIN.
func connect(path string) (net.Conn, error) {
	const tries, pause = 1000, 10 * time.Millisecond
	for try := 1; ; try++ {
		c, err := net.Dial("unix", path)
		if !errors.Is(err, syscall.EAGAIN) || try == tries {
			return c, err
		}
		time.Sleep(pause)
	}
}

func (s *sockets) dial(name string) (*exchange, error) {
	path, ok := uapi.Path(s.dir, name)
	if !ok {
		return nil, syscall.ENODEV
	}
	c, err := connect(path)
	if err != nil {
		return nil, err
	}
	if s.timeout > 0 {
		if err := c.SetDeadline(time.Now().Add(s.timeout)); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	// A deadline that has passed ends a wait that has begun, too.
	stop := context.AfterFunc(s.ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	return &exchange{Conn: c, stop: stop}, nil
}

// exchange is a connection that ends with a context.
type exchange struct {
	net.Conn
	stop func() bool
	late error // that the time was up
}

func (e *exchange) Read(b []byte) (int, error) {
	n, err := e.Conn.Read(b)
	return n, e.note(err)
}

func (e *exchange) Write(b []byte) (int, error) {
	n, err := e.Conn.Write(b)
	return n, e.note(err)
}

func (e *exchange) note(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		e.late = err
	}
	return err
}

// why prefers, as the reason of a failure, that the time was up to what is
// wrong with a reply that did not come.
func (e *exchange) why(err error) error {
	if err != nil && e.late != nil {
		return e.late
	}
	return err
}

func (e *exchange) Close() error {
	e.stop()
	return e.Conn.Close()
}

func (s *sockets) device(name string) (conf.Device, error) {
	c, err := s.dial(name)
	if err != nil {
		return conf.Device{}, err
	}
	defer c.Close()
	if _, err := c.Write([]byte("get=1\n\n")); err != nil {
		return conf.Device{}, err
	}
	d, err := uapi.ReadDevice(c)
	return d, c.why(err)
}

func (s *sockets) apply(name string, ch *conf.Change, peers iter.Seq[*conf.PeerChange]) error {
	c, err := s.dial(name)
	if err != nil {
		return err
	}
	defer c.Close()
	if peers == nil {
		peers = ch.All()
	}
	// A device may refuse the request before it has read it all: its reply says
	// more than the broken pipe.
	writeErr := uapi.WriteChangeOf(c, ch, peers)
	err = uapi.ReadReply(c)
	if writeErr != nil && errors.Is(err, syscall.EPROTO) {
		return writeErr
	}
	return c.why(err)
}
