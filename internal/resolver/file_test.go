//go:build linux

package resolver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var errCrash = errors.New("crashed")

// host is a root folder of its own with a resolv.conf in it.
type host struct {
	t     *testing.T
	env   Environment
	links map[string]bool // those that exist; nil: all
	said  []string        // warnings
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t}
	h.env = Environment{
		Root: t.TempDir(), Path: t.TempDir(),
		Warn:       func(text, hint string) { h.said = append(h.said, text+"\n"+hint) },
		LinkExists: func(name string) bool { return h.links == nil || h.links[name] },
	}
	for _, dir := range []string{"/etc", "/run"} {
		if err := os.Mkdir(h.env.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h *host) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(h.env.path(name), []byte(text), 0o640); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) read() string {
	text, err := os.ReadFile(h.env.path(resolvConf))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// print is all that can be seen of /etc and /run, but for the lock.
func (h *host) print() string {
	var b strings.Builder
	for _, dir := range []string{"/etc", "/run"} {
		err := filepath.WalkDir(h.env.path(dir), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || d.Name() == "resolver.lock" {
				return err
			}
			info, err := os.Lstat(p)
			if err != nil {
				return err
			}
			var s unix.Stat_t
			_ = unix.Lstat(p, &s)
			link, _ := os.Readlink(p)
			text, _ := os.ReadFile(p)
			fmt.Fprintf(&b, "%s %v inode %d, %d links, %d:%d, %v, to %q, %q\n", p[len(h.env.Root):], info.Mode(), s.Ino, s.Nlink,
				s.Uid, s.Gid, info.ModTime().UnixNano(), link, text)
			return nil
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	return b.String()
}

func wg(n int) Settings {
	return Settings{Interface: name(n), Index: 10 + n, Servers: addresses(fmt.Sprintf("10.0.0.%d", n+1)), Domains: []string{name(n) + ".example"}}
}

// inForce checks which tunnel the file is for.
func (h *host) inForce(n int) {
	h.t.Helper()
	if got, want := parse([]byte(h.read())), parse([]byte(input(wg(n)))); !slices.Equal(got.servers, want.servers) || !slices.Equal(got.search, want.search) {
		h.t.Errorf("resolv.conf is %q, want that of %s", h.read(), name(n))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// originals are the forms that a resolv.conf is found in.
var originals = map[string]func(h *host){
	"a file": func(h *host) {
		h.write(resolvConf, "# mine\nnameserver 192.0.2.1\n\n\toptions  ndots:2")
		must(h.t, os.Chmod(h.env.path(resolvConf), 0o644))
		must(h.t, os.Chtimes(h.env.path(resolvConf), time.Unix(1e9, 5), time.Unix(1e9, 7)))
	},
	"an empty file": func(h *host) { h.write(resolvConf, "") },
	"no file":       func(*host) {},
	"a link": func(h *host) {
		h.write("/run/resolv.conf", "nameserver 192.0.2.1\nsearch home\n")
		must(h.t, os.Symlink("../run/resolv.conf", h.env.path(resolvConf)))
	},
	"a copy of ours from another place": func(h *host) {
		h.write(resolvConf, string(mark{kind: kept}.seal("wg0", contents{servers: []string{"192.0.2.1"}})))
	},
	"a link to nothing": func(h *host) { must(h.t, os.Symlink("/nowhere/resolv.conf", h.env.path(resolvConf))) },
}

// noReplace makes a host where files can only be written, as a mount point is.
func (h *host) noReplace() {
	h.env.crash = func(step string) error {
		if step == "keep" || step == "replace" || step == "put back" {
			return &os.LinkError{Op: step, Err: unix.EBUSY}
		}
		return nil
	}
}

// Q28: for every form of the file, and every order.
func TestFileIsRestoredExactly(t *testing.T) {
	for form, make := range originals {
		for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}, {0, 2, 1}, {2, 0, 1}} {
			t.Run(fmt.Sprint(form, order), func(t *testing.T) {
				h := newHost(t)
				make(h)
				before := h.print()
				b := &file{env: h.env}
				for n := range 3 {
					must(t, b.Set(t.Context(), wg(n)))
					h.inForce(n)
				}
				up := []int{0, 1, 2}
				for _, n := range order {
					must(t, b.Unset(t.Context(), name(n)))
					if up = slices.DeleteFunc(up, func(m int) bool { return m == n }); len(up) > 0 {
						h.inForce(up[len(up)-1])
					}
				}
				if after := h.print(); after != before {
					t.Errorf("after\n%s, want\n%s", after, before)
				}
				if len(h.said) > 0 {
					t.Errorf("warned: %q", h.said)
				}
			})
		}
	}
}

// U01: the process ends before any one step of a change. The same change, or
// taking everything down, finishes what was begun.
func TestCrashInAnyStepIsRepaired(t *testing.T) {
	story := []func(context.Context, Backend) error{
		func(ctx context.Context, b Backend) error { return b.Set(ctx, wg(0)) },
		func(ctx context.Context, b Backend) error { return b.Set(ctx, wg(1)) },
		func(ctx context.Context, b Backend) error { return b.Unset(ctx, name(0)) },
		func(ctx context.Context, b Backend) error { return b.Unset(ctx, name(1)) },
	}
	for form, make := range originals {
		for _, inPlace := range []bool{false, true} {
			if inPlace && form != "a file" && form != "an empty file" {
				continue // nothing is there that could be written
			}
			if testing.Short() && form != "a copy of ours from another place" && form != "no file" {
				continue
			}
			for at := range story {
				for _, retry := range []bool{true, false} {
					points := crashEverywhere(t, at, form, func(step func(string) error) (crashed bool) {
						h := newHost(t)
						make(h)
						before := h.print()
						if inPlace {
							before = withoutTimes(before)
							h.noReplace()
						}
						b := &file{env: h.env}
						for _, change := range story[:at] {
							must(t, change(t.Context(), b))
						}
						whole := b.env.crash
						b.env.crash = func(s string) error {
							if err := step(s); err != nil {
								if s == "write in place" {
									h.tear()
								}
								return err
							}
							if whole != nil {
								return whole(s)
							}
							return nil
						}
						err := story[at](t.Context(), b)
						b.env.crash = whole
						rest := story[2:]
						if retry {
							rest = story[at:]
						}
						for _, change := range rest {
							must(t, change(t.Context(), b))
						}
						after := h.print()
						if inPlace {
							after = withoutTimes(after)
						}
						if after != before {
							t.Fatalf("%s, in place %v, crash in change %d, again %v: after\n%s, want\n%s", form, inPlace, at, retry, after, before)
						}
						return errors.Is(err, errCrash)
					})
					if points < 4 {
						t.Errorf("%s: only %d steps", form, points)
					}
				}
			}
		}
	}
}

// tear writes the first half of what was about to be written, unless that has
// happened already.
func (h *host) tear() {
	st, _, _, err := load[stack](h.env.path(stateFolder+"/"+fileStateName), bootID())
	must(h.t, err)
	if now := h.read(); now == string(st.Writing.From) {
		n := len(st.Writing.To) / 2
		must(h.t, os.WriteFile(h.env.path(resolvConf), []byte(string(st.Writing.To[:n])+now[min(n, len(now)):]), 0))
	}
}

// crashEverywhere runs a story again and again, and ends it a step later each
// time. From then on every step fails: a process that is gone takes none.
func crashEverywhere(t *testing.T, at int, form string, run func(step func(string) error) bool) (points int) {
	t.Helper()
	for n := range 100 {
		left, last := n, ""
		crashed := run(func(step string) error {
			if left--; left < 0 {
				if last == "" {
					last = step
				}
				return errCrash
			}
			return nil
		})
		if t.Failed() {
			t.Fatalf("%s: change %d ended before step %d, %q", form, at, n, last)
		}
		if !crashed {
			return n
		}
	}
	t.Fatalf("%s: change %d has no end", form, at)
	return 0
}

// withoutTimes leaves out what changes when a file is written in place.
func withoutTimes(print string) string {
	var b strings.Builder
	for line := range strings.Lines(print) {
		before, after, _ := strings.Cut(line, ", ")
		_, after, _ = strings.Cut(after[strings.Index(after, ":"):], ", ")
		_, after, _ = strings.Cut(after, ", ")
		b.WriteString(before + after)
	}
	return b.String()
}

// A tunnel whose interface is gone, and all of an earlier boot, count for
// nothing; the file is restored nevertheless.
func TestTunnelsThatAreGoneAreForgotten(t *testing.T) {
	for _, way := range []string{"interface gone", "namespace gone", "namespace replaced", "restart", "restart, /run emptied"} {
		t.Run(way, func(t *testing.T) {
			h := newHost(t)
			originals["a file"](h)
			before := h.print()
			b := &file{env: h.env}
			must(t, b.Set(t.Context(), wg(0)))
			must(t, b.Set(t.Context(), wg(1)))
			record := h.env.path(stateFolder + "/" + fileStateName)
			text, err := os.ReadFile(record)
			must(t, err)
			switch way {
			case "interface gone":
				h.links = map[string]bool{"wg2": true}
			case "namespace gone":
				must(t, os.WriteFile(record, []byte(strings.ReplaceAll(string(text), here().Namespace, "net:[1]")), 0o600))
			case "namespace replaced": // by this one, which got its number
				cookie := fmt.Sprintf(`"cookie":%d,`, here().Cookie)
				other := strings.ReplaceAll(string(text), cookie, `"cookie":1152921504606846976,`)
				if other == string(text) {
					t.Log("this kernel gives namespaces no cookies")
					return
				}
				must(t, os.WriteFile(record, []byte(other), 0o600))
			case "restart":
				must(t, os.WriteFile(record, []byte(strings.Replace(string(text), bootID(), "another", 1)), 0o600))
			default:
				must(t, os.RemoveAll(h.env.path(stateFolder)))
			}
			must(t, b.Set(t.Context(), wg(2)))
			h.inForce(2)
			must(t, b.Unset(t.Context(), "wg2"))
			if after := h.print(); after != before {
				t.Errorf("after\n%s, want\n%s", after, before)
			}
		})
	}
}

// A tunnel of a namespace that may be there, where its processes cannot be seen,
// or that has a process, is in force.
func TestTunnelsElsewhereStay(t *testing.T) {
	now := here()
	for name, p := range map[string]place{
		"other processes":   {"net:[1]", 7, now.PIDs + 1},
		"of older versions": {"net:[1]", 0, 0},
		"no number":         {"unknown", 7, now.PIDs},
		"this one":          now,
	} {
		if p.vanished(now) {
			t.Errorf("%s: %+v has vanished", name, p)
		}
	}
	if p := (place{"net:[1]", 7, now.PIDs}); !p.vanished(now) {
		t.Errorf("%+v has not vanished", p)
	}
	if p := now; now.Cookie != 0 {
		p.Cookie++
		if !p.vanished(now) {
			t.Errorf("%+v has not vanished, although %+v has its number", p, now)
		}
	}
}

func TestChangeByAnotherHandIsLeftAndSaid(t *testing.T) {
	h := newHost(t)
	originals["a file"](h)
	b := &file{env: h.env}
	was := h.read()
	must(t, b.Set(t.Context(), wg(0)))
	must(t, b.Set(t.Context(), wg(1)))
	edited := h.read() + "nameserver 203.0.113.1\n"
	h.write(resolvConf, edited)
	must(t, b.Unset(t.Context(), "wg1"))
	if got := h.read(); got != edited {
		t.Errorf("overwritten with %q, want %q", got, edited)
	}
	must(t, b.Unset(t.Context(), "wg0"))
	if got := h.read(); got != edited {
		t.Errorf("overwritten with %q, want %q", got, edited)
	}
	rescued, err := os.ReadFile(h.env.path(resolvConf + rescueSuffix))
	if err != nil || string(rescued) != was {
		t.Errorf("what was there before: %q, %v; want %q", rescued, err, was)
	}
	if all := strings.Join(h.said, "\n"); !strings.Contains(all, "another program has changed /etc/resolv.conf") || !strings.Contains(all, resolvConf+rescueSuffix) {
		t.Errorf("warned %q, want that the file was changed and where the former is", all)
	}
	// A later tunnel restores what the other hand wrote.
	must(t, b.Set(t.Context(), wg(2)))
	h.inForce(2)
	must(t, b.Unset(t.Context(), "wg2"))
	if got := h.read(); got != edited {
		t.Errorf("resolv.conf is %q, want %q", got, edited)
	}
}

// The backup is gone: said, and the file is left.
func TestLostBackupIsSaid(t *testing.T) {
	h := newHost(t)
	originals["a file"](h)
	b := &file{env: h.env}
	must(t, b.Set(t.Context(), wg(0)))
	must(t, os.Remove(h.env.path(resolvConf+backupSuffix)))
	left := h.read()
	must(t, b.Unset(t.Context(), "wg0"))
	if h.read() != left || len(h.said) != 1 || !strings.Contains(h.said[0], "cannot be restored") {
		t.Errorf("warned %q, and left %q", h.said, h.read())
	}
}

// A change by another hand between two tunnels is what comes back in the end.
func TestChangeByAnotherHandIsRestoredByTheNextTunnel(t *testing.T) {
	h := newHost(t)
	originals["a link"](h)
	b := &file{env: h.env}
	must(t, b.Set(t.Context(), wg(0)))
	must(t, os.Remove(h.env.path(resolvConf)))
	h.write(resolvConf, "nameserver 203.0.113.1\n")
	must(t, b.Set(t.Context(), wg(1)))
	h.inForce(1)
	must(t, b.Unset(t.Context(), "wg1"))
	h.inForce(0)
	must(t, b.Unset(t.Context(), "wg0"))
	if got := h.read(); got != "nameserver 203.0.113.1\n" {
		t.Errorf("resolv.conf is %q, want what the other hand wrote", got)
	}
}

// Q24: one clear error, and nothing is left behind.
func TestReadOnlyFileIsOneClearError(t *testing.T) {
	for _, errno := range []error{unix.EROFS, unix.EPERM} {
		h := newHost(t)
		originals["a file"](h)
		before := h.print()
		b := &file{env: h.env}
		b.env.crash = func(step string) error {
			if strings.HasPrefix(step, "save") || step == "drop" {
				return nil
			}
			return &fs.PathError{Op: "open", Path: resolvConf, Err: errno}
		}
		err := b.Set(t.Context(), wg(0))
		var hinted interface{ Hints() []string }
		if !errors.Is(err, errno) || !strings.Contains(err.Error(), "DNS: ") || !strings.Contains(err.Error(), resolvConf) || !errors.As(err, &hinted) {
			t.Fatalf("error %v, want one with DNS, the file and a hint", err)
		}
		if hint := strings.Join(hinted.Hints(), " "); !strings.Contains(hint, "PostUp") || strings.Contains(hint, "lsattr") != (errno == unix.EPERM) {
			t.Errorf("hint %q", hint)
		}
		if after := h.print(); after != before {
			t.Errorf("after\n%s, want\n%s", after, before)
		}
		b.env.crash = nil
		must(t, b.Unset(t.Context(), "wg0"))
	}
}

func TestUnsetOfNothingTouchesNothing(t *testing.T) {
	h := newHost(t)
	originals["a file"](h)
	before := h.print()
	must(t, (&file{env: h.env}).Unset(t.Context(), "wg0"))
	if after := h.print(); after != before {
		t.Errorf("after\n%s, want\n%s", after, before)
	}
	if _, err := os.Lstat(h.env.path(stateFolder)); err == nil {
		t.Error("made a folder for nothing")
	}
}

func TestWhatIsSetIsSavedAndFound(t *testing.T) {
	h := newHost(t)
	originals["a file"](h)
	b, why, err := Choose(t.Context(), h.env)
	if err != nil || b.Name() != "resolv.conf" || !strings.Contains(why, "no resolvconf in PATH") {
		t.Fatalf("chosen: %v, %q, %v; want the file", b, why, err)
	}
	s := wg(0)
	s.Domains = append(s.Domains, "~routed")
	must(t, b.Set(t.Context(), s))
	if len(h.said) != 1 || !strings.Contains(h.said[0], "~routed") {
		t.Errorf("warned %q, want once about ~routed", h.said)
	}
	// resolvconf appears while the tunnel is up.
	fake := newFake(t, h, "")
	found, err := Find(t.Context(), h.env, "wg0")
	if err != nil || found.Name() != "resolv.conf" {
		t.Errorf("found %v, %v; want the one that has set it", found, err)
	}
	for _, b := range []Backend{found, fake.backend} {
		servers, domains, err := b.Servers(t.Context(), "wg0")
		if err != nil || !slices.Equal(servers, s.Servers) || !slices.Equal(domains, s.Domains) {
			t.Errorf("set are %v, %q, %v; want %v", servers, domains, err, s)
		}
	}
	other, err := Find(t.Context(), h.env, "wg1")
	if err != nil || other.Name() != "resolvconf" {
		t.Errorf("found %v, %v for another, want resolvconf", other, err)
	}
}

// Two processes change the file one after the other.
func TestChangesWaitForEachOther(t *testing.T) {
	h := newHost(t)
	originals["a file"](h)
	before := h.print()
	inside, change := 0, make(chan error)
	var hold = make(chan struct{}, 1)
	h.env.crash = func(string) error {
		select {
		case hold <- struct{}{}:
			inside++
			<-hold
			return nil
		default:
			return errors.New("two at a time")
		}
	}
	for n := range 8 {
		go func() {
			b := &file{env: h.env}
			change <- errors.Join(b.Set(t.Context(), wg(n)), b.Unset(t.Context(), name(n)))
		}()
	}
	for range 8 {
		if err := <-change; err != nil {
			t.Error(err)
		}
	}
	if after := h.print(); after != before || inside == 0 {
		t.Errorf("after %d steps\n%s, want\n%s", inside, after, before)
	}
	taken, err := h.env.open(t.Context(), "x")
	must(t, err)
	defer taken.close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errCrash)
	if err := (&file{env: h.env}).Set(ctx, wg(0)); !errors.Is(err, errCrash) {
		t.Errorf("error %v, want the reason why the wait ended", err)
	}
}
