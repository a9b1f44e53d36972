package uapi

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Dir is where control sockets are on every system.
const Dir = "/var/run/wireguard"

var (
	// ErrInUse says that another process listens on the socket.
	ErrInUse = errors.New("unix socket in use")
	// ErrRemoved says that the socket file was removed, which is how a device is
	// ended where its link cannot be deleted.
	// It is a net.ErrClosed.
	ErrRemoved = fmt.Errorf("control socket was removed: %w", net.ErrClosed)
)

// Path returns the socket file of an interface in a directory. ok is false for
// names that are no file name there.
func Path(dir, name string) (path string, ok bool) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return "", false
	}
	return filepath.Join(dir, name+".sock"), true
}

// Listener is a listening control socket. It is a net.Listener.
type Listener struct {
	unix *net.UnixListener
	path string
	file os.FileInfo // the socket file as it was made

	mu      sync.Mutex // guards what follows
	closed  bool
	removed bool
	keep    bool
	watch   func() // ends the watching
}

// Listen makes the control socket of an interface in Dir.
func Listen(name string) (*Listener, error) { return ListenIn(Dir, name) }

// ListenIn makes the control socket of an interface in a directory, which it
// makes first if need be (0755). Only the owner can connect. A socket that
// nobody listens on any more is replaced; otherwise the error is ErrInUse.
func ListenIn(dir, name string) (*Listener, error) {
	path, ok := Path(dir, name)
	if !ok {
		return nil, fmt.Errorf("listen for control of %q: %w", name, fs.ErrInvalid)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of control sockets: %w", err)
	}
	l, err := bind(path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeStale(path); err != nil {
			return nil, err
		}
		l, err = bind(path)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for control of %s: %w", name, err)
	}
	return newListener(l, path)
}

// FromFile adopts a listening control socket of another process. It keeps f
// open for no longer than the call.
func FromFile(f *os.File) (*Listener, error) {
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("adopt control socket: %w", err)
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		_ = l.Close()
		return nil, errors.New("adopt control socket: not a unix socket")
	}
	return newListener(u, u.Addr().String())
}

func newListener(u *net.UnixListener, path string) (*Listener, error) {
	u.SetUnlinkOnClose(false) // Close looks first whose file it is
	l := &Listener{unix: u, path: path}
	var err error
	if l.file, err = os.Lstat(path); err != nil {
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), u.Close())
	}
	if l.watch, err = watchFile(path, l.check); err != nil {
		return nil, errors.Join(fmt.Errorf("watch the control socket: %w", err), l.Close())
	}
	l.check() // it may have gone before it was watched
	return l, nil
}

// removeStale removes a socket that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("control socket: %s exists and is not a socket", path)
	}
	if c, err := net.Dial("unix", path); err == nil {
		_ = c.Close()
		return fmt.Errorf("control socket %s: %w", path, ErrInUse)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the stale control socket: %w", err)
	}
	return nil
}

// Accept waits for the next connection. It returns ErrRemoved once the socket
// file was removed.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.unix.AcceptUnix()
		if err != nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.removed {
				return nil, ErrRemoved
			}
			return nil, err
		}
		if err := l.admit(c); err == nil {
			return c, nil
		}
		_ = c.Close()
	}
}

// Addr returns the address of the socket.
func (l *Listener) Addr() net.Addr { return l.unix.Addr() }

// File returns a copy of the descriptor, for a child process. The caller closes
// it.
func (l *Listener) File() (*os.File, error) { return l.unix.File() }

// Detach closes the listener but leaves the socket file to the process that
// got its descriptor.
func (l *Listener) Detach() error {
	l.mu.Lock()
	l.keep = true
	l.mu.Unlock()
	return l.Close()
}

// Close stops listening and removes the socket file, unless another process has
// put its own there.
func (l *Listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	keep, watch := l.keep, l.watch
	l.mu.Unlock()
	if watch != nil {
		watch()
	}
	var gone error
	if !keep && l.present() {
		if gone = os.Remove(l.path); errors.Is(gone, fs.ErrNotExist) {
			gone = nil
		}
	}
	if err := l.unix.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return gone
}

// present reports whether the file at the path is still ours.
func (l *Listener) present() bool {
	info, err := os.Lstat(l.path)
	return err == nil && os.SameFile(info, l.file)
}

// check ends the listener when its file has gone. The watcher calls it.
func (l *Listener) check() {
	if l.present() {
		return
	}
	l.mu.Lock()
	l.removed = !l.closed
	l.mu.Unlock()
	_ = l.unix.Close()
}
