//go:build !linux

package uapi

import (
	"net"
	"os"
	"time"
)

// bind makes a socket that only its owner can connect to. There is a moment
// between the making and the change of the mode in which nobody is answered.
func bind(path string) (*net.UnixListener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// admit leaves the decision to the mode of the socket.
func (l *Listener) admit(*net.UnixConn) error { return nil }

// watchFile calls changed once a second until stop is called, which waits for
// the last call to return.
func watchFile(_ string, changed func()) (stop func(), err error) {
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				changed()
			case <-end:
				return
			}
		}
	}()
	return func() { close(end); <-done }, nil
}
