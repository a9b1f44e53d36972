package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bed is a file system to install into.
type bed struct {
	t    *testing.T
	root string
	out  bytes.Buffer
}

func newBed(t *testing.T) *bed { return &bed{t: t, root: filepath.Join(t.TempDir(), "root")} }

func (b *bed) options() *options {
	b.out.Reset()
	return &options{prefix: "/usr", destdir: b.root, zshDir: DefaultZshDir, version: "1", out: &b.out}
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// write makes a file that is not ours.
func (b *bed) write(path, text string, mode fs.FileMode) {
	b.t.Helper()
	p := filepath.Join(b.root, path)
	b.must(os.MkdirAll(filepath.Dir(p), 0o755))
	b.must(os.WriteFile(p, []byte(text), mode))
}

// tree is everything below the root, with modes and contents.
func (b *bed) tree() map[string]string {
	b.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(b.root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == b.root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(p)
			text += " " + target
		case info.Mode().IsRegular():
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			text += " " + sum(data)
		}
		all[strings.TrimPrefix(p, b.root)] = text
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.t.Fatal(err)
	}
	return all
}

func (b *bed) same(what string, got, want map[string]string) {
	b.t.Helper()
	for _, p := range slices.Sorted(maps.Keys(got)) {
		if want[p] == "" {
			b.t.Errorf("%s: %s is there (%s), and was not", what, p, got[p])
		} else if want[p] != got[p] {
			b.t.Errorf("%s: %s is %s, was %s", what, p, got[p], want[p])
		}
	}
	for p := range want {
		if got[p] == "" {
			b.t.Errorf("%s: %s is gone", what, p)
		}
	}
}

// U14: nothing is left, and what others have is untouched.
func TestUninstallLeavesNothing(t *testing.T) {
	b := newBed(t)
	b.write("/usr/bin/other", "x", 0o755)
	b.write("/usr/share/man/man8/other.8", "x", 0o644)
	before := b.tree()
	o := b.options()
	o.compat = true
	b.must(o.install(t.Context()))
	after := b.tree()
	for path, want := range map[string]string{
		"/usr/bin/warren":                                 "-rwxr-xr-x ",
		"/usr/bin/wg":                                     "Lrwxrwxrwx warren",
		"/usr/bin/wg-quick":                               "Lrwxrwxrwx warren",
		"/usr/bin/wireguard-go":                           "Lrwxrwxrwx warren",
		"/etc/wireguard":                                  "drwx------",
		"/usr/share/man/man8/wg.8":                        "Lrwxrwxrwx warren-wg.8",
		"/usr/share/man/man8/warren.8":                    "-rw-r--r-- ",
		"/usr/share/bash-completion/completions/wg-quick": "-rw-r--r-- ",
		"/usr/share/zsh/site-functions/_warren":           "-rw-r--r-- ",
		"/usr/share/fish/vendor_completions.d/wg.fish":    "-rw-r--r-- ",
		"/usr/share/warren/installed.json":                "-rw-r--r-- ",
	} {
		if !strings.HasPrefix(after[path], want) {
			t.Errorf("%s is %q, want %q", path, after[path], want)
		}
	}
	b.must(b.options().uninstall())
	b.same("after uninstall", b.tree(), before)
}

func TestWithoutCompatNoNameOfOthersIsTaken(t *testing.T) {
	b := newBed(t)
	b.must(b.options().install(t.Context()))
	for path := range b.tree() {
		base := filepath.Base(path)
		if strings.HasPrefix(base, "wg") || strings.HasPrefix(base, "_wg") || strings.Contains(base, "wireguard-go") {
			t.Errorf("%s is installed", path)
		}
	}
}

func TestCompatStaysUntilItIsTakenBack(t *testing.T) {
	b := newBed(t)
	o := b.options()
	o.compat = true
	b.must(o.install(t.Context()))
	full := b.tree()
	b.must(b.options().install(t.Context()))
	b.same("after a plain install", b.tree(), full)
	if !strings.Contains(b.out.String(), "everything is there already") {
		t.Errorf("said %q", b.out.String())
	}
	o = b.options()
	o.compatGiven = true
	b.must(o.install(t.Context()))
	plain := newBed(t)
	plain.must(plain.options().install(t.Context()))
	b.same("after --compat=false", b.tree(), plain.tree())
}

func TestWhatIsInTheWayIsReported(t *testing.T) {
	b := newBed(t)
	b.write("/usr/bin/wg", "#!/bin/sh\n", 0o755)
	b.write("/usr/share/bash-completion/completions/wg-quick", "x", 0o644)
	before := b.tree()
	o := b.options()
	o.compat = true
	err := o.install(t.Context())
	if err == nil {
		t.Fatal("files of others were taken")
	}
	for _, p := range []string{"/usr/bin/wg ", "/completions/wg-quick "} {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("the error does not name %s: %v", p, err)
		}
	}
	b.same("after refusing", b.tree(), before)
}

