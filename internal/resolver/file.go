package resolver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The files of the host. Backup and temporary file are beside the target, so
// that they can be renamed.
const (
	resolvConf    = "/etc/resolv.conf"
	backupSuffix  = ".before-warren" // while a tunnel is up
	rescueSuffix  = ".before-tunnel" // when it could not be put back
	temporaryName = "/etc/.resolv.conf.warren-new"
	fileStateName = "resolver.json"
	maxText       = 1 << 20
	readerServers = 3 // resolv.conf(5): more are not asked
	actionsAtMost = 16
	fileHint      = "make the file writable, take DNS out of the configuration, or set the resolver yourself in a PostUp"
	immutableHint = "lsattr " + resolvConf + " shows whether it is immutable"
)

// file manages /etc/resolv.conf itself: a stack of tunnels, carried out.
type file struct{ env Environment }

func (f *file) Name() string { return "resolv.conf" }

func (f *file) Trace(s Settings) []string {
	text := strings.TrimSuffix(strings.ReplaceAll(input(s), "\n", `\n`), `\n`)
	return []string{"printf '" + text + `\n' > ` + resolvConf}
}

func (f *file) Untrace(string) []string {
	return []string{"mv " + resolvConf + backupSuffix + " " + resolvConf}
}

// session is one change under the lock.
type session struct {
	*records
	boot                  string
	here                  place
	target, backup, fresh string
	stack                 stack
	mounted               bool
}

// begin reads what is remembered and forgets what cannot be in force any more:
// tunnels of an earlier boot, and those whose interface or namespace is gone.
func (f *file) begin(ctx context.Context) (*session, error) {
	s := &session{boot: bootID(), here: here(), target: f.env.path(resolvConf), fresh: f.env.path(temporaryName)}
	s.backup = s.target + backupSuffix
	var name string
	name, s.mounted = f.stateName()
	var err error
	if s.records, err = f.env.open(ctx, name); err != nil {
		return nil, err
	}
	if s.stack, err = f.load(name); err != nil {
		s.close()
		return nil, err
	}
	if len(s.stack.Tunnels) == 0 {
		s.stack.InPlace, s.stack.Pending = s.mounted, false
	}
	return s, nil
}

func (f *file) load(name string) (stack, error) {
	st, sameBoot, _, err := load[stack](filepath.Join(f.env.path(stateFolder), name), bootID())
	now := here()
	st.Tunnels = slices.DeleteFunc(st.Tunnels, func(t tunnel) bool { return !sameBoot || f.env.gone(t, now) })
	if len(st.Tunnels) == 0 {
		st.Pending = false
	}
	return st, err
}

// stateName returns the record that belongs to the target. One that something
// is mounted on, which is how a container or a namespace has its own while it
// shares /run with others, has a record of its own.
func (f *file) stateName() (name string, mounted bool) {
	device, inode, mounted := mountPoint(f.env.path(resolvConf))
	if !mounted {
		return fileStateName, false
	}
	return fmt.Sprintf("resolver-%x-%d.json", device, inode), true
}

// holds reports whether a tunnel has set the file.
func (f *file) holds(iface string) bool {
	_, ok := f.find(iface)
	return ok
}

func (f *file) find(iface string) (tunnel, bool) {
	name, _ := f.stateName()
	st, _, found, err := load[stack](filepath.Join(f.env.path(stateFolder), name), bootID())
	if err == nil && found {
		now := here()
		for _, t := range st.Tunnels {
			if t.is(iface, now) {
				return t, true
			}
		}
	}
	return tunnel{}, false
}

func (f *file) Servers(_ context.Context, iface string) ([]netip.Addr, []string, error) {
	t, _ := f.find(iface)
	return t.Servers, t.Domains, nil
}

