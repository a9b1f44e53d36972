//go:build linux

package hostnet_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/internal/hostnet"
	"github.com/warrenvpn/warren/internal/journal"
	"github.com/warrenvpn/warren/internal/quick"
)

// journaled is a host with a folder of journals.
type journaled struct {
	*fakeHost
	t   *testing.T
	dir string
}

func newJournaled(t *testing.T) journaled {
	return journaled{newHost(), t, filepath.Join(t.TempDir(), "warren")}
}

func (h journaled) run(c *quick.Config) *hostnet.Run {
	h.t.Helper()
	d, err := journal.Open(h.dir)
	if err != nil {
		h.t.Fatal(err)
	}
	r := run(h.fakeHost, c)
	r.Journal = d
	return r
}

func (h journaled) up(c *quick.Config) {
	h.t.Helper()
	if err := h.run(c).Up(context.Background()); err != nil {
		h.t.Fatal(err)
	}
	h.done, h.steps, h.announced = nil, nil, nil
}

// edit changes the text of the only journal.
func (h journaled) edit(change func(string) string) {
	h.t.Helper()
	paths, _ := filepath.Glob(filepath.Join(h.dir, "*.journal"))
	if len(paths) != 1 {
		h.t.Fatalf("journals %q, want one", paths)
	}
	text, err := os.ReadFile(paths[0])
	if err == nil {
		err = os.WriteFile(paths[0], []byte(change(string(text))), 0o600)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// journals returns the text of all of them.
func (h journaled) journals() string {
	paths, _ := filepath.Glob(filepath.Join(h.dir, "*.journal"))
	var all strings.Builder
	for _, p := range paths {
		text, _ := os.ReadFile(p)
		all.Write(text)
	}
	return all.String()
}

// undid returns what was taken back, by kinds.
func (h journaled) undid() (kinds []string) {
	for _, s := range h.steps {
		if s.Undoes() {
			kinds = append(kinds, s.Kind.String())
		}
	}
	return kinds
}

// full is the configuration of a tunnel for all traffic, without hooks.
func full(name string) *quick.Config {
	c := config()
	c.Name = name
	c.PreUp, c.PostUp, c.PreDown, c.PostDown = nil, nil, nil, nil
	c.AllowedIPs = []quick.At[netip.Prefix]{{Value: netip.MustParsePrefix("0.0.0.0/0"), Line: 20}}
	return c
}

// A network namespace that got the number of one that is gone inherits nothing
// of what was done there: its rules and settings are those of others.
func TestJournalOfANamespaceThatIsGone(t *testing.T) {
	for _, down := range []bool{false, true} {
		h := newJournaled(t)
		h.up(full("wg0"))
		cookie := regexp.MustCompile(`"cookie":\d+,`)
		h.edit(func(text string) string { return cookie.ReplaceAllString(text, `"cookie":1152921504606846976,`) })
		if !cookie.MatchString(h.journals()) {
			t.Log("this kernel gives namespaces no cookies")
			return
		}
		if !down {
			h.state = state{}
			if err := h.run(full("wg0")).Up(context.Background()); err != nil {
				t.Error(err)
			}
			if len(h.undid()) > 0 {
				t.Errorf("up did %q, which undoes what others made", h.done)
			}
			continue
		}
		// An interface of the same name and number is another's: as without a
		// journal.
		h.src = "1"
		if err := h.run(full("wg0")).Down(context.Background()); err != nil {
			t.Error(err)
		}
		if got := h.undid(); !slices.Equal(got, []string{"delete-link"}) {
			t.Errorf("down did %q, want the interface deleted alone", h.done)
		}
	}
}

// A tunnel whose interface was renamed is up: an up of its old name that fails
// takes nothing from it, nor does a down.
func TestRenamedInterfaceKeepsItsRules(t *testing.T) {
	for _, compat := range []bool{false, true} {
		h := newJournaled(t)
		h.up(full("wg0"))
		before := h.journals()
		h.link, h.renamed = false, fakeIndex
		h.tell = func(_ quick.Stage, f *quick.Facts) { f.WireGuard, f.SocketExists = true, true }
		h.count, h.failAt = 0, 1 // the socket is in use
		c := full("wg0")
		c.Compat = compat
		if err := h.run(c).Up(context.Background()); err == nil {
			t.Error("up succeeded")
		}
		if len(h.done) > 0 || h.journals() != before {
			t.Errorf("compat %v: up did %q, want nothing, and the journal as it was", compat, h.done)
		}
		h.count, h.failAt = 0, 0
		if err := h.run(c).Down(context.Background()); err == nil {
			t.Error("down succeeded")
		}
		if len(h.done) > 0 || h.journals() != before {
			t.Errorf("compat %v: down did %q, want nothing, and the journal as it was", compat, h.done)
		}
	}
}

// The kernel's own interfaces have no socket: to wg-quick the old name is free,
// and the new tunnel is the one that the journal is about from then on.
func TestNameOfARenamedInterfaceIsTakenAgain(t *testing.T) {
	h := newJournaled(t)
	h.up(full("wg0"))
	h.state, h.renamed = state{}, fakeIndex
	c := full("wg0")
	if err := h.run(c).Up(context.Background()); err == nil || !strings.Contains(err.Error(), "was renamed") {
		t.Errorf("%v, want it said that it was renamed", err)
	}
	c.Compat = true
	if err := h.run(c).Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := h.undid(); len(got) > 0 {
		t.Errorf("up did %q", got)
	}
	h.steps, h.renamed = nil, 0
	if err := h.run(c).Down(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := []string{"delete-rule", "delete-rule", "delete-link", "remove-firewall", "restore-sysctl"}
	if got := h.undid(); !slices.Equal(got, want) || h.journals() != "" {
		t.Errorf("down did %q, want %q, and no journal left", got, want)
	}
}

// An up that was killed while its interface was being made has perhaps made
// none: one that somebody has set up since is not its.
func TestInterfaceOfAnotherIsNotDeleted(t *testing.T) {
	for _, configured := range []bool{false, true} {
		h := newJournaled(t)
		r := h.run(full("wg0"))
		r.Probe = func(m hostnet.Moment, s quick.Step) {
			if m == hostnet.Intended {
				panic("killed")
			}
		}
		func() {
			defer func() { _ = recover() }()
			_ = r.Up(context.Background())
		}()
		h.edit(func(text string) string { // the file would be locked, and its owner alive
			return regexp.MustCompile(`"start":\d+`).ReplaceAllString(text, `"start":1`)
		})
		h.copyJournal()
		h.link = true
		h.tell = func(_ quick.Stage, f *quick.Facts) { f.Configured = configured && h.link }
		err := h.run(full("wg0")).Up(context.Background())
		switch {
		case !configured && (err != nil || !slices.Equal(h.undid(), []string{"delete-link"})):
			t.Errorf("%v, did %q, want the interface made anew", err, h.done)
		case configured && (err == nil || err.Error() != "`wg0' already exists" || len(h.done) > 0 || h.journals() != ""):
			t.Errorf("%v, did %q, journal %q, want nothing done and nothing remembered", err, h.done, h.journals())
		}
	}
}

// copyJournal puts a copy in the place of the only journal, as its lock goes
// with a process.
func (h journaled) copyJournal() {
	h.t.Helper()
	paths, _ := filepath.Glob(filepath.Join(h.dir, "*.journal"))
	if len(paths) != 1 {
		h.t.Fatalf("journals %q, want one", paths)
	}
	text, err := os.ReadFile(paths[0])
	if err == nil {
		err = os.WriteFile(paths[0]+".copy", text, 0o600)
	}
	if err == nil {
		err = os.Rename(paths[0]+".copy", paths[0])
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// kill makes as if a process had died at the first step of a kind.
func (h journaled) kill(at hostnet.Moment, kind quick.Kind, act func(*hostnet.Run) error, c *quick.Config) {
	h.t.Helper()
	died := false
	func() {
		defer func() { died = recover() != nil }()
		r := h.run(c)
		r.Probe = func(m hostnet.Moment, s quick.Step) {
			if m == at && s.Kind == kind {
				panic("killed")
			}
		}
		_ = act(r)
	}()
	if !died {
		h.t.Fatalf("no step of kind %v", kind)
	}
	h.edit(func(text string) string { // its owner would be alive
		return regexp.MustCompile(`"start":\d+`).ReplaceAllString(text, `"start":1`)
	})
	h.copyJournal()
	h.done, h.steps, h.announced = nil, nil, nil
}

// The hooks of a down that finishes another may bring the tunnel up again.
func TestHooksOfAFinishedDownFindNoJournal(t *testing.T) {
	h := newJournaled(t)
	c := full("wg0")
	h.up(c)
	h.kill(hostnet.Performed, quick.DeleteLink, func(r *hostnet.Run) error { return r.Down(context.Background()) }, c)
	c.PostDown = config().PostDown
	var r *hostnet.Run
	h.hooks["post-down 1"] = func(*state) {
		f, record, err := r.Journal.Take("wg0")
		if err != nil || record != nil {
			t.Errorf("the hook finds %+v, %v, want no journal and no lock", record, err)
			return
		}
		if err := f.Remove(); err != nil {
			t.Error(err)
		}
	}
	r = h.run(c)
	if err := r.Down(context.Background()); err != nil {
		t.Error(err)
	}
	if !slices.Contains(h.done, "post-down 1") || !slices.Contains(h.done, "post-down 2") || h.journals() != "" {
		t.Errorf("did %q, journals %q", h.done, h.journals())
	}
}

// What a damaged journal cannot tell is said, and a new one is kept.
func TestDamagedJournalIsSaid(t *testing.T) {
	h := newJournaled(t)
	h.up(full("wg0"))
	h.edit(func(text string) string { return text + "nonsense\n" })
	h.state = state{}
	if err := h.run(full("wg0")).Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(h.announced, "\n")
	if strings.Contains(said, "no journal is kept") || !strings.Contains(said, "journal of `wg0' is damaged at line ") {
		t.Errorf("said\n%s\nwant that the old journal is damaged", said)
	}
	if h.journals() == "" || strings.Contains(h.journals(), "nonsense") {
		t.Errorf("journal %q, want a new one", h.journals())
	}
}