func TestForceMovesAwayAndUninstallBringsBack(t *testing.T) {
	b := newBed(t)
	b.write("/usr/bin/wg", "#!/bin/sh\n", 0o755)
	b.write("/usr/share/man/man8/wg.8", "page", 0o640)
	before := b.tree()
	for range 2 { // the second finds its own
		o := b.options()
		o.compat, o.force = true, true
		b.must(o.install(t.Context()))
	}
	if got := b.tree()["/usr/bin/wg"]; got != "Lrwxrwxrwx warren" {
		t.Errorf("wg is %q", got)
	}
	if got, want := b.tree()["/usr/bin/wg"+movedSuffix], before["/usr/bin/wg"]; got != want {
		t.Errorf("what was there is %q, want %q", got, want)
	}
	b.must(b.options().uninstall())
	b.same("after uninstall", b.tree(), before)
}

func TestADirectoryInTheWayIsNeverMoved(t *testing.T) {
	b := newBed(t)
	b.write("/usr/bin/warren/x", "", 0o644)
	before := b.tree()
	o := b.options()
	o.force = true
	if err := o.install(t.Context()); err == nil {
		t.Error("a directory was replaced")
	}
	b.same("after refusing", b.tree(), before)
}

func TestWhatWasChangedIsLeft(t *testing.T) {
	b := newBed(t)
	b.must(b.options().install(t.Context()))
	const page = "/usr/share/man/man8/warren.8"
	b.write(page, "mine", 0o644)
	if err := b.options().install(t.Context()); err == nil || !strings.Contains(err.Error(), page+" was changed") {
		t.Errorf("installing again: %v, want an error about %s", err, page)
	}
	err := b.options().uninstall()
	if err == nil || !strings.Contains(err.Error(), page) {
		t.Errorf("uninstall: %v, want an error about %s", err, page)
	}
	if _, ok := b.tree()[page]; !ok {
		t.Error("the changed file is gone")
	}
	o := b.options()
	o.force = true
	b.must(o.uninstall())
	b.same("after --force", b.tree(), map[string]string{})
}

func TestConfigurationsStay(t *testing.T) {
	b := newBed(t)
	b.must(b.options().install(t.Context()))
	b.write("/etc/wireguard/wg0.conf", "key", 0o600)
	b.must(b.options().uninstall())
	if got := slices.Sorted(maps.Keys(b.tree())); !slices.Equal(got, []string{"/etc", "/etc/wireguard", "/etc/wireguard/wg0.conf"}) {
		t.Errorf("left: %q", got)
	}
}

func TestDryRunChangesNothingAndNamesAll(t *testing.T) {
	b := newBed(t)
	o := b.options()
	o.dryRun, o.compat = true, true
	b.must(o.install(t.Context()))
	plan := b.out.String()
	b.same("after --dry-run", b.tree(), map[string]string{})
	o = b.options()
	o.compat = true
	b.must(o.install(t.Context()))
	if got := b.out.String(); got != plan {
		// The order differs: directories are made first.
		want := strings.Split(plan, "\n")
		did := strings.Split(got, "\n")
		slices.Sort(want)
		slices.Sort(did)
		if !slices.Equal(want, did) {
			t.Errorf("announced\n%s\ndone\n%s", plan, got)
		}
	}
	full := b.tree()
	o = b.options()
	o.dryRun = true
	b.must(o.uninstall())
	b.same("after uninstall --dry-run", b.tree(), full)
}

// What is there already with the same content is taken over, unless a package
// has it.
func TestTheSameFileIsNoConflict(t *testing.T) {
	for _, owned := range []bool{false, true} {
		b := newBed(t)
		b.write("/usr/bin/warren", "binary", 0o755)
		s := &site{destdir: b.root, owner: func(string) owner {
			if owned {
				return owner{name: "warren"}
			}
			return owner{}
		}}
		b.run(s, b.layout("binary"), nil, nil)
		m, err := readManifest(s.manifestPath("/usr"))
		b.must(err)
		if got := m.find("/usr/bin/warren") != nil; got == owned {
			t.Errorf("belongs to a package: %v, listed: %v", owned, got)
		}
	}
}

func (b *bed) layout(binary string) *Layout {
	return &Layout{Prefix: "/usr", ZshDir: DefaultZshDir, Compat: true, Units: true, Version: "1", Binary: []byte(binary)}
}

// run installs a layout. After each thing that is done, hook is called with
// how many were.
func (b *bed) run(s *site, l *Layout, ctx context.Context, hook func(n int)) error {
	b.t.Helper()
	if ctx == nil {
		ctx = b.t.Context()
	}
	items, err := l.items()
	b.must(err)
	old, err := readManifest(s.manifestPath("/usr"))
	b.must(err)
	actions, err := s.plan(append([]item{manifestDir("/usr")}, items...), old)
	b.must(err)
	n := 0
	return s.install(ctx, actions, &manifest{Version: l.Version, Compat: l.Compat}, s.manifestPath("/usr"), func(string, ...any) {
		n++
		if hook != nil {
			hook(n)
		}
	})
}