// Set implements [Backend].
func (f *file) Set(ctx context.Context, s Settings) error {
	if err := s.check(); err != nil {
		return err
	}
	x, err := f.begin(ctx)
	if err != nil {
		return err
	}
	defer x.close()
	f.advise(s)
	v, err := x.look()
	if err != nil {
		return err
	}
	if x.stack.changed(v) {
		f.env.warn("", "DNS: another program has changed %s while a tunnel was up; what it wrote is put back in the end", resolvConf)
	}
	before := x.stack
	x.stack.push(tunnel{Name: s.Interface, Index: s.Index, place: x.here, Servers: s.Servers, Domains: s.Domains})
	if err = x.save(); err == nil {
		err = x.settle()
	}
	if err == nil {
		return x.save()
	}
	// What the failed attempt is still writing is needed to take it back.
	before.Writing, before.InPlace = x.stack.Writing, x.stack.InPlace
	x.stack = before
	return errors.Join(err, x.finish())
}

// Unset implements [Backend].
func (f *file) Unset(ctx context.Context, iface string) error {
	if f.idle() {
		return nil // also where nothing could be written
	}
	x, err := f.begin(ctx)
	if err != nil {
		return err
	}
	defer x.close()
	v, err := x.look()
	if err != nil {
		return err
	}
	changed := x.stack.changed(v)
	x.stack.pop(iface, x.here)
	_, lost := unseal(v.target.text)
	switch {
	case changed && lost:
		f.env.warn("write the servers of your network into it", "DNS: %s cannot be restored: %s is gone", resolvConf, resolvConf+backupSuffix)
	case changed:
		f.env.warn("", "DNS: another program has changed %s while %s was up; it stays as it is", resolvConf, iface)
	}
	if err := x.save(); err != nil {
		return err
	}
	return x.finish()
}

// idle reports whether nothing is set, and nothing is left of what was.
func (f *file) idle() bool {
	name, mounted := f.stateName()
	x := &session{mounted: mounted, target: f.env.path(resolvConf), backup: f.env.path(resolvConf) + backupSuffix}
	v, err := x.look()
	_, mine := v.mine()
	return err == nil && !mine && !v.backup.exists && !f.env.remembers(name)
}

// advise says what of the settings a resolv.conf cannot express.
func (f *file) advise(s Settings) {
	if len(s.Servers) > readerServers {
		f.env.warn("", "DNS: %d servers: programs ask the first %d of %s", len(s.Servers), readerServers, resolvConf)
	}
	for _, d := range s.Domains {
		if strings.HasPrefix(d, "~") {
			f.env.warn("names below it are asked of the tunnel's servers, as all others are", "DNS: %s: %s has no routing by domain", d, resolvConf)
		}
	}
}

// finish settles and then forgets what need not be remembered.
func (x *session) finish() error {
	if err := x.settle(); err != nil {
		return err
	}
	if len(x.stack.Tunnels) > 0 {
		return x.save()
	}
	return x.drop()
}

func (x *session) save() error { return save(x.records, x.boot, x.stack) }

// settle brings the file to what the stack says.
func (x *session) settle() error {
	for range actionsAtMost {
		v, err := x.look()
		if err != nil {
			return err
		}
		a := x.stack.next(v)
		if a.verb == done {
			return x.settled()
		}
		err = x.perform(a)
		if err != nil && !x.stack.InPlace && cannotReplace(err) {
			x.stack.InPlace = true
			if err = x.save(); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return x.explain(err)
		}
	}
	return fmt.Errorf("DNS: another program keeps changing %s", resolvConf)
}

// settled clears what only matters on the way.
func (x *session) settled() error {
	if err := os.Remove(x.fresh); err != nil && !errors.Is(err, fs.ErrNotExist) && !cannotReplace(err) {
		return x.explain(err)
	}
	x.stack.Writing, x.stack.Pending = nil, false
	return nil
}

// look reads the file and its backup.
func (x *session) look() (view, error) {
	v := view{mounted: x.mounted}
	target, err := x.snapshot(x.target, &v.target)
	if err != nil {
		return v, err
	}
	if x.mounted {
		return v, nil
	}
	backup, err := x.snapshot(x.backup, &v.backup)
	if err != nil {
		return v, err
	}
	v.same = target != nil && backup != nil && os.SameFile(target, backup)
	return v, nil
}

