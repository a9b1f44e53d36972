package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/nsid"
)

// Dir is where the journals are: a directory for root alone, on a file system
// that ends with the boot.
type Dir struct {
	path      string
	namespace nsid.ID
	self      Owner
}

// Open returns the journals of the network namespace of the calling thread. The
// directory is made when the first one is written.
func Open(path string) (*Dir, error) {
	here, err := nsid.Current()
	if err != nil {
		return nil, err
	}
	owner, err := self()
	if err != nil {
		return nil, err
	}
	return &Dir{path: path, namespace: here, self: owner}, nil
}

const extension = ".journal"

// file is the path of an interface's journal. Interfaces of different network
// namespaces may share a directory.
func (d *Dir) file(name string) string {
	return filepath.Join(d.path, fmt.Sprintf("%s.%d%s", name, d.namespace.Inode, extension))
}

// ErrBusy says that a process works on the interface.
var ErrBusy = errors.New("another process is working on the interface")

// File is a journal that this process writes. It is used by one goroutine.
type File struct {
	f      *os.File
	record Record
	next   int
}

// Take locks the journal of an interface, and makes one if there is none. The
// record is what another process left, nil if nothing. The error is ErrBusy if
// that process is alive.
func (d *Dir) Take(name string) (*File, *Record, error) {
	if err := d.make(); err != nil {
		return nil, nil, err
	}
	for {
		f, err := os.OpenFile(d.file(name), os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, nil, err
		}
		again, err := lock(f)
		if err != nil {
			return nil, nil, errors.Join(err, f.Close())
		}
		if again {
			_ = f.Close()
			continue
		}
		r, err := d.read(f)
		if err == nil {
			err = cut(f)
		}
		if err == nil && r != nil && r.Phase != Complete && d.alive(r.Owner) {
			err = ErrBusy
		}
		if err != nil {
			_ = f.Close()
			return nil, nil, err
		}
		file := &File{f: f, next: 1}
		if r != nil {
			file.record, file.next = *r, r.next()
		}
		return file, r, nil
	}
}

// make makes the directory.
func (d *Dir) make() error {
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return err
	}
	return private(d.path)
}

// lock takes the lock of a file. If the file was removed meanwhile, its lock
// says nothing.
func lock(f *os.File) (again bool, err error) {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return false, ErrBusy
		}
		return false, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	ours, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(f.Name())
	return err != nil || !os.SameFile(ours, there), nil
}

// private refuses a directory that others may write to.
func private(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() && st.Uid != 0 || st.Mode&0o022 != 0 {
		return fmt.Errorf("%s: want a directory that only its owner, this user or root, can write to", dir)
	}
	return nil
}

// read returns what is in a file, or nil if nothing, or nothing that is true:
// another boot's journal tells of what is gone.
func (d *Dir) read(f io.ReadSeeker) (*Record, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	r, err := Parse(text)
	if err != nil || r.Interface == "" {
		return nil, nil // nobody can undo what it does not say
	}
	return r, nil
}

// alive reports whether a process may still be at work.
func (d *Dir) alive(o Owner) bool {
	if o.Boot != d.self.Boot || o.PIDs != d.self.PIDs {
		return false // the lock was free
	}
	start, err := startTime(o.PID)
	return err == nil && start == o.Start && o.PID != d.self.PID
}

// Stale reports whether r is of an earlier boot, or of another network namespace
// that had the number of this one: what the kernel had then is gone.
func (d *Dir) Stale(r *Record) bool {
	return r.Owner.Boot != d.self.Boot || !r.Namespace.Is(d.namespace)
}

// Read returns the journal of an interface, or nil if there is none.
func (d *Dir) Read(name string) (*Record, error) {
	f, err := os.Open(d.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return d.read(f)
}

// List returns the journals of all interfaces of this network namespace.
func (d *Dir) List() ([]*Record, error) {
	entries, err := os.ReadDir(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []*Record
	suffix := fmt.Sprintf(".%d%s", d.namespace.Inode, extension)
	for _, e := range entries {
		name, ours := strings.CutSuffix(e.Name(), suffix)
		if !ours {
			continue
		}
		if r, err := d.Read(name); err == nil && r != nil && r.Interface == name {
			all = append(all, r)
		}
	}
	return all, nil
}

// Begin starts a journal anew, whatever was in it before: see Take.
func (f *File) Begin(d *Dir, name string, about any) error {
	text, err := json.Marshal(about)
	if err != nil {
		return err
	}
	if err := f.f.Truncate(0); err != nil {
		return err
	}
	f.record, f.next = Record{Interface: name}, 1
	return f.write(line{Journal: "warren", Version: version, Interface: name, Namespace: d.namespace.Inode, Cookie: d.namespace.Cookie, Owner: &d.self, About: text})
}

// Go enters another phase, with this process as its owner.
func (f *File) Go(d *Dir, p Phase) error { return f.write(line{Phase: p, Owner: &d.self}) }

// Intend writes that a step is about to be taken, and returns its number.
func (f *File) Intend(step any) (int, error) {
	text, err := json.Marshal(step)
	if err != nil {
		return 0, err
	}
	n := f.next
	f.next++
	return n, f.write(line{N: n, Step: text})
}

// Done writes that a step was taken, and what came of it, which may be nil.
func (f *File) Done(n int, result any) error {
	l := line{N: n, Done: true}
	if result != nil {
		text, err := json.Marshal(result)
		if err != nil {
			return err
		}
		l.Result = text
	}
	return f.write(l)
}

// Undone writes that a step was taken back.
func (f *File) Undone(n int) error { return f.write(line{N: n, Undone: true}) }

func (f *File) write(l line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	// One call, so that no other process can see, or leave, half a line but
	// where the file system is full.
	_, err = f.f.Write(append(text, '\n'))
	if err != nil {
		return errors.Join(fmt.Errorf("journal: %w", err), cut(f.f))
	}
	return nil
}

// cut takes away a last line that was not finished: what is appended to it could
// not be read.
func cut(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	text := make([]byte, info.Size())
	n, err := f.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	whole := bytes.LastIndexByte(text[:n], '\n') + 1
	if whole == n {
		return nil
	}
	return f.Truncate(int64(whole))
}

// Remove deletes the journal: there is nothing left to be undone.
func (f *File) Remove() error { return errors.Join(os.Remove(f.f.Name()), f.f.Close()) }

// Close gives up the lock; the journal stays.
func (f *File) Close() error { return f.f.Close() }
