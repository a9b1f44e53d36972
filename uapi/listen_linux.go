package uapi

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// umaskMu is held while the umask of the process is not its own. It guards
// against ourselves only: a file another goroutine makes meanwhile gets fewer
// permissions, never more.
var umaskMu sync.Mutex

// bind makes a socket that only its owner can connect to, from its first
// moment on.
func bind(path string) (*net.UnixListener, error) {
	umaskMu.Lock()
	defer umaskMu.Unlock()
	defer unix.Umask(unix.Umask(0o077))
	return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
}

// overflowUID is what the kernel reports for a user that this user namespace
// does not know.
const overflowUID = 65534

// admit refuses a connection of another user than root and ourselves while the
// socket is as we made it. Who opens its mode to others means it.
func (l *Listener) admit(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if credErr != nil {
		return credErr
	}
	if cred.Uid == 0 || cred.Uid == overflowUID || int(cred.Uid) == os.Geteuid() {
		return nil
	}
	if info, err := os.Lstat(l.path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil
	}
	return fmt.Errorf("user %d may not connect: %w", cred.Uid, syscall.EACCES)
}

// watchFile calls changed whenever path may have been removed, moved or
// replaced, until stop is called, which waits for the last call to return.
func watchFile(path string, changed func()) (stop func(), err error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	// IN_ATTRIB tells of the link count: the file itself lives on as long as
	// the socket is open.
	const events = unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_DONT_FOLLOW
	if _, err := unix.InotifyAddWatch(fd, path, events); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("inotify_add_watch", err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, unix.SizeofInotifyEvent+unix.NAME_MAX+1)
		for {
			if _, err := f.Read(buf); err != nil {
				return
			}
			changed()
		}
	}()
	return func() { _ = f.Close(); <-done }, nil
}
