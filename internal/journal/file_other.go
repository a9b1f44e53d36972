//go:build !linux

package journal

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// ErrBusy says that a process works on the interface.
var ErrBusy = errors.New("another process is working on the interface")

func unsupported() error {
	return fmt.Errorf("journals on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Dir would be the directory of the journals.
type Dir struct{}

// File would be a journal that this process writes.
type File struct{}

// Open fails: only Linux is here yet.
func Open(string) (*Dir, error) { return nil, unsupported() }

// Lock would be held by one process of a network namespace at a time.
type Lock struct{}

// Lock fails: only Linux is here yet.
func (*Dir) Lock(context.Context, string) (*Lock, error) { return nil, unsupported() }

// Release does nothing.
func (*Lock) Release() {}

// Take fails: only Linux is here yet.
func (*Dir) Take(string) (*File, *Record, error) { return nil, nil, unsupported() }

// Stale is false.
func (*Dir) Stale(*Record) bool { return false }

// Read fails: only Linux is here yet.
func (*Dir) Read(string) (*Record, error) { return nil, unsupported() }

// List fails: only Linux is here yet.
func (*Dir) List() ([]*Record, error) { return nil, unsupported() }

// Begin fails: only Linux is here yet.
func (*File) Begin(*Dir, string, any) error { return unsupported() }

// Go fails: only Linux is here yet.
func (*File) Go(*Dir, Phase) error { return unsupported() }

// Intend fails: only Linux is here yet.
func (*File) Intend(any) (int, error) { return 0, unsupported() }

// Done fails: only Linux is here yet.
func (*File) Done(int, any) error { return unsupported() }

// Undone fails: only Linux is here yet.
func (*File) Undone(int) error { return unsupported() }

// Remove fails: only Linux is here yet.
func (*File) Remove() error { return unsupported() }

// Close does nothing.
func (*File) Close() error { return nil }
