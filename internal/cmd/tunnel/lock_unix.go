//go:build unix

package tunnel

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// lockSaves waits until no other process saves, and keeps others from it until
// unlock. It is held for moments. Nothing else is locked meanwhile, so whoever
// holds a journal may wait for it.
func lockSaves() (unlock func(), err error) {
	// Not beside the file, where others might be able to hold it for ever.
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(stateDir, "save.lock"), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
