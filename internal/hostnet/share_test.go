//go:build linux

package hostnet_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/warrenvpn/warren/internal/hostnet"
	"github.com/warrenvpn/warren/internal/journal"
	"github.com/warrenvpn/warren/internal/quick"
)

// locked reports whether a process has the lock of what tunnels share.
func locked(t *testing.T, d *journal.Dir) bool {
	t.Helper()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	lock, err := d.Lock(ended, "routes")
	lock.Release()
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return err != nil
}

// Between the look at the rules and the last change that follows from it no
// other tunnel can take the same priority, and a setting is not taken back while
// another is about to need it. Hooks may bring up other tunnels.
func TestTunnelsShareInTurn(t *testing.T) {
	for _, failing := range []bool{false, true} {
		h := newJournaled(t)
		c := full("wg0")
		c.PostUp = config().PostUp
		r := h.run(c)
		h.tell = func(s quick.Stage, _ *quick.Facts) {
			if got := locked(t, r.Journal); got != (s == quick.Route) {
				t.Errorf("locked at the look for stage %d: %v", s, got)
			}
		}
		in := []quick.Kind{quick.SetMark, quick.AddRule, quick.AddRoute, quick.SetSysctl, quick.AddFirewall, quick.RestoreSysctl}
		var seen []quick.Kind
		r.Probe = func(m hostnet.Moment, s quick.Step) {
			if m != hostnet.Performed {
				return
			}
			seen = append(seen, s.Kind)
			if got, want := locked(t, r.Journal), slices.Contains(in, s.Kind); got != want {
				t.Errorf("locked at %q: %v, want %v", s.Trace(c), got, want)
			}
		}
		if failing {
			h.hooks["post-up 1"] = func(*state) { h.failAt = h.count + 1 }
		}
		if err := r.Up(context.Background()); failing == (err == nil) {
			t.Fatal(err)
		}
		if !failing {
			if err := r.Down(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		for _, k := range append(in, quick.RunHook) {
			if !slices.Contains(seen, k) {
				t.Errorf("failing %v: no step of kind %v", failing, k)
			}
		}
	}
}

// Waiting for another tunnel ends with a signal, and what was done is undone.
func TestWaitingForTheOtherTunnelIsInterrupted(t *testing.T) {
	h := newJournaled(t)
	r := h.run(full("wg0"))
	lock, err := r.Journal.Lock(context.Background(), "routes")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	h.tell = func(s quick.Stage, _ *quick.Facts) {
		if s == quick.Route {
			t.Error("did not wait")
		}
	}
	r.Announce = func(s quick.Step) {
		if s.Kind == quick.SetUp {
			cancel(errInterrupted)
		}
	}
	if err := r.Up(ctx); !errors.Is(err, errInterrupted) {
		t.Errorf("error %v, want the reason of the interruption", err)
	}
	checkUndone(t, "waiting", h.fakeHost, true)
}
