package hostnet_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/hostnet"
	"github.com/warrenvpn/warren/internal/quick"
	"github.com/warrenvpn/warren/key"
)

// Q23: hooks run in the order of the file, between the steps that
// wg-quick has them between.
func TestUpAndDownInOrder(t *testing.T) {
	h, c := newHost(), config()
	if err := run(h, c).Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"ip link add dev wg0 type wireguard",
		"pre-up 1 wg0", "pre-up 2",
		"wg addconf wg0 <(wg-quick strip /etc/wireguard/wg0.conf)",
		"ip -4 address add 192.0.2.1/24 dev wg0", "ip -6 address add 2001:db8::1/64 dev wg0",
		"ip link set mtu 1420 up dev wg0",
		"ip -4 route add 198.51.100.7/32 dev wg0", "ip -4 route add 203.0.113.0/24 dev wg0",
		"post-up 1", "post-up 2",
	}
	if got := h.done; !slices.Equal(got, want) {
		t.Errorf("up did\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	note := "wg0 is in the kernel: it has WireGuard"
	if announced := slices.Insert(slices.Clone(want), 1, note); !slices.Equal(h.announced, announced) {
		t.Errorf("announced\n%s\nwant every step once, before it is done", strings.Join(h.announced, "\n"))
	}
	h.done = nil
	if err := run(h, c).Down(context.Background()); err != nil {
		t.Fatal(err)
	}
	want = []string{"pre-down 1", "pre-down 2", "ip link delete dev wg0", "post-down 1", "post-down 2"}
	if !slices.Equal(h.done, want) {
		t.Errorf("down did %q, want %q", h.done, want)
	}
	if got := h.state; !reflect.DeepEqual(got, state{}) {
		t.Errorf("after down the host has %+v, want nothing", got)
	}
}

// Q23, B99: whichever step fails, nothing is left behind, nothing that comes
// after it is done, and no hook of down runs.
func TestEveryFailureOfUpIsUndone(t *testing.T) {
	for n := 1; ; n++ {
		h := newHost()
		h.failAt = n
		err := run(h, config()).Up(context.Background())
		if err == nil {
			if n < 11 {
				t.Errorf("only %d steps could fail", n-1)
			}
			return
		}
		name := fmt.Sprintf("failure at step %d (%s)", n, h.failed)
		if !errors.Is(err, errInjected) {
			t.Errorf("%s: error %v, want the injected one", name, err)
		}
		checkUndone(t, name, h, n > 1)
	}
}

// Facts that cannot be gathered are failures like any other, but when all is done.
func TestUnknownFactsAreUndone(t *testing.T) {
	for _, stage := range quick.Stages() {
		if stage == quick.Settle {
			continue
		}
		h := newHost()
		h.noFacts = stage
		err := run(h, config()).Up(context.Background())
		name := fmt.Sprintf("no facts for stage %d", stage)
		if !errors.Is(err, errInjected) {
			t.Errorf("%s: error %v, want the injected one", name, err)
		}
		checkUndone(t, name, h, stage != quick.Create)
	}
}

// A signal at any step undoes it all, and the signal does not reach the undo.
func TestEveryInterruptionOfUpIsUndone(t *testing.T) {
	for n := 1; ; n++ {
		h := newHost()
		ctx, cancel := context.WithCancelCause(context.Background())
		h.interruptAt, h.interrupt = n, func() { cancel(errInterrupted) }
		err := run(h, config()).Up(ctx)
		cancel(nil)
		if err == nil {
			if n < 11 {
				t.Errorf("only %d steps could be interrupted", n-1)
			}
			return
		}
		name := fmt.Sprintf("interruption at step %d", n)
		if !errors.Is(err, errInterrupted) {
			t.Errorf("%s: error %v, want the reason of the interruption", name, err)
		}
		checkUndone(t, name, h, true)
	}
}

// B95: what a PreUp hook set is still there afterwards, and the routes include
// those of peers that it added.
func TestPreUpMayConfigure(t *testing.T) {
	h, c := newHost(), config()
	c.Device.PrivateKey = nil
	h.hooks["pre-up 2"] = func(s *state) {
		s.key = true
		s.allowed = append(s.allowed, netip.MustParsePrefix("10.9.8.0/24"))
	}
	if err := run(h, c).Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !h.state.key {
		t.Error("the key that the hook set is gone")
	}
	if !slices.Contains(h.state.routes, netip.MustParsePrefix("10.9.8.0/24")) {
		t.Errorf("routes %v, want one to the hook's peer too", h.state.routes)
	}
	if warned(h) {
		t.Error("warned of a missing key that is there")
	}
}

func TestMissingKeyIsSaid(t *testing.T) {
	h, c := newHost(), config()
	c.Device.PrivateKey = nil
	if err := run(h, c).Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !warned(h) {
		t.Errorf("announced %q, want a word about the missing key", h.announced)
	}
}

// B99: a failing PreDown leaves the tunnel as it is; a failing PostDown finds
// it gone.
func TestFailingHooksOfDown(t *testing.T) {
	for _, c := range []struct {
		failAt int
		up     bool
	}{{1, true}, {2, true}, {4, false}, {5, false}} {
		h := newHost()
		if err := run(h, config()).Up(context.Background()); err != nil {
			t.Fatal(err)
		}
		h.count, h.failAt = 0, c.failAt // counted from the first step of down
		err := run(h, config()).Down(context.Background())
		if !errors.Is(err, errInjected) || h.state.link != c.up {
			t.Errorf("failure at step %d: interface there %v, error %v, want %v and the injected error", c.failAt, h.state.link, err, c.up)
		}
	}
}

func TestErrorSaysWhere(t *testing.T) {
	h := newHost()
	h.failAt = 6 // the second address
	err := run(h, config()).Up(context.Background())
	want := "/etc/wireguard/wg0.conf:3: Address: injected"
	if err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

// A roll-back that fails is reported beside the reason for it.
func TestFailingRollBackIsReported(t *testing.T) {
	h := newHost()
	h.failAt, h.stuck = 5, true
	err := run(h, config()).Up(context.Background())
	if err == nil || !strings.Contains(err.Error(), "roll back: stuck") || !errors.Is(err, errInjected) {
		t.Errorf("error %v, want both failures", err)
	}
}

// Q30: a second up changes nothing at all.
func TestSecondUpIsRefused(t *testing.T) {
	h := newHost()
	if err := run(h, config()).Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	before, steps := h.state.clone(), len(h.done)
	err := run(h, config()).Up(context.Background())
	if err == nil || err.Error() != "`wg0' already exists" {
		t.Errorf("error %v, want `wg0' already exists", err)
	}
	if !reflect.DeepEqual(h.state, before) || len(h.done) != steps {
		t.Errorf("the second up did %q", h.done[steps:])
	}
}

var (
	errInjected    = errors.New("injected")
	errInterrupted = errors.New("interrupted")
)

// fakeIndex is that of the interface on a fakeHost.
const fakeIndex = 7

// fakeHost is a host that does not exist, with faults.
type fakeHost struct {
	state
	hooks       map[string]func(*state) // by the text of the hook
	done        []string                // steps that succeeded
	steps       []quick.Step            // the same
	announced   []string
	count       int // calls of Perform
	failAt      int
	failed      string
	noFacts     quick.Stage
	interruptAt int
	interrupt   func()
	stuck       bool                            // the interface cannot be deleted
	src         string                          // src_valid_mark
	renamed     int                             // index of an interface that has another name
	tell        func(quick.Stage, *quick.Facts) // changes what is known
}

// state is what a tunnel leaves on a host.
type state struct {
	link, up, key bool
	allowed       []netip.Prefix
	addresses     []netip.Prefix
	routes        []netip.Prefix
	mtu           int
}

func (s state) clone() state {
	s.allowed, s.addresses, s.routes = slices.Clone(s.allowed), slices.Clone(s.addresses), slices.Clone(s.routes)
	return s
}

func newHost() *fakeHost { return &fakeHost{hooks: make(map[string]func(*state))} }

func (h *fakeHost) Facts(_ context.Context, _ *quick.Config, s quick.Stage) (quick.Facts, error) {
	if s == h.noFacts {
		return quick.Facts{}, errInjected
	}
	f := quick.Facts{LinkExists: h.link, WireGuard: h.link, InKernel: true, AllowedIPs: h.allowed, Routes: h.routes, HasPrivateKey: h.key, SrcValidMark: h.src}
	if h.link {
		f.Index = fakeIndex
	}
	if h.tell != nil {
		h.tell(s, &f)
	}
	return f, nil
}

func (h *fakeHost) IsTunnel(index int) (bool, error) { return index == h.renamed, nil }

func (h *fakeHost) Perform(ctx context.Context, c *quick.Config, s quick.Step) (quick.Step, error) {
	h.count++
	if h.count == h.failAt {
		h.failed = s.Trace(c)
		return s, errInjected
	}
	if h.count == h.interruptAt {
		h.interrupt()
		if s.Kind == quick.RunHook {
			return s, context.Cause(ctx) // it is ended by the signal
		}
	}
	if s.Kind != quick.CreateLink && !h.link && s.Key != "PostDown" && !s.Undoes() {
		return s, errors.New("no such interface")
	}
	if s.Kind == quick.DeleteLink && h.stuck {
		return s, errors.New("stuck")
	}
	if s.Kind == quick.CreateLink {
		s.Index = fakeIndex
	}
	h.change(c, s)
	h.done, h.steps = append(h.done, s.Trace(c)), append(h.steps, s)
	return s, nil
}

func (h *fakeHost) change(c *quick.Config, s quick.Step) {
	switch s.Kind {
	case quick.CreateLink:
		h.state = state{link: true}
	case quick.Configure:
		h.key = h.key || c.Device.PrivateKey != nil
		for _, a := range c.AllowedIPs {
			h.allowed = append(h.allowed, a.Value)
		}
	case quick.AddAddress:
		h.addresses = append(h.addresses, s.Prefix)
		h.routes = append(h.routes, s.Prefix.Masked())
	case quick.SetUp:
		h.up, h.mtu = true, s.MTU
	case quick.AddRoute:
		h.routes = append(h.routes, s.Prefix)
	case quick.RunHook:
		if f := h.hooks[s.Text]; f != nil {
			f(&h.state)
		}
	case quick.DeleteLink:
		h.state = state{}
	}
}

// checkUndone looks at a host on which up failed.
func checkUndone(t *testing.T, name string, h *fakeHost, made bool) {
	t.Helper()
	if !reflect.DeepEqual(h.state, state{}) {
		t.Errorf("%s left %+v", name, h.state)
	}
	for _, s := range h.done {
		if strings.Contains(s, "-down") {
			t.Errorf("%s ran %q", name, s)
		}
	}
	last := ""
	if len(h.done) > 0 {
		last = h.done[len(h.done)-1]
	}
	if deleted := last == "ip link delete dev wg0"; deleted != made {
		t.Errorf("%s: did %q, want the interface deleted last: %v", name, h.done, made)
	}
}

func warned(h *fakeHost) bool {
	return slices.ContainsFunc(h.announced, func(s string) bool { return strings.Contains(s, "no private key") })
}

func run(h *fakeHost, c *quick.Config) *hostnet.Run {
	return &hostnet.Run{Config: c, Host: h, Announce: func(s quick.Step) { h.announced = append(h.announced, s.Trace(c)) }}
}

// config is that of a tunnel with everything in it.
func config() *quick.Config {
	private := key.NewPrivate([32]byte{1})
	prefix := func(line int, s string) quick.At[netip.Prefix] {
		return quick.At[netip.Prefix]{Value: netip.MustParsePrefix(s), Line: line}
	}
	hook := func(line int, s string) quick.At[string] { return quick.At[string]{Value: s, Line: line} }
	return &quick.Config{
		Name: "wg0", Path: "/etc/wireguard/wg0.conf", Program: "warren device",
		Addresses:  []quick.At[netip.Prefix]{prefix(2, "192.0.2.1/24"), prefix(3, "2001:db8::1/64")},
		PreUp:      []quick.At[string]{hook(4, "pre-up 1 %i"), hook(5, "pre-up 2")},
		PostUp:     []quick.At[string]{hook(6, "post-up 1"), hook(7, "post-up 2")},
		PreDown:    []quick.At[string]{hook(8, "pre-down 1"), hook(9, "pre-down 2")},
		PostDown:   []quick.At[string]{hook(10, "post-down 1"), hook(11, "post-down 2")},
		Device:     conf.Change{PrivateKey: &private},
		AllowedIPs: []quick.At[netip.Prefix]{prefix(20, "192.0.2.2/32"), prefix(21, "203.0.113.0/24"), prefix(22, "2001:db8::2/128"), prefix(23, "198.51.100.7/32")},
	}
}
