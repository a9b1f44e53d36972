package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Lock is held by one process of a network namespace at a time. It goes with
// the process.
type Lock struct{ f *os.File }

// lockEvery is how often a lock that another process has is tried again.
const lockEvery = 5 * time.Millisecond

// Lock waits for the lock of that name of this network namespace, until ctx
// ends.
func (d *Dir) Lock(ctx context.Context, name string) (*Lock, error) {
	if err := d.make(); err != nil {
		return nil, err
	}
	path := filepath.Join(d.path, fmt.Sprintf("%s.%d.lock", name, d.namespace.Inode))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600) // and O_CLOEXEC: a hook must not hold it
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return &Lock{f}, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(lockEvery):
		}
	}
}

// Release gives up the lock. It may be called again, and of nil.
func (l *Lock) Release() {
	if l != nil && l.f != nil {
		_ = l.f.Close()
		l.f = nil
	}
}