func (x *session) snapshot(name string, s *snapshot) (os.FileInfo, error) {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, x.explain(err)
	}
	s.exists = true
	real, err := os.Stat(name)
	if err != nil {
		return info, nil // a link that leads nowhere
	}
	if !real.Mode().IsRegular() || real.Size() > maxText {
		return nil, x.explain(&fs.PathError{Op: "read", Path: name, Err: errors.New("not a file of text")})
	}
	if s.text, err = os.ReadFile(name); err != nil {
		return nil, x.explain(err)
	}
	return info, nil
}

// perform carries out one action.
func (x *session) perform(a action) error {
	if err := x.env.step([...]string{"", "keep", "drop backup", "replace", "write", "remove", "put back", "rescue"}[a.verb]); err != nil {
		return err
	}
	switch a.verb {
	case keep:
		return x.keep()
	case dropBackup:
		return os.Remove(x.backup)
	case replace:
		return x.replace(a.text)
	case write:
		return x.write(a.text)
	case remove:
		return os.Remove(x.target)
	case putBack:
		return os.Rename(x.backup, x.target)
	case rescue:
		x.env.warn("", "DNS: what %s was before the tunnel is now %s", resolvConf, resolvConf+rescueSuffix)
		return os.Rename(x.backup, x.target+rescueSuffix)
	}
	panic(fmt.Sprintf("resolver: unknown action %d", a.verb))
}

// keep gives the original its second name. Where that is not possible, or not
// seen afterwards (an overlay shows two files if its layers are different file
// systems), it is moved there instead.
func (x *session) keep() error {
	err := os.Link(x.target, x.backup)
	if err == nil {
		target, err := os.Lstat(x.target)
		if err != nil {
			return err
		}
		backup, err := os.Lstat(x.backup)
		if err != nil || os.SameFile(target, backup) {
			return err
		}
		// Underneath they are one, and renaming that does nothing.
		if err := os.Remove(x.backup); err != nil {
			return err
		}
	} else if !cannotLink(err) {
		return err
	}
	return os.Rename(x.target, x.backup)
}

func (x *session) replace(text []byte) error {
	if err := writeNew(x.fresh, text, 0o644, toDisk); err != nil {
		return err
	}
	like := x.target
	if _, err := os.Stat(x.backup); err == nil {
		like = x.backup
	}
	dress(x.fresh, like)
	if err := x.env.step("replace, rename"); err != nil {
		return err
	}
	return os.Rename(x.fresh, x.target)
}

// write changes the file in place. Its owner, mode and attributes stay.
func (x *session) write(text []byte) error {
	from, err := os.ReadFile(x.target)
	if err != nil {
		return err
	}
	x.stack.Writing = &writing{From: from, To: text, Dirty: x.stack.Writing.torn(from)}
	if err := x.save(); err != nil {
		return err
	}
	// Opened without emptying it: what is cut short must still be told.
	f, err := os.OpenFile(x.target, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := x.env.step("write in place"); err != nil {
		return err
	}
	if _, err := f.WriteAt(text, 0); err != nil {
		return err
	}
	if err := x.env.step("write, cut"); err != nil {
		return err
	}
	return errors.Join(f.Truncate(int64(len(text))), toDisk(f))
}

// Error says what could not be done, and the way out.
type Error struct {
	Err  error
	Hint string
}

// Error returns the error without the hint.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the error without the hint.
func (e *Error) Unwrap() error { return e.Err }

// Hints returns the hint, as the printers of errors look for it.
func (e *Error) Hints() []string { return []string{e.Hint} }

// explain names the key that asked for it, and the way out.
func (x *session) explain(err error) error {
	hint := fileHint
	if errors.Is(err, fs.ErrPermission) {
		hint += "; " + immutableHint
	}
	return &Error{fmt.Errorf("DNS: change %s: %w", resolvConf, err), hint}
}
