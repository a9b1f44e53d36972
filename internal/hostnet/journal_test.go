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
			t.Fatal("the journal does not say which namespace it is about")
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
