//go:build linux

package hostnet_test

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/quick"
)

// A rule that another tunnel has in its journal is that tunnel's, though this
// one's journal has it too: somebody removed it meanwhile, and it was made again.
func TestRulesOfALiveTunnelStay(t *testing.T) {
	h := newJournaled(t)
	h.up(full("wg0"))
	h.state = state{}
	h.up(full("wg1")) // the host tells of no rules, so it takes the same
	h.state = state{}
	if err := h.run(full("wg0")).Down(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := h.undid(); slices.Contains(got, "delete-rule") || !slices.Contains(got, "remove-firewall") {
		t.Errorf("down did %q, want its own undone and the rules left", got)
	}
	if err := h.run(full("wg1")).Down(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := h.undid(); !slices.Contains(got, "delete-rule") {
		t.Errorf("down did %q, want the rules deleted by the last", got)
	}
}

// A journal that lost its end or its middle is no reason to leave anything: the
// host is looked at as well.
func TestDownWithHalfAJournal(t *testing.T) {
	for name, cut := range map[string]func(string) string{
		"begun":   func(text string) string { return text[:strings.Index(text, "\n")+20] },
		"nothing": func(text string) string { return text[:strings.Index(text, "\n")+1] },
		"middle": func(text string) string {
			lines := strings.SplitAfter(text, "\n")
			return strings.Join(slices.Delete(lines, 1, 4), "")
		},
		"garbage": func(text string) string {
			lines := strings.SplitAfter(text, "\n")
			lines[5] = `{"n":99999999,"step":{"kind":"delete-link"/` + "\n"
			return strings.Join(lines, "")
		},
	} {
		h := newJournaled(t)
		h.up(full("wg0"))
		h.edit(cut)
		h.tell = func(s quick.Stage, f *quick.Facts) {
			if s == quick.Remove {
				f.Firewall, f.FwMark = true, 51820
				f.Rules = []quick.Rule{{Family: 4, Priority: 3, Table: 51820, Mark: 51820, Not: true}}
			}
		}
		if err := h.run(full("wg0")).Up(context.Background()); err == nil || !strings.Contains(err.Error(), "already exists") {
			t.Errorf("%s: up: %v, want that it exists", name, err)
		}
		if len(h.undid()) > 0 {
			t.Errorf("%s: up undid %q", name, h.undid())
		}
		if err := h.run(full("wg0")).Down(context.Background()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range []string{"delete-rule", "delete-link", "remove-firewall"} {
			if !slices.Contains(h.undid(), want) {
				t.Errorf("%s: down did %q, not %s", name, h.undid(), want)
			}
		}
		if h.journals() != "" {
			t.Errorf("%s: a journal is left", name)
		}
	}
}

// A full /run keeps nobody from taking a tunnel down.
func TestDownWithoutRoomForAJournal(t *testing.T) {
	h := newJournaled(t)
	h.up(full("wg0"))
	paths, _ := filepath.Glob(filepath.Join(h.dir, "*.journal"))
	info, err := os.Stat(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	signal.Ignore(unix.SIGXFSZ)
	defer signal.Reset(unix.SIGXFSZ)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	limit := unix.Rlimit{Cur: uint64(info.Size()) + 5, Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	err = h.run(full("wg0")).Down(context.Background())
	if errReset := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); errReset != nil {
		t.Fatal(errReset)
	}
	if err != nil || h.link || h.journals() != "" {
		t.Errorf("%v, link %v, journal %q, want all gone", err, h.link, h.journals())
	}
}

// A hook may take the interface away, or to another namespace: wg-quick does not
// look at it any more.
func TestPostUpMayTakeTheInterfaceAway(t *testing.T) {
	for _, compat := range []bool{false, true} {
		h, c := newHost(), full("wg0")
		c.Compat = compat
		h.noFacts = quick.Settle
		if err := run(h, c).Up(context.Background()); err != nil || !h.link {
			t.Errorf("compat %v: %v", compat, err)
		}
	}
}

// A signal before the first undo of a down leaves the tunnel as it is.
func TestSignalBeforeDownBegins(t *testing.T) {
	h := newJournaled(t)
	h.up(full("wg0"))
	ctx, cancel := context.WithCancelCause(context.Background())
	h.tell = func(quick.Stage, *quick.Facts) { cancel(errInterrupted) }
	if err := h.run(full("wg0")).Down(ctx); err == nil || len(h.undid()) > 0 || !h.link {
		t.Errorf("%v, did %q", err, h.undid())
	}
}
