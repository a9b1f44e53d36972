package resolver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// stateFolder holds the records. It is emptied by a restart, and each record
// names the boot it is of, for where it is not.
const stateFolder = "/run/warren"

const newSuffix = ".new" // while it is written

// records is one file below stateFolder, and the right to change it.
type records struct {
	env  Environment
	name string
	lock *os.File
}

// record is what is stored: what undoing needs, and when it was written.
type record[T any] struct {
	Boot  string `json:"boot"`
	State T      `json:"state"`
}

// open waits until no other process holds the records of the resolver.
func (e Environment) open(ctx context.Context, name string) (*records, error) {
	dir := e.path(stateFolder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("DNS: remember what to restore: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "resolver.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("DNS: remember what to restore: %w", err)
	}
	if err := lockFile(ctx, lock); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("DNS: wait for another change of the resolver: %w", err)
	}
	return &records{e, filepath.Join(dir, name), lock}, nil
}

// remembers reports whether there is a record, or one was being written.
func (e Environment) remembers(name string) bool {
	name = filepath.Join(e.path(stateFolder), name)
	_, err := os.Lstat(name)
	_, errNew := os.Lstat(name + newSuffix)
	return err == nil || errNew == nil
}

func (r *records) close() { _ = r.lock.Close() }

// load reads a record into state. What cannot be read is treated as absent: it
// was not written by a version that can be known here.
func load[T any](name, boot string) (state T, sameBoot, found bool, err error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return state, false, false, nil
	}
	if err != nil {
		return state, false, false, fmt.Errorf("DNS: read what to restore: %w", err)
	}
	state, sameBoot, found = decode[T](text, boot)
	return state, sameBoot, found, nil
}

func decode[T any](text []byte, boot string) (state T, sameBoot, ok bool) {
	var r record[T]
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(&r) != nil {
		return state, false, false
	}
	return r.State, r.Boot == boot, true
}

// save replaces the record, so that it is there whole after a crash.
func save[T any](r *records, boot string, state T) error {
	text, err := json.Marshal(record[T]{boot, state})
	if err != nil {
		return err
	}
	if err := r.env.step("save"); err != nil {
		return err
	}
	if err := writeNew(r.name+newSuffix, append(text, '\n'), 0o600, inMemory); err != nil {
		return fmt.Errorf("DNS: remember what to restore: %w", err)
	}
	if err := r.env.step("save, rename"); err != nil {
		return err
	}
	if err := os.Rename(r.name+newSuffix, r.name); err != nil {
		return fmt.Errorf("DNS: remember what to restore: %w", err)
	}
	return nil
}

// drop removes the record.
func (r *records) drop() error {
	if err := r.env.step("drop"); err != nil {
		return err
	}
	_ = os.Remove(r.name + newSuffix)
	if err := os.Remove(r.name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("DNS: forget what was restored: %w", err)
	}
	return nil
}

// writeNew writes a file that nobody reads yet.
func writeNew(name string, text []byte, mode os.FileMode, settle func(*os.File) error) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Chmod(mode), settle(f), f.Close())
}

// toDisk makes what was written survive a power failure.
func toDisk(f *os.File) error { return f.Sync() }

// inMemory is enough for what is worth nothing after one.
func inMemory(*os.File) error { return nil }

// lockEvery is how often a lock that is taken is tried again.
const lockEvery = 20 * time.Millisecond

func lockFile(ctx context.Context, f *os.File) error {
	for {
		taken, err := tryLock(f)
		if err != nil || !taken {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lockEvery):
		}
	}
}
