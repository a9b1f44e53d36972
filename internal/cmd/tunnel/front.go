package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/warrenvpn/warren/internal/hostnet"
	"github.com/warrenvpn/warren/internal/journal"
	"github.com/warrenvpn/warren/internal/quick"
)

// stateDir is what outlives a command, but not the boot: journals of tunnels
// that are up or were left half-way.
const stateDir = "/run/warren"

// Front is the manner in which tunnels are brought up and down: that of warren,
// or that of wg-quick, in which plans, traces and messages are what scripts
// expect of it.
type Front struct {
	Compat bool
	Plane  string // auto, kernel or user; empty: what the file says
	NoIPv6 bool   // leave IPv6 out
	DryRun bool   // only print the steps
	// Failed is told why an up fails before anything is undone, and returns what
	// is to be said of it afterwards.
	Failed func(error) error
}

// probe is told where steps have come to. Only tests set it.
var probe func(hostnet.Moment, quick.Step)

// Up brings up the tunnel of a FILE or NAME.
func (f Front) Up(ctx context.Context, arg string) error {
	c, err := f.load(arg)
	if err != nil {
		return err
	}
	return f.onHost(ctx, c, planUp, func(r *hostnet.Run) error { return r.Up(ctx) })
}

// Down takes down the tunnel of a FILE or NAME. If the file is gone, what was
// recorded when it was brought up does.
func (f Front) Down(ctx context.Context, arg string) error {
	c, err := f.loadLenient(arg)
	if err != nil {
		return err
	}
	return f.onHost(ctx, c, planDown, func(r *hostnet.Run) error { return r.Down(ctx) })
}

// Save writes the state of a tunnel that is up to its file.
func (f Front) Save(ctx context.Context, arg string) error {
	c, err := f.loadLenient(arg)
	if err != nil {
		return err
	}
	h, done, err := f.host(ctx, c)
	if err != nil {
		return err
	}
	defer done()
	facts, err := h.present(c.Name)
	if err != nil {
		return err
	}
	if !facts.WireGuard {
		return &quick.Problem{Text: fmt.Sprintf("`%s' is not a WireGuard interface", c.Name)}
	}
	s := quick.SaveStep(c)
	if f.DryRun {
		live, err := h.live(ctx, c)
		if err != nil {
			return err
		}
		text, err := h.saveText(c, live)
		if err != nil {
			return err
		}
		return Print(os.Stdout, string(text))
	}
	announce(os.Stderr, c, s)
	return h.save(ctx, c)
}

// onHost acts on this host, or shows the steps that this would take.
func (f Front) onHost(ctx context.Context, c *quick.Config,
	plan func(context.Context, *host, *quick.Config) ([]quick.Step, error), act func(*hostnet.Run) error,
) error {
	h, done, err := f.host(ctx, c)
	if err != nil {
		return err
	}
	defer done()
	if f.DryRun {
		steps, err := plan(ctx, h, c)
		for _, s := range steps {
			announce(os.Stdout, c, s)
		}
		return err
	}
	journals, err := journal.Open(stateDir)
	if err != nil {
		h.tell(quick.Step{Kind: quick.Warn, Text: fmt.Sprintf("no journal is kept, so nothing would clean up if this was killed: %v", err)})
	}
	return act(&hostnet.Run{Config: c, Host: h, Announce: h.tell, Journal: journals, Probe: probe, Failed: f.Failed})
}

// host connects to this host.
func (f Front) host(ctx context.Context, c *quick.Config) (h *host, done func(), err error) {
	network, err := hostnet.New()
	if err != nil {
		return nil, nil, err
	}
	client, err := newClient(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, network.Close())
	}
	h = &host{net: network, wg: client, tell: func(s quick.Step) { announce(os.Stderr, c, s) }}
	return h, func() { _ = network.Close() }, nil
}

// announce prints a step as wg-quick does.
func announce(w io.Writer, c *quick.Config, s quick.Step) {
	text := s.Trace(c)
	switch s.Kind {
	case quick.Say:
		fmt.Fprintln(w, text)
		return
	case quick.Warn:
		fmt.Fprintf(w, "[!] %s\n", text)
	case quick.Note:
		fmt.Fprintf(w, "[+] %s\n", text)
	default:
		for line := range strings.SplitSeq(text, "\n") {
			fmt.Fprintf(w, "[#] %s\n", line)
		}
	}
	if s.Hint != "" && !c.Compat {
		fmt.Fprintf(w, "    hint: %s\n", s.Hint)
	}
}