func noOwner(string) owner { return owner{} }

// steps is how many things an installation does.
func (b *bed) steps(s *site, l *Layout) (n int) {
	b.must(b.run(s, l, nil, func(i int) { n = i }))
	return n
}

// U01: an interruption after any step leaves what was there before.
func TestInterruptionIsUndone(t *testing.T) {
	count := newBed(t)
	count.write("/usr/bin/wg", "other", 0o755)
	total := count.steps(&site{destdir: count.root, owner: noOwner, force: true}, count.layout("one"))
	for stop := 1; stop < total; stop += 3 {
		t.Run(fmt.Sprint("after ", stop), func(t *testing.T) {
			b := newBed(t)
			b.write("/usr/bin/wg", "other", 0o755)
			s := &site{destdir: b.root, owner: noOwner, force: true}
			before := b.tree()
			ctx, cancel := context.WithCancel(t.Context())
			if err := b.run(s, b.layout("one"), ctx, func(n int) {
				if n == stop {
					cancel()
				}
			}); !errors.Is(err, context.Canceled) {
				t.Fatalf("installing: %v, want the interruption", err)
			}
			b.same("after undoing", b.tree(), before)
		})
	}
}

// crash is a death of the process.
type crash struct{}

// U02: after a death at any step, of a first installation or of an upgrade,
// uninstall removes everything and brings back what was there.
func TestACrashLeavesNothingUnknown(t *testing.T) {
	count := newBed(t)
	count.write("/usr/bin/wg", "other", 0o755)
	total := count.steps(&site{destdir: count.root, owner: noOwner, force: true}, count.layout("one"))
	for _, upgrade := range []bool{false, true} {
		for stop := 4; stop <= total; stop += 3 { // the first three make the directory of the manifest
			b := newBed(t)
			b.write("/usr/bin/wg", "other", 0o755)
			s := &site{destdir: b.root, owner: noOwner, force: true}
			before := b.tree()
			l := b.layout("one")
			if upgrade {
				b.must(b.run(s, l, nil, nil))
				l = b.layout("two")
				l.Version, l.Compat = "2", stop%2 == 0
			}
			died := false
			func() {
				defer func() { died = recover() == crash{} }()
				_ = b.run(s, l, nil, func(n int) {
					if n == stop {
						panic(crash{})
					}
				})
			}()
			if !died && !upgrade {
				t.Fatalf("no step %d", stop)
			}
			m, err := readManifest(s.manifestPath("/usr"))
			b.must(err)
			if m == nil {
				t.Fatalf("no manifest after step %d", stop)
			}
			left, err := s.uninstall(m, s.manifestPath("/usr"), func(string, ...any) {})
			if err != nil || len(left) > 0 {
				t.Fatalf("uninstall after a crash at step %d (upgrade: %v): left %q, %v", stop, upgrade, left, err)
			}
			b.same(fmt.Sprintf("after a crash at step %d (upgrade: %v)", stop, upgrade), b.tree(), before)
		}
	}
}

func TestPrefixesThatCannotWorkAreRefused(t *testing.T) {
	for _, prefix := range []string{"usr", "/usr/", "/a b", "/a//b", "/a/../b", "/a\nb", "", "/$HOME"} {
		l := Layout{Prefix: prefix}
		if _, err := l.items(); err == nil {
			t.Errorf("the prefix %q was taken", prefix)
		}
	}
}

func TestUnitsNameTheInstalledPrograms(t *testing.T) {
	l := &Layout{Prefix: "/opt/x", ZshDir: DefaultZshDir, Compat: true, Units: true, Version: "1"}
	items, err := l.items()
	if err != nil {
		t.Fatal(err)
	}
	units := 0
	for _, it := range items {
		if !strings.HasPrefix(it.path, "/opt/x/lib/systemd/system/") {
			continue
		}
		units++
		text := string(it.data)
		if strings.Contains(text, "@") && strings.Contains(text, "BINDIR") {
			t.Errorf("%s has a placeholder left", it.path)
		}
		if strings.HasSuffix(it.path, ".service") && !strings.Contains(text, "ExecStart=/opt/x/bin/") {
			t.Errorf("%s does not start what is installed:\n%s", it.path, text)
		}
	}
	if units != 3 {
		t.Errorf("%d units, want 3", units)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"version":"1","compat":true,"complete":true,"entries":[{"path":"/usr/bin/wg","type":"link","target":"warren","moved":"/usr/bin/wg.before-warren"}]}`))
	f.Add([]byte(`{"entries":[{"path":"/","type":"dir"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data, "x")
		if err != nil {
			return
		}
		for _, e := range m.Entries {
			if !strings.HasPrefix(e.Path, "/") || strings.Contains(e.Path+"/", "/../") || e.Path == "/" {
				t.Errorf("the path %q was taken", e.Path)
			}
		}
	})
}
