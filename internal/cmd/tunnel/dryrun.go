package tunnel

import (
	"context"
	"net/netip"

	"github.com/warrenvpn/warren/internal/hostnet"
	"github.com/warrenvpn/warren/internal/journal"
	"github.com/warrenvpn/warren/internal/quick"
)

// planUp returns all steps that Up would take, as far as this can be said
// before the first: hooks may change what follows. Anybody may ask.
func planUp(ctx context.Context, h *host, c *quick.Config) ([]quick.Step, error) {
	facts, err := h.beforehand(c)
	if err != nil {
		return nil, err
	}
	facts.Obstacle = nil
	to, unknown := h.expectedEndpoints(c)
	paths, err := h.paths(to)
	if err != nil {
		return nil, err
	}
	facts.Paths, facts.DefaultPath = paths.Paths, paths.DefaultPath
	facts.InKernel = c.Plane == quick.Kernel || c.Plane == quick.Automatic && !facts.NoKernel
	if facts.DNS, err = h.dnsFacts(ctx, c); err != nil {
		return nil, err
	}
	if facts.UsedTables, err = h.net.UsedTables(quick.FirstTable); err != nil {
		return nil, err
	}
	facts.SrcValidMark, _ = hostnet.Sysctl(quick.SrcValidMark)
	facts = quick.Predict(c, facts)

	var all []quick.Step
	for _, stage := range quick.Stages() {
		steps, err := quick.Up(c, stage, facts)
		if err != nil {
			return nil, err
		}
		all = append(all, steps...)
	}
	return append(unknown, all...), nil
}

// planDown returns the steps that Down would take. Anybody may ask.
func planDown(ctx context.Context, h *host, c *quick.Config) ([]quick.Step, error) {
	facts, err := h.afterwards(ctx, c)
	if err != nil {
		return nil, err
	}
	facts.Obstacle = nil
	if journals, err := journal.Open(stateDir); err == nil {
		facts.Recorded, facts.Journal = hostnet.RecordedSteps(journals, c.Name)
	}
	return quick.Down(c, facts)
}

// expectedEndpoints returns the addresses of the endpoints in the file, and
// warnings about those that have none at present.
func (h *host) expectedEndpoints(c *quick.Config) (to []netip.Addr, unknown []quick.Step) {
	for _, p := range c.Device.Peers {
		if p.Endpoint == nil {
			continue
		}
		a, err := h.wg.Resolve(*p.Endpoint)
		if err != nil {
			unknown = append(unknown, quick.Step{Kind: quick.Warn, Text: unresolved(c, err).Error()})
			continue
		}
		to = append(to, a.Addr())
	}
	return to, unknown
}
